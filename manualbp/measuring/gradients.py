"""The gradients: how the six derivatives are computed.

A gradient is a forward and a backward function and one entry in :data:`GRADIENTS`; the suite, the
oracles, the reports and the command line pick it up from there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from manualbp.measuring import augmented, checks, derivatives, fused, packed
from manualbp.measuring.network import Variables, forward, forward_to_logits

Forward = Callable[[Any, tf.Tensor, tf.Tensor], tuple[tf.Tensor, Any]]
Backward = Callable[[Any, Any, tf.Tensor, int], Any]


def _as_it_is(own: Any, *_: Any) -> Any:
    return own


@dataclass(frozen=True)
class Layout:
    """How a gradient keeps the variables.

    ``pack(variables)`` makes its own from the exercise's; ``trainable(own)`` are the
    ``tf.Variable`` among them, nested as the gradients are; ``unpack(nested, variables)`` reads
    what is nested so as the exercise nests it, for shapes as those of ``variables``.
    ``of_parameters(gradients)`` are the gradients to train with, where some are of no parameter.
    """

    pack: Callable[[Variables], Any] = _as_it_is
    unpack: Callable[[Any, Variables], Variables] = _as_it_is
    trainable: Callable[[Any], Any] = _as_it_is
    of_parameters: Callable[[Any], Any] = _as_it_is


@dataclass(frozen=True)
class Gradient:
    """A way to compute the gradients of the mean loss.

    ``forward(variables, inputs, targets)`` returns the mean loss, a scalar, and whatever its
    ``backward(variables, stored, targets, batch_size)`` needs; that returns the gradients,
    nested as the variables are, each divided by ``batch_size``.  ``layout`` says how both want
    the variables, by default as the exercise nests them.  ``replay`` is a forward whose stored
    data serves several backward passes, where ``forward`` allows only one.
    """

    forward: Forward
    backward: Backward
    summary: str
    layout: Layout = Layout()
    replay: Forward | None = None


def tape_forward(
    variables: Variables, inputs: tf.Tensor, targets: tf.Tensor, *, persistent: bool = False
) -> tuple[tf.Tensor, Any]:
    """Run the forward pass under a tape, as TensorFlow's guides do."""
    with tf.GradientTape(persistent=persistent) as tape:
        loss = tf.reduce_mean(forward(inputs, targets, variables)[0])
    return loss, (tape, loss)


def stable_tape_forward(
    variables: Variables, inputs: tf.Tensor, targets: tf.Tensor, *, persistent: bool = False
) -> tuple[tf.Tensor, Any]:
    """Run the forward pass up to the logits and TensorFlow's own loss of logits under a tape."""
    with tf.GradientTape(persistent=persistent) as tape:
        logits = forward_to_logits(inputs, variables)[0]
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
        loss = tf.reduce_mean(losses)
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
        partial(fused.forward, loss_of=fused.loss_of_predictions),
        fused.backward,
        "p - y, ReluGrad and raw operations, written to be fast",
    ),
    "augmented": Gradient(
        augmented.forward,
        augmented.backward,
        "a bias is a row of its weights: no additions, no sums; the fastest eager and in a graph",
        layout=Layout(augmented.pack, augmented.unpack, of_parameters=augmented.of_parameters),
    ),
    "packed": Gradient(
        packed.forward,
        packed.backward,
        "one vector of parameters, one of gradients: the fastest under XLA",
        layout=Layout(packed.Packed, packed.unpack, trainable=lambda own: own.vector),
    ),
    "stable": Gradient(
        partial(fused.forward, loss_of=fused.loss_of_logits),
        fused.backward,
        "as fused, from the logits: finite where the exercise's formula is not",
    ),
    "stable_tape": Gradient(
        stable_tape_forward,
        tape_backward,
        "tf.GradientTape with TensorFlow's loss of logits, the baseline of stable",
        replay=partial(stable_tape_forward, persistent=True),
    ),
}
