"""The fast gradients: their layouts, their blocks, logits where the exercise's loss fails."""

from itertools import pairwise, product

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from manualbp import Case, build_step, make_variables, workloads
from manualbp.cases import MODES
from manualbp.exercise import packed, reference
from manualbp.measuring import oracle
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.step import in_mode, problem_of, step_function

GRADIENTS = {
    **workloads.find("exercise").gradients,
    "logits": workloads.find("exercise-logits").gradients["fused"],
    "logits-tape": workloads.find("exercise-logits").gradients["tape"],
}
OWN_LAYOUT = ["augmented", "packed"]
FROM_LOGITS = ["logits", "logits-tape", "augmented"]


def run(gradient, inputs, targets, variables, mode="eager", batch_size=None):
    """The mean loss and the nested gradients of any variables, as NumPy arrays."""
    variables = tuple((tf.Variable(w), tf.Variable(b)) for w, b in variables)
    how = GRADIENTS[gradient](variables, batch_size)
    function = in_mode(step_function(how), mode)
    loss, gradients = function(tf.constant(inputs), tf.constant(targets))
    nested = how.as_written(gradients)
    return float(loss), [[np.asarray(item) for item in pair] for pair in nested]


def as_arrays(variables, dtype):
    return tuple((weights.astype(dtype), bias.astype(dtype)) for weights, bias in variables)


def random_problem(widths, batch, dtype="float64", scale=1.0):
    random = np.random.default_rng(0)
    inputs = (scale * random.normal(size=(batch, widths[0]))).astype(dtype)
    targets = (random.random((batch, 1)) < 0.5).astype(dtype)
    variables = as_arrays(
        [
            (random.normal(size=(a, b)) * np.sqrt(2 / a), 0.1 * random.normal(size=b))
            for a, b in pairwise(widths)
        ],
        dtype,
    )
    return inputs, targets, variables


@pytest.mark.parametrize("gradient", OWN_LAYOUT)
@pytest.mark.parametrize("widths", [(2, 12, 32, 1), (3, 1), (1, 1, 1), (5, 4, 3, 2, 1)])
def test_a_layout_holds_the_exercises_variables_and_nothing_is_lost(gradient, widths):
    variables = make_variables(widths)
    how = GRADIENTS[gradient](variables)
    back = how.as_written(how.trainable)
    for a, b in zip(oracle.flatten(back), oracle.flatten(variables), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("gradient", OWN_LAYOUT)
def test_a_layout_keeps_biases_that_are_rows(gradient):
    variables = tuple((w, tf.Variable(b[None])) for w, b in make_variables())
    how = GRADIENTS[gradient](variables)
    back = how.as_written(how.trainable)
    assert [b.shape for _, b in back] == [(1, 12), (1, 32), (1, 1)]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(1, 9))
@pytest.mark.parametrize("gradient", [name for name in GRADIENTS if name != "chain"])
def test_any_network_has_the_references_gradients(gradient, widths, batch):
    inputs, targets, variables = random_problem((*widths, 1), batch)
    loss, gradients = run(gradient, inputs, targets, variables)
    expected_loss, expected = reference.step(variables, inputs, targets)
    assert loss == pytest.approx(expected_loss, rel=1e-9)
    for a, b in zip(oracle.flatten(gradients), oracle.flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("block", [1, 3, 8, 9, 100])
def test_packed_adds_up_blocks_and_a_rest(block, mode, monkeypatch):
    inputs, targets, variables = random_problem((2, 12, 32, 1), 9)
    whole = run("packed", inputs, targets, variables, mode)
    monkeypatch.setattr(packed, "BLOCK", block)
    blocks = run("packed", inputs, targets, variables, mode)
    assert blocks[0] == pytest.approx(whole[0], rel=1e-12)
    for a, b in zip(oracle.flatten(blocks[1]), oracle.flatten(whole[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("gradient", OWN_LAYOUT)
def test_a_batch_size_of_one_gives_the_gradient_of_the_sum(gradient):
    problem = random_problem((2, 12, 32, 1), 9)
    _, mean = run(gradient, *problem)
    _, total = run(gradient, *problem, batch_size=1)
    for a, b in zip(oracle.flatten(total), oracle.flatten(mean), strict=True):
        np.testing.assert_allclose(a, 9 * b, rtol=1e-12)


@pytest.mark.parametrize("gradient", FROM_LOGITS)
@pytest.mark.parametrize("mode", MODES)
def test_gradients_from_logits_are_right_where_the_exercises_loss_is_not(gradient, mode):
    inputs, targets, variables = random_problem((2, 12, 32, 1), 64, "float32", scale=30)
    logits = reference.layer_outs(variables, inputs)[-1]
    assert 17 < np.abs(logits).max() < 1e4  # where float32's sigmoid is 0 or 1
    assert not np.isfinite(run("tape", inputs, targets, variables, mode)[0])
    loss, gradients = run(gradient, inputs, targets, variables, mode)
    arrays = inputs.astype("float64"), targets.astype("float64")
    expected_loss, expected = reference.step(as_arrays(variables, "float64"), *arrays)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for a, b in zip(oracle.flatten(gradients), oracle.flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("gradient", FROM_LOGITS)
def test_a_certain_and_right_prediction_keeps_its_tiny_gradient(gradient):
    one = np.ones((1, 1), "float32")
    _, [(weights, bias)] = run(gradient, one, one, ((17 * one, 0 * one[0]),))
    assert weights.item() == pytest.approx(-1 / (1 + np.exp(17)), rel=1e-5)
    assert bias.item() == pytest.approx(-1 / (1 + np.exp(17)), rel=1e-5)


@pytest.mark.parametrize(
    ("gradient", "mode", "operation"),
    [
        *product(["augmented"], ["eager"], ["MatMul", "Relu", "ReluGrad", "Softplus", "Mean"]),
        *product(["logits"], ["graph"], ["BiasAdd", "Sum", "SoftplusGrad", "Mul", "AddV2"]),
        *product(["packed"], ["xla"], ["MatMul", "BiasAdd", "Sub", "ConcatV2", "Sum"]),
    ],
)
def test_an_operation_wrong_by_a_thousandth_is_refused(gradient, mode, operation, monkeypatch):
    right = getattr(tf.raw_ops, operation)
    case = Case("exercise", gradient, mode, "CPU:0", 64)
    if gradient == "logits":
        case = Case("exercise-logits", "fused", mode, "CPU:0", 64)
    problem = problem_of(case)
    oracle.expected(problem)  # the oracles are asked before anything is wrong
    monkeypatch.setattr(tf.raw_ops, operation, lambda **given: right(**given) * 1.001)
    with pytest.raises(VerificationError, match=str(case)):
        build_step(case, problem=problem)
