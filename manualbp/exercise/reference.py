"""The network in plain NumPy, written apart from the TensorFlow code.

In float64 it is a reference that gradients are verified against; in float32 it is the control, a
step that no change of TensorFlow can move.  All functions work in the dtype of their arguments;
``variables`` is a sequence of (weights, bias) arrays, ``inputs`` is (batch, widths[0]) and
``targets`` (batch, 1).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Arrays = tuple[tuple[Array, Array], ...]


def layer_outs(variables: Arrays, inputs: Array) -> list[Array]:
    """Compute every layer's output before its nonlinearity; the last is the (batch, 1) logit."""
    outputs: list[Array] = []
    x = inputs
    for weights, bias in variables:
        outputs.append(x @ weights + bias)
        x = np.maximum(outputs[-1], 0)
    return outputs


def step(variables: Arrays, inputs: Array, targets: Array) -> tuple[float, Arrays]:
    """Compute the mean loss and its gradients, nested as the variables are.

    By matrix calculus: with D_l the derivative of the loss by layer l's output and H_l its
    input, dL/dW_l = H_l^T D_l, dL/db_l is D_l summed over the batch, and
    D_(l-1) = (D_l W_l^T) where H_l > 0, from D_last = (p - y) / batch
    (Goodfellow et al. 2016, section 6.5.4).
    """
    layers = layer_outs(variables, inputs)
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


def distance_from_kinks(variables: Arrays, inputs: Array, targets: Array) -> Array:
    """Return how near each example comes to a ReLU's kink: its smallest argument, (batch,)."""
    hidden = layer_outs(variables, inputs)[:-1]
    nearest: Array = np.min([np.abs(layer).min(axis=1) for layer in hidden], axis=0)
    return nearest
