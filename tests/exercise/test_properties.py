"""Properties of the gradients over random shapes and values, zeros and saturated logits."""

from itertools import pairwise

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from manualbp import compute_forward_pass, compute_gradients
from manualbp.exercise import reference
from manualbp.measuring.oracle import flatten

# Multiples of 1/4, 0 among them: sums and products of a few are exact in float64, so that a
# ReLU's argument that is 0 is 0 in every implementation.
values = st.integers(-8, 8).map(lambda n: n / 4)


@st.composite
def problems(draw, scale=1.0, dtype=np.float64):
    widths = [*draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)), 1]
    batch = draw(st.integers(1, 9))

    def array(*shape):
        size = int(np.prod(shape))
        drawn = draw(st.lists(values, min_size=size, max_size=size))
        return np.array(drawn, dtype).reshape(shape)

    variables = tuple((array(a, b) * dtype(scale), array(b)) for a, b in pairwise(widths))
    targets = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=batch, max_size=batch))
    return array(batch, widths[0]), np.array(targets, dtype)[:, None], variables


def tape(inputs, targets, variables):
    variables = tuple((tf.constant(w), tf.constant(b)) for w, b in variables)
    with tf.GradientTape() as recorded:
        recorded.watch(variables)
        loss = tf.reduce_mean(compute_forward_pass(inputs, targets, variables)[0])
    return recorded.gradient(loss, variables)


def chain(inputs, targets, variables):
    data = compute_forward_pass(inputs, targets, variables)
    return compute_gradients(variables, data, targets, batch_size=len(inputs))


@settings(deadline=None, max_examples=100)
@given(problems())
def test_the_chain_rule_is_the_reference_where_logits_are_moderate(problem):
    inputs, targets, variables = problem
    logits = reference.layer_outs(variables, inputs)[-1]
    if np.abs(logits).max() > 20:
        return
    _, expected = reference.step(variables, inputs, targets)
    # p (1 - p) cancels against 1/p or 1/(1 - p), which amplifies roundoff by up to exp(20).
    for a, b in zip(flatten(chain(*problem)), flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@settings(deadline=None, max_examples=100)
@given(st.one_of(problems(dtype=np.float32), problems(scale=100.0, dtype=np.float32), problems()))
def test_the_chain_rule_is_bitwise_the_tape_saturated_or_not(problem):
    for a, b in zip(flatten(chain(*problem)), flatten(tape(*problem)), strict=True):
        np.testing.assert_array_equal(a, b)  # where the tape has a NaN, so has the chain


@settings(deadline=None, max_examples=50)
@given(problems())
def test_the_gradient_of_the_sum_is_the_sum_of_the_gradients(problem):
    inputs, targets, variables = problem
    logits = reference.layer_outs(variables, inputs)[-1]
    if np.abs(logits).max() > 20:
        return
    data = compute_forward_pass(inputs, targets, variables)
    whole = flatten(compute_gradients(variables, data, targets, batch_size=1))
    parts = [
        flatten(chain(inputs[i : i + 1], targets[i : i + 1], variables)) for i in range(len(inputs))
    ]
    for a, b in zip(whole, map(sum, zip(*parts, strict=True)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
