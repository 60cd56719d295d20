"""Attention's gradients agree with the tape and NumPy, and one never holds all the scores."""

import re

import numpy as np
import pytest
import tensorflow as tf
from agreement import distance, draw, off_by_a_thousandth, slopes, step, traced

from manualbp.workloads import attention

BY_HAND = ["stored", "recompute"]


def by_loops(variables, sequences, targets):
    """The loss and the gradients in NumPy, one head of one sequence after the other."""
    names = ("query", "key", "value", "output")
    gradients = {name: np.zeros_like(variables[name]) for name in names}
    outputs = np.zeros_like(targets)
    kept = []
    for sequence, output in zip(sequences, outputs, strict=True):
        for head in range(attention.HEADS):
            wq, wk, wv, wo = (variables[name][:, head] for name in names)
            q, k, v = sequence @ wq, sequence @ wk, sequence @ wv
            p = np.exp(q @ k.T / np.sqrt(q.shape[1]))
            p /= p.sum(axis=1, keepdims=True)
            output += p @ v @ wo.T
            kept.append((q, k, v, p))
    upstream = 2 * (outputs - targets) / outputs.size
    for number, (q, k, v, p) in enumerate(kept):
        example, head = divmod(number, attention.HEADS)
        x, above = sequences[example], upstream[example]
        of_head = above @ variables["output"][:, head]
        of_p = of_head @ v.T
        of_s = p * (of_p - (p * of_p).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
        gradients["query"][:, head] += x.T @ (of_s @ k)
        gradients["key"][:, head] += x.T @ (of_s.T @ q)
        gradients["value"][:, head] += x.T @ (p.T @ of_head)
        gradients["output"][:, head] += above.T @ (p @ v)
    return np.mean((outputs - targets) ** 2), tf.nest.flatten(gradients)


@pytest.mark.parametrize("mode", ["eager", "xla"])
@pytest.mark.parametrize("gradient", ["tape", *BY_HAND])
def test_every_gradient_is_that_of_numpy(gradient, mode):
    variables, data = draw(attention.workload, 2)
    expected_loss, expected = by_loops(variables, *data)
    loss, gradients = step(attention.workload, gradient, mode, 2)
    assert loss == pytest.approx(expected_loss, rel=1e-13)
    assert distance(gradients, expected) < 1e-12


@pytest.mark.parametrize("gradient", BY_HAND)
def test_gradients_are_the_slopes_of_the_loss(gradient):
    directions, expected = slopes(attention.workload, 1)
    _, gradients = step(attention.workload, gradient, "eager", 1)
    found = [np.sum(a * b) for a, b in zip(gradients, directions, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("gradient", BY_HAND)
def test_single_precision_is_as_near_as_it_can_be(gradient, batch):
    _, expected = step(attention.workload, "tape", "eager", batch)
    _, gradients = step(attention.workload, gradient, "graph", batch, "float32")
    assert {array.dtype for array in gradients} == {np.dtype("float32")}
    assert distance(gradients, expected) < 1e-5


def test_blocks_make_up_the_whole():
    heads = tf.random.stateless_normal((2, 4, attention.LENGTH, 3), (1, 2))
    np.testing.assert_array_equal(attention.whole(attention.blocks(heads)), heads)


def function_and_data(gradient, mode, batch):
    variables, data = tf.nest.map_structure(tf.constant, draw(attention.workload, batch))
    variables = tf.nest.map_structure(tf.Variable, variables)
    return traced(attention.workload.gradients[gradient](variables, batch), mode), data


def largest_in_graph(gradient, batch):
    """The entries of the largest tensor in the traced graph, and in the bodies of its loops."""
    function, data = function_and_data(gradient, "graph", batch)
    graph = function.get_concrete_function(*data).graph.as_graph_def(add_shapes=True)
    nodes = [*graph.node, *(node for body in graph.library.function for node in body.node_def)]
    shapes = [shape for node in nodes for shape in node.attr["_output_shapes"].list.shape]
    return max(int(np.prod([axis.size for axis in shape.dim])) for shape in shapes)


def largest_compiled(gradient, batch):
    """The entries of the largest tensor that XLA has after it has optimised."""
    function, data = function_and_data(gradient, "xla", batch)
    text = function.experimental_get_compiler_ir(*data)(stage="optimized_hlo")
    shapes = re.findall(r"\bf64\[([\d,]+)\]", text)
    return max(int(np.prod([int(axis) for axis in shape.split(",")])) for shape in shapes)


@pytest.mark.parametrize("largest", [largest_in_graph, largest_compiled])
def test_recomputing_has_one_block_of_scores_at_a_time(largest):
    rows = 2 * attention.HEADS * attention.LENGTH  # of batch 2
    assert largest("tape", 2) == largest("stored", 2) == rows * attention.LENGTH
    assert largest("recompute", 2) == rows * attention.BLOCK


@pytest.mark.parametrize("formula", ["outputs_vjp", "attention_vjp", "softmax_vjp", "project_vjp"])
@pytest.mark.parametrize("gradient", BY_HAND)
def test_every_formula_counts(gradient, formula, monkeypatch):
    _, expected = step(attention.workload, gradient, "eager", 1)
    monkeypatch.setattr(attention, formula, off_by_a_thousandth(getattr(attention, formula)))
    _, gradients = step(attention.workload, gradient, "eager", 1)
    assert distance(gradients, expected) > 9e-4
