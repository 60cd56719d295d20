"""The gradients: how the six derivatives are computed.

A gradient is a forward and a backward function and one entry in :data:`GRADIENTS`; the suite, the
oracles, the reports and the command line pick it up from there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.measuring import checks, derivatives
from manualbp.measuring.network import Variables, forward

BOTH_AXES = np.array([0, 1], "int32")
"""An array, for a list is converted anew in every call: 22 µs instead of 9, in eager mode."""

Forward = Callable[[Variables, tf.Tensor, tf.Tensor], tuple[tf.Tensor, Any]]
Backward = Callable[[Variables, Any, tf.Tensor, int], Variables]


@dataclass(frozen=True)
class Gradient:
    """A way to compute the gradients of the mean loss.

    ``forward(variables, inputs, targets)`` returns the mean loss, a scalar, and whatever its
    ``backward(variables, stored, targets, batch_size)`` needs; that returns the gradients,
    nested as the variables are, each divided by ``batch_size``.  ``replay`` is a forward whose
    stored data serves several backward passes, where ``forward`` allows only one.
    """

    forward: Forward
    backward: Backward
    summary: str
    replay: Forward | None = None


def tape_forward(
    variables: Variables, inputs: tf.Tensor, targets: tf.Tensor, *, persistent: bool = False
) -> tuple[tf.Tensor, Any]:
    """Run the forward pass under a tape, as TensorFlow's guides do."""
    with tf.GradientTape(persistent=persistent) as tape:
        loss = tf.reduce_mean(forward(inputs, targets, variables)[0])
    return loss, (tape, loss)


def tape_backward(
    variables: Variables, stored: Any, targets: tf.Tensor, batch_size: int
) -> Variables:
    """Ask the tape.  The mean it recorded has divided by the batch already."""
    tape, loss = stored
    gradients: Variables = tape.gradient(loss, variables)
    return gradients


def chain_forward(
    variables: Variables, inputs: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, Any]:
    """Run the exercise's forward pass, which keeps every intermediate result."""
    results = forward(inputs, targets, variables)
    return tf.reduce_mean(results[0]), results


def chain_backward(
    variables: Variables, stored: Any, targets: tf.Tensor, batch_size: int
) -> Variables:
    """Chain the local derivatives from the loss back to the first layer, as the exercise does."""
    loss, predictions, _, *hidden, inputs = stored
    # nonlinearity2_out, layer2_out, nonlinearity1_out, layer1_out, inputs: the input of each
    # layer from the last to the first, and between two of them the layer that it came from.
    layer_inputs = [*hidden[0::2], inputs]
    layer_outs = hidden[1::2]

    # dL/dL = 1 for every example, divided by batch_size here, where it divides everything.
    upstream = tf.ones_like(loss) / batch_size
    upstream = derivatives.cross_entropy_vjp(upstream, targets, predictions)
    upstream = derivatives.sigmoid_vjp(upstream, predictions)
    gradients = []
    for number in reversed(range(len(variables))):
        weights, bias = variables[number]
        layer_input = layer_inputs[-1 - number]
        gradients.append(
            (
                derivatives.weights_vjp(upstream, layer_input),
                derivatives.bias_vjp(upstream, bias),
            )
        )
        if number > 0:
            upstream = derivatives.inputs_vjp(upstream, weights)
            upstream = derivatives.relu_vjp(upstream, layer_outs[-number])
    return tuple(reversed(gradients))


def compute_gradients(
    variables: Any, data_from_forward: Any, target: Any, batch_size: int = 1
) -> Variables:
    """Compute the gradient of the loss by the chain rule, one local derivative after the other.

    Parameters
    ----------
    variables
        One (weights, bias) pair per layer.
    data_from_forward
        What ``compute_forward_pass`` returned for these variables.
    target
        (batch, 1), every entry 0 or 1: tensor, NumPy array or list.
    batch_size
        Divides every gradient: the number of examples gives the gradient of the mean loss, 1
        that of their sum.

    Returns
    -------
    tuple
        The gradients, nested and shaped as ``variables``.

    Raises
    ------
    TypeError, ValueError
        As ``compute_forward_pass`` raises them, and when ``data_from_forward`` or
        ``batch_size`` is not what it has to be.

    """
    variables = checks.check_variables(variables)
    stored = checks.check_forward_data(data_from_forward, variables)
    target = checks.check_targets(target, stored[0])
    return chain_backward(variables, stored, target, checks.check_batch_size(batch_size))


def fused_forward(
    variables: Variables, inputs: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, Any]:
    """Run the forward pass in the fewest operations, keeping only what the backward pass needs.

    Raw operations skip the Python layer above each kernel, and each variable is read once.  With
    targets 0 or 1 the loss of an example is -log(1 - |p - y|), so that p - y, the derivative
    with respect to the logit, is computed once for both passes.
    """
    raw = tf.raw_ops
    outputs = inputs
    layer_inputs, weights_read = [], []
    last = len(variables) - 1
    for number, (weights_variable, bias_variable) in enumerate(variables):
        weights = raw.ReadVariableOp(resource=weights_variable.handle, dtype=inputs.dtype)
        bias = raw.ReadVariableOp(resource=bias_variable.handle, dtype=inputs.dtype)
        layer_inputs.append(outputs)
        weights_read.append(weights)
        layer_out = raw.BiasAdd(value=raw.MatMul(a=outputs, b=weights), bias=bias)
        outputs = raw.Sigmoid(x=layer_out) if number == last else raw.Relu(features=layer_out)
    error = raw.Sub(x=outputs, y=targets)
    # Not Log1p(-|p - y|): with it XLA's forward pass takes half as long again at batch 32768.
    likelihood = raw.AddV2(x=raw.Neg(x=raw.Abs(x=error)), y=1.0)
    log_likelihood = raw.Log(x=likelihood)
    loss = raw.Neg(x=raw.Mean(input=log_likelihood, axis=BOTH_AXES))
    return loss, (layer_inputs, weights_read, error)


def fused_backward(
    variables: Variables, stored: Any, targets: tf.Tensor, batch_size: int
) -> Variables:
    """Go back from p - y, the loss's and the sigmoid's derivatives multiplied out.

    (-y/p + (1 - y)/(1 - p)) p (1 - p) = p - y.  ReluGrad needs the sign of the layer only, which
    its output has as well.
    """
    raw = tf.raw_ops
    layer_inputs, weights_read, error = stored
    upstream = error if batch_size == 1 else raw.Mul(x=error, y=1 / batch_size)
    gradients = []
    for number in reversed(range(len(weights_read))):
        layer_input = layer_inputs[number]
        gradients.append(
            (
                raw.MatMul(a=layer_input, b=upstream, transpose_a=True),
                raw.Sum(input=upstream, axis=0),
            )
        )
        if number > 0:
            upstream = raw.MatMul(a=upstream, b=weights_read[number], transpose_b=True)
            upstream = raw.ReluGrad(gradients=upstream, features=layer_input)
    return tuple(reversed(gradients))


GRADIENTS = {
    "tape": Gradient(
        tape_forward,
        tape_backward,
        "tf.GradientTape, the baseline",
        replay=partial(tape_forward, persistent=True),
    ),
    "chain": Gradient(
        chain_forward, chain_backward, "the exercise's chain rule, bitwise equal to the eager tape"
    ),
    "fused": Gradient(
        fused_forward, fused_backward, "p - y, ReluGrad and raw operations, written to be fast"
    ),
}
