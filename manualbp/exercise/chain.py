"""``chain``: the backward pass of the exercise, by the chain rule and nothing else."""

from typing import Any

import tensorflow as tf

from manualbp.exercise import checks, derivatives
from manualbp.exercise.network import Variables


def backward(variables: Variables, stored: Any, targets: tf.Tensor, batch_size: int) -> Variables:
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
    return backward(variables, stored, target, checks.check_batch_size(batch_size))
