"""Every local derivative against central differences of its operation, in float64."""

import numpy as np
import pytest
import tensorflow as tf

from manualbp.exercise import derivatives as d

WIDTH = 1e-6
random = np.random.default_rng(0)
UPSTREAM = tf.constant(random.normal(size=(5, 3)))
X = random.normal(size=(5, 4))
W = random.normal(size=(4, 3))
B = random.normal(size=3)
Z = random.normal(size=(5, 3))
P = random.uniform(0.1, 0.9, size=(5, 3))
Y = (random.random(size=(5, 3)) < 0.5).astype(float)


def differences(operation, at):
    """Differentiate sum(upstream * operation(at)) entry by entry."""
    result = np.empty_like(at)
    for index in np.ndindex(at.shape):
        sides = []
        for sign in (+1, -1):
            moved = at.copy()
            moved[index] += sign * WIDTH
            sides.append(float(np.sum(UPSTREAM * operation(moved))))
        result[index] = (sides[0] - sides[1]) / (2 * WIDTH)
    return result


@pytest.mark.parametrize(
    ("got", "operation", "at"),
    [
        (
            d.cross_entropy_vjp(UPSTREAM, Y, P),
            lambda p: -Y * np.log(p) - (1 - Y) * np.log(1 - p),
            P,
        ),
        (d.sigmoid_vjp(UPSTREAM, tf.sigmoid(Z)), lambda z: 1 / (1 + np.exp(-z)), Z),
        (d.relu_vjp(UPSTREAM, Z), lambda z: np.maximum(z, 0), Z),
        (d.weights_vjp(UPSTREAM, X), lambda w: X @ w + B, W),
        (d.bias_vjp(UPSTREAM, tf.constant(B)), lambda b: X @ W + b, B),
        (d.inputs_vjp(UPSTREAM, W), lambda x: x @ W + B, X),
    ],
    ids=["cross_entropy", "sigmoid", "relu", "weights", "bias", "inputs"],
)
def test_formula(got, operation, at):
    np.testing.assert_allclose(got, differences(operation, at), rtol=1e-7, atol=1e-8)


def test_relu_at_zero():
    zero = tf.constant([[0.0, -0.0, 1e-30, -1e-30]])
    np.testing.assert_array_equal(d.relu_vjp(tf.ones((1, 4)), zero), [[0, 0, 1, 0]])
