"""``fused``: the exercise's variables, and the fewest operations on them.

Raw operations skip the Python layer above each kernel: in eager mode a step takes 0.63 of the time
up to batch 512.  Such gains, in comments here and beside, are of this form over the one it
replaced, by ``docs/studies/tricks.py`` on two cores with TensorFlow 2.21.0; what was tried and
dropped is in ``docs/where-the-time-goes.md``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.exercise.network import Variables

raw = tf.raw_ops

BOTH_AXES = np.array([0, 1], "int32")
"""An array, for a list is converted anew in every call: 22 µs instead of 9, in eager mode."""

Parameters = Sequence[tuple[tf.Tensor, tf.Tensor]]
"""The values of the variables: (weights, bias) of each layer."""

Loss = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""Takes logits and targets, returns the mean loss and p - y."""


def read(variables: Variables, dtype: tf.DType) -> Parameters:
    """Read every variable once: a variable used twice is read twice otherwise."""

    def value(variable: Any) -> tf.Tensor:
        return raw.ReadVariableOp(resource=variable.handle, dtype=dtype)

    return [(value(weights), value(bias)) for weights, bias in variables]


def layers(parameters: Parameters, inputs: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Compute the logits, (batch, 1), and the input of every layer."""
    layer_inputs: list[tf.Tensor] = []
    outputs = inputs
    for number, (weights, bias) in enumerate(parameters):
        if number > 0:
            outputs = raw.Relu(features=outputs)
        layer_inputs.append(outputs)
        outputs = raw.BiasAdd(value=raw.MatMul(a=outputs, b=weights), bias=bias)
    return outputs, layer_inputs


def loss_of_predictions(logits: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the mean loss and p - y, its derivative by each logit before the mean.

    With targets 0 or 1 the loss of an example is -log(1 - |p - y|), so that p - y serves both
    passes; and (-y/p + (1 - y)/(1 - p)) p (1 - p) = p - y.
    """
    error = raw.Sub(x=raw.Sigmoid(x=logits), y=targets)
    # Not Log1p(-|p - y|): with it XLA's forward pass takes half as long again at batch 32768.
    likelihood = raw.AddV2(x=raw.Neg(x=raw.Abs(x=error)), y=1.0)
    return raw.Neg(x=raw.Mean(input=raw.Log(x=likelihood), axis=BOTH_AXES)), error


def loss_of_logits(logits: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the mean loss and p - y, both finite and right for every finite logit.

    With s = 1 - 2 y, which is 1 where y = 0 and -1 where y = 1, the loss of an example is
    softplus(s z) = log(1 + exp(s z)) and its derivative by the logit z is s sigmoid(s z), which
    is p - y without the subtraction that cancels.

    Seven dispatches instead of nine, too: 0.94 of an eager step of ``augmented`` up to batch 512.
    """
    sign = raw.AddV2(x=raw.Mul(x=targets, y=-2.0), y=1.0)
    signed = raw.Mul(x=logits, y=sign)
    loss = raw.Mean(input=raw.Softplus(features=signed), axis=BOTH_AXES)
    return loss, raw.SoftplusGrad(gradients=sign, features=signed)


def forward(
    variables: Variables, inputs: tf.Tensor, targets: tf.Tensor, *, loss_of: Loss
) -> tuple[tf.Tensor, tuple[Any, ...]]:
    """Run the forward pass, keeping only what the backward pass needs."""
    parameters = read(variables, inputs.dtype)
    logits, layer_inputs = layers(parameters, inputs)
    loss, error = loss_of(logits, targets)
    return loss, (parameters, layer_inputs, error)


def backward(stored: Any, batch_size: int) -> Variables:
    """Go back from p - y, divided by ``batch_size``, to the gradients of all variables."""
    parameters, layer_inputs, error = stored
    return back(parameters, layer_inputs, scaled(error, batch_size))


def scaled(error: tf.Tensor, batch_size: int) -> tf.Tensor:
    """Divide by the batch, where it is the smallest tensor."""
    return error if batch_size == 1 else raw.Mul(x=error, y=1 / batch_size)


def back(
    parameters: Parameters, layer_inputs: Sequence[tf.Tensor], upstream: tf.Tensor
) -> Variables:
    """Go back through the layers from the derivative by the logits.

    ReluGrad needs the sign of the layer only, which its output has as well.
    """
    gradients = []
    for number in reversed(range(len(parameters))):
        layer_input = layer_inputs[number]
        weights_gradient = raw.MatMul(a=layer_input, b=upstream, transpose_a=True)
        gradients.append((weights_gradient, raw.Sum(input=upstream, axis=0)))
        if number > 0:
            upstream = raw.MatMul(a=upstream, b=parameters[number][0], transpose_b=True)
            upstream = raw.ReluGrad(gradients=upstream, features=layer_input)
    return tuple(reversed(gradients))
