"""Loss and gradients of a workload in float64, and how far two lists of gradients are apart."""

import numpy as np
import tensorflow as tf


def draw(workload, batch, dtype="float64"):
    """Variables and data as arrays of one dtype, labels as they are."""

    def of_dtype(array):
        return array.astype(dtype) if array.dtype.kind == "f" else array

    random = np.random.default_rng(1)
    drawn = workload.variables(random), workload.data(random, batch)
    return tf.nest.map_structure(of_dtype, drawn)


def step(workload, gradient, mode, batch, dtype="float64"):
    """The loss and the flat list of gradients of one step, as NumPy arrays."""
    variables, data = draw(workload, batch, dtype)
    variables = tf.nest.map_structure(tf.Variable, variables)
    function = traced(workload.gradients[gradient](variables, batch), mode)
    loss, gradients = function(*map(tf.constant, data))
    tf.nest.assert_same_structure(gradients, variables)
    return float(loss), [array.numpy() for array in tf.nest.flatten(gradients)]


def traced(gradient, mode):
    """A gradient as a function in one mode."""

    def loss_and_gradients(*data):
        return gradient(*data)

    if mode == "eager":
        return loss_and_gradients
    return tf.function(loss_and_gradients, jit_compile=mode == "xla", autograph=False)


def off_by_a_thousandth(function):
    """A function whose results, however nested, are wrong by 0.1 %."""

    def off(*operands):
        return tf.nest.map_structure(lambda result: 1.001 * result, function(*operands))

    return off


def distance(gradients, expected):
    """The largest error of any tensor, each relative to its largest entry."""
    return max(
        np.abs(a - b).max() / np.abs(b).max() for a, b in zip(gradients, expected, strict=True)
    )


def slopes(workload, batch, step=1e-6):
    """Central differences of the loss in float64, each along a random direction in one tensor.

    Returns the directions and the slopes, one for each tensor, in the order of the gradients.
    """
    variables, data = draw(workload, batch)
    flat = tf.nest.flatten(variables)
    random = np.random.default_rng(3)
    directions = [random.normal(size=array.shape) for array in flat]

    def loss_beside(place, distance):
        moved = [
            array + distance * direction if number == place else array
            for number, (array, direction) in enumerate(zip(flat, directions, strict=True))
        ]
        moved = tf.nest.map_structure(tf.constant, tf.nest.pack_sequence_as(variables, moved))
        return float(workload.loss(moved, *map(tf.constant, data)))

    return directions, [
        (loss_beside(place, step) - loss_beside(place, -step)) / (2 * step)
        for place in range(len(flat))
    ]


def compute(workload, name, variables, data, compiled=False):
    """Loss and gradients by a gradient's name, at given variables and data."""
    gradient = workload.gradients[name](variables, None)
    return traced(gradient, "xla" if compiled else "eager")(*data)


def distance_from_tape(workload, name, batch, dtype="float64", compiled=False):
    """The largest relative error of loss and gradients; the tape's are eager and in float64."""
    wanted_loss, wanted = step(workload, "tape", "eager", batch)
    loss, gradients = step(workload, name, "xla" if compiled else "eager", batch, dtype)
    return max(abs(loss / wanted_loss - 1), distance(gradients, wanted))


def distances_from_differences(workload, name, batch):
    """Each tensor's error along a random direction, relative to the central difference.

    Rounding leaves about 1e-16 / step in a difference, which matters where a derivative is small.
    """
    _, gradients = step(workload, name, "eager", batch)
    directions, expected = slopes(workload, batch, step=3e-5)
    got = [np.vdot(a, b) for a, b in zip(gradients, directions, strict=True)]
    return [abs(a - b) / abs(b) for a, b in zip(got, expected, strict=True)]
