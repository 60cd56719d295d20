"""The step in Keras, as its users do it: ``train_on_batch``, which also updates the weights.

What is timed includes what Keras does around the gradients: the SGD update, the metric of the loss
and its reset, and the loss as a Python number.
"""

from typing import Any

import keras
import tensorflow as tf

from manualbp.measuring import parts
from manualbp.measuring.problem import Problem, find_device
from manualbp.peers import Outputs, PeerNotFoundError, PeerStep

VERIFYING_RATE = 1024.0
"""The learning rate of the one step whose change of weights is compared with the gradient.

The change is the gradient times this, a power of two, so that nothing but the new weight is
rounded; at a small rate that rounding, divided by the rate, would be larger than the gradient's.
"""


def build(problem: Problem) -> PeerStep:
    """Build the network with the problem's variables, mean binary cross-entropy and plain SGD.

    ``PeerNotFoundError`` is raised where Keras is set to compute with another library.
    """
    if keras.backend.backend() != "tensorflow":
        raise PeerNotFoundError(
            f"peer 'keras' needs Keras on TensorFlow, but it is set to {keras.backend.backend()}: "
            "unset KERAS_BACKEND",
            name="keras",
        )
    device = find_device("CPU:0")
    inputs, targets = problem.data
    start = [array for pair in problem.arrays("float32")[0] for array in pair]
    with tf.device(device):
        model = make_model(problem)

    def step() -> Any:
        with tf.device(device):
            return model.train_on_batch(inputs, targets)

    def outputs() -> Outputs:
        model.set_weights(start)
        model.optimizer.learning_rate = VERIFYING_RATE
        loss = step()
        flat = [
            ((before.astype("float64") - after) / VERIFYING_RATE).astype("float32")
            for before, after in zip(start, model.get_weights(), strict=True)
        ]
        model.set_weights(start)
        model.optimizer.learning_rate = parts.LEARNING_RATE
        return loss, tuple(zip(flat[0::2], flat[1::2], strict=True))

    return PeerStep(step, outputs)


def make_model(problem: Problem) -> Any:
    """Return the compiled model, its layers as wide as the problem's."""
    widths = [int(weights.shape[1]) for weights, _ in problem.variables]
    model = keras.Sequential(
        [
            keras.Input((int(problem.data[0].shape[1]),)),
            *(keras.layers.Dense(width, activation="relu") for width in widths[:-1]),
            keras.layers.Dense(widths[-1], activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.SGD(parts.LEARNING_RATE), keras.losses.BinaryCrossentropy())
    return model
