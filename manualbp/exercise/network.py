"""The exercise's network: its variables and its forward pass."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.exercise import checks

Variables = tuple[tuple[Any, Any], ...]
"""One (weights, bias) pair per layer; weights (fan_in, fan_out), bias (fan_out,)."""


def make_variables(
    widths: Sequence[int] = (2, 12, 32, 1), *, seed: int = 0, dtype: Any = "float32"
) -> Variables:
    """Make the tuple of tuples of ``tf.Variable``, one (weights, bias) pair per layer.

    Weights are He-normal, N(0, 2 / fan_in) (He et al. 2015), and biases N(0, 0.1^2), so that
    logits stay small and no unit starts exactly on its kink.  (All-positive weights, such as
    ``tf.random.uniform`` gives, drive the prediction to exactly 1 and the loss to NaN.)

    The same ``seed`` gives the same values on every device and TensorFlow version; float32
    values are the rounded float64 ones.

    Raises
    ------
    ValueError
        When ``widths`` has fewer than two entries, an entry below 1, or does not end in 1; when
        ``dtype`` is neither float32 nor float64.
    TypeError
        When an entry of ``widths`` is not a whole number.
    """
    dtype = checks.check_dtype(dtype)
    values = initial_values(np.random.default_rng(seed), checks.check_widths(widths))
    return tuple(
        (tf.Variable(weights, dtype=dtype), tf.Variable(bias, dtype=dtype))
        for weights, bias in values
    )


def initial_values(random: np.random.Generator, widths: Sequence[int]) -> Variables:
    """Draw the float64 arrays that :func:`make_variables` makes variables of."""
    values = []
    for fan_in, fan_out in pairwise(widths):
        weights = random.normal(scale=np.sqrt(2 / fan_in), size=(fan_in, fan_out))
        values.append((weights, random.normal(scale=0.1, size=fan_out)))
    return tuple(values)


def compute_forward_pass(inputs: Any, targets: Any, variables: Any) -> tuple[tf.Tensor, ...]:
    """Compute the loss of every example and keep all intermediate results.

    Parameters
    ----------
    inputs
        (batch, widths[0]): tensor, NumPy array or list.
    targets
        (batch, 1), every entry 0 or 1: tensor, NumPy array or list.
    variables
        One (weights, bias) pair per layer, as :func:`make_variables` makes them; plain tensors
        and biases of shape (1, fan_out) do as well.

    Returns
    -------
    tuple
        ``(loss, nonlinearity3_out, layer3_out, nonlinearity2_out, layer2_out,
        nonlinearity1_out, layer1_out, inputs)`` for three layers, longer or shorter for
        others.  The loss is (batch, 1): -y log(p) - (1 - y) log(1 - p), the exercise's
        formula, which is NaN or infinite where the sigmoid rounds to 0 or 1.

    Raises
    ------
    TypeError
        When something is not floating point, or not of the variables' dtype.
    ValueError
        When shapes do not fit together, or a target is neither 0 nor 1 (checked in eager mode).
    """
    variables = checks.check_variables(variables)
    inputs = checks.check_inputs(inputs, variables)
    targets = checks.check_targets(targets, inputs)
    return forward(inputs, targets, variables)


def forward(inputs: tf.Tensor, targets: tf.Tensor, variables: Variables) -> tuple[tf.Tensor, ...]:
    """Do what :func:`compute_forward_pass` does, without its checks: this is what is timed."""
    logits, *results = forward_to_logits(inputs, variables)
    predictions = tf.nn.sigmoid(logits)
    loss = -targets * tf.math.log(predictions) - (1 - targets) * tf.math.log(1 - predictions)
    return (loss, predictions, logits, *results)


def forward_to_logits(inputs: tf.Tensor, variables: Variables) -> tuple[tf.Tensor, ...]:
    """Compute every layer; return the last one's output, (batch, 1), and the others back to it."""
    outputs = inputs
    results: tuple[tf.Tensor, ...] = (inputs,)
    for weights, bias in variables[:-1]:
        layer_out = outputs @ weights + bias
        outputs = tf.nn.relu(layer_out)
        results = (outputs, layer_out, *results)
    weights, bias = variables[-1]
    return (outputs @ weights + bias, *results)


def shapes_of(variables: Variables) -> list[tuple[int, ...]]:
    """List the shapes of weights and biases, layer by layer."""
    return [tuple(each.shape) for pair in variables for each in pair]
