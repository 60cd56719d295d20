"""The network in plain NumPy, written apart from the TensorFlow code.

In float64 it is the reference that every gradient is verified against; in float32 it is the
control, a step that no change of TensorFlow can move.  All functions work in the dtype of their
arguments; ``variables`` is a sequence of (weights, bias) arrays, ``inputs`` is
(batch, widths[0]) and ``targets`` (batch, 1).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Arrays = tuple[tuple[Array, Array], ...]


def layer_outs(inputs: Array, variables: Arrays) -> list[Array]:
    """Compute every layer's output before its nonlinearity; the last is the (batch, 1) logit."""
    outputs: list[Array] = []
    x = inputs
    for weights, bias in variables:
        outputs.append(x @ weights + bias)
        x = np.maximum(outputs[-1], 0)
    return outputs


def mean_loss(inputs: Array, targets: Array, variables: Arrays) -> float:
    """Compute the mean binary cross-entropy from the logits z: log(1 + exp(z)) - y z.

    This form stays finite where the sigmoid rounds to 0 or 1.
    """
    logits = layer_outs(inputs, variables)[-1]
    return float(np.mean(np.logaddexp(0, logits) - targets * logits))


def step(inputs: Array, targets: Array, variables: Arrays) -> tuple[float, Arrays]:
    """Compute the mean loss and its gradients, nested as the variables are.

    By matrix calculus: with D_l the derivative of the loss by layer l's output and H_l its
    input, dL/dW_l = H_l^T D_l, dL/db_l is D_l summed over the batch, and
    D_(l-1) = (D_l W_l^T) where H_l > 0, from D_last = (p - y) / batch
    (Goodfellow et al. 2016, section 6.5.4).
    """
    layers = layer_outs(inputs, variables)
    hidden = [inputs, *(np.maximum(layer, 0) for layer in layers[:-1])]
    logits = layers[-1]
    loss = float(np.mean(np.logaddexp(0, logits) - targets * logits))

    # exp(-|z|) cannot overflow; either form is the sigmoid on its side of zero.
    decay = np.exp(-np.abs(logits))
    predictions = np.where(logits >= 0, 1, decay) / (1 + decay)
    delta = (predictions - targets) / inputs.dtype.type(len(inputs))
    gradients: list[tuple[Array, Array]] = []
    for (weights, _), h in zip(reversed(variables), reversed(hidden), strict=True):
        gradients.append((h.T @ delta, delta.sum(axis=0)))
        delta = (delta @ weights.T) * (h > 0)
    return loss, tuple(reversed(gradients))


def sum_magnitudes(inputs: Array, targets: Array, variables: Arrays) -> Arrays:
    """Sum the magnitudes of the terms that each gradient entry is a sum of over the batch.

    How far this exceeds the gradient itself is the condition number of that sum: the factor by
    which cancellation blows up rounding errors (Higham 2002, section 4.2).
    """
    layers = layer_outs(inputs, variables)
    hidden = [inputs, *(np.maximum(layer, 0) for layer in layers[:-1])]
    delta = (1 / (1 + np.exp(-layers[-1])) - targets) / inputs.dtype.type(len(inputs))
    sums: list[tuple[Array, Array]] = []
    for (weights, _), h in zip(reversed(variables), reversed(hidden), strict=True):
        sums.append((np.abs(h).T @ np.abs(delta), np.abs(delta).sum(axis=0)))
        delta = (delta @ weights.T) * (h > 0)
    return tuple(reversed(sums))


def central_difference(
    inputs: Array, targets: Array, variables: Arrays, entry: tuple[int, int, int], width: float
) -> float:
    """Differentiate the mean loss by one parameter: (L(v + width) - L(v - width)) / (2 width).

    ``entry`` is (layer, 0 for weights or 1 for bias, flat index).  It knows no derivative at
    all, so it checks every formula; its own error is about width^2 by truncation and
    u |L| / width by rounding, u being the unit roundoff.
    """
    layer, kind, index = entry
    losses = []
    for sign in (+1, -1):
        moved = [[array.copy() for array in pair] for pair in variables]
        moved[layer][kind].flat[index] += sign * width
        losses.append(mean_loss(inputs, targets, tuple((w, b) for w, b in moved)))
    return (losses[0] - losses[1]) / (2 * width)


def sgd(
    inputs: Array, targets: Array, variables: Arrays, steps: int, learning_rate: float
) -> Arrays:
    """Take ``steps`` plain gradient-descent steps and return the variables they lead to."""
    for _ in range(steps):
        _, gradients = step(inputs, targets, variables)
        variables = tuple(
            (weights - learning_rate * d_weights, bias - learning_rate * d_bias)
            for (weights, bias), (d_weights, d_bias) in zip(variables, gradients, strict=True)
        )
    return variables


def as_arrays(variables: Sequence[Sequence[object]], dtype: str = "float64") -> Arrays:
    """Copy nested variables, tensors or arrays into NumPy arrays of ``dtype``."""
    return tuple(
        (np.array(weights, dtype=dtype), np.array(bias, dtype=dtype)) for weights, bias in variables
    )
