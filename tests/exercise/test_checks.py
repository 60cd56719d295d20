"""Each wrong input gets an exception that says what was expected and what came."""

import numpy as np
import pytest
import tensorflow as tf

from manualbp import compute_forward_pass, compute_gradients, make_variables

X, Y = [[0.3, 0.9], [0.1, 0.2]], [[1.0], [0.0]]


@pytest.fixture
def data(variables):
    return compute_forward_pass(X, Y, variables)


@pytest.mark.parametrize(
    ("inputs", "targets", "error", "message"),
    [
        ([[1, 2]], [[1.0]], TypeError, "inputs must be float32 or float64, got int64"),
        (X, [[1], [0]], TypeError, "targets must be float32 or float64, got int64"),
        (["a"], Y, TypeError, "inputs must be float32 or float64"),
        ([[1.0], [1.0, 2.0]], Y, ValueError, "inputs must be an array of numbers"),
        (tf.constant(X, tf.float64), Y, TypeError, "float32 as the variables are, got float64"),
        ([[1.0, 2.0, 3.0]], [[1.0]], ValueError, r"inputs must be \(batch, 2\).*got \(1, 3\)"),
        ([1.0, 2.0], [[1.0]], ValueError, r"inputs must be \(batch, 2\).*got \(2,\)"),
        (X, [[1.0]], ValueError, r"targets must be \(2, 1\).*got \(1, 1\)"),
        (X, [1.0, 0.0], ValueError, r"targets must be \(2, 1\).*got \(2,\).*broadcast"),
        (X, [[1.0], [0.5]], ValueError, r"targets must be 0 or 1, got 0.5 at \(1, 0\)"),
        (X, [[1.0], [np.nan]], ValueError, "targets must be 0 or 1, got nan"),
        (np.zeros((0, 2), "float32"), np.zeros((0, 1), "float32"), ValueError, "at least one"),
    ],
)
def test_inputs_and_targets(inputs, targets, error, message, variables):
    with pytest.raises(error, match=message):
        compute_forward_pass(inputs, targets, variables)


@pytest.mark.parametrize(
    ("widths", "error", "message"),
    [
        ((2,), ValueError, "at least an input and an output"),
        ((2, 12, 3), ValueError, r"last width must be 1.*got \(2, 12, 3\)"),
        ((2, 0, 1), ValueError, "at least 1"),
        ((2, 1.5, 1), TypeError, "whole numbers, got 1.5"),
        ((2, True, 1), TypeError, "whole numbers, got True"),
    ],
)
def test_widths(widths, error, message):
    with pytest.raises(error, match=message):
        make_variables(widths)


@pytest.mark.parametrize("dtype", ["int32", "float16", "nonsense"])
def test_dtype(dtype):
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        make_variables(dtype=dtype)


@pytest.mark.parametrize(
    ("variables", "error", "message"),
    [
        ((), ValueError, "at least one"),
        (3, ValueError, "tuple of .weights, bias. pairs"),
        ((tf.ones((3, 1)),), ValueError, "tuple of .weights, bias. pairs"),
        (((tf.ones(2), tf.ones(1)),), ValueError, r"weights of layer 1 must be \(fan_in, fan_out"),
        (((tf.ones((2, 1)), tf.ones(3)),), ValueError, r"bias of layer 1 must be \(1,\)"),
        (
            ((tf.ones((2, 3)), tf.ones(3)), (tf.ones((4, 1)), tf.ones(1))),
            ValueError,
            "layer 2 takes 4 inputs, but layer 1 has 3 outputs",
        ),
        (((tf.ones((2, 3)), tf.ones(3)),), ValueError, "last width must be 1"),
        (((tf.ones((2, 1), tf.int32), tf.ones(1)),), TypeError, "weights of layer 1 must be float"),
        (
            ((tf.ones((2, 1)), tf.ones(1, tf.float64)),),
            TypeError,
            "bias of layer 1 must be float32 as the variables are",
        ),
    ],
)
def test_variables(variables, error, message):
    with pytest.raises(error, match=message):
        compute_forward_pass(X, Y, variables)


@pytest.mark.parametrize(
    ("batch_size", "error", "message"),
    [
        (0, ValueError, "at least 1, got 0"),
        (1.0, TypeError, "an int, got float 1.0"),
        (True, TypeError, "an int, got bool True"),
        ("2", TypeError, "an int, got str"),
    ],
)
def test_batch_size(batch_size, error, message, variables, data):
    with pytest.raises(error, match=message):
        compute_gradients(variables, data, Y, batch_size=batch_size)


def test_forward_data(variables, data):
    with pytest.raises(ValueError, match=r"the 8 results of compute_forward_pass.*got 7"):
        compute_gradients(variables, data[1:], Y)
    with pytest.raises(ValueError, match=r"data_from_forward\[1\] must be"):
        compute_gradients(variables, (data[0], data[3], *data[2:]), Y)
    with pytest.raises(ValueError, match=r"targets must be \(2, 1\)"):
        compute_gradients(variables, data, [[1.0]])
