"""The exercise with TensorFlow's loss of logits, finite where a sigmoid rounds to 0 or 1.

The exercise takes the logarithm of a probability: from z = 17 on its sigmoid is 1 in float32, and
loss and gradients are not finite even where the prediction is right.  The loss of the logit z with
target y, log(1 + exp(z)) - y z, written as max(z, 0) - y z + log(1 + exp(-|z|)), is finite for
every z (``tf.nn.sigmoid_cross_entropy_with_logits``).
"""

from typing import Any

import tensorflow as tf

from manualbp.exercise import fused, network
from manualbp.workload import Nest
from manualbp.workloads import exercise


def mean_loss(variables: Nest, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return the mean loss of the logits over the batch."""
    logits = network.forward_to_logits(inputs, variables)[0]
    losses: Any = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    return tf.reduce_mean(losses)


workload = exercise.make((2, 12, 32, 1), batches=(1, 8, 64, 512, 4096, 32768), loss=mean_loss)


@workload.gradient
class Fused(exercise.Fused):
    """As the exercise's, from the derivative of the loss of logits."""

    loss_of = staticmethod(fused.loss_of_logits)
