"""How far a gradient by hand is from the tape's and from central differences."""

import numpy as np
import tensorflow as tf

from manualbp.cases import BASELINE


def problem(workload, batch, dtype="float64"):
    """Return variables and data of a workload, drawn from a fixed seed."""
    random = np.random.default_rng(17)
    drawn = workload.variables(random)
    variables = tf.nest.map_structure(lambda one: tf.Variable(one, dtype=dtype), drawn)
    return variables, tuple(tf.constant(one, dtype) for one in workload.data(random, batch))


def compute(workload, name, variables, data, compiled=False):
    """Return loss and gradients by a gradient's name."""
    gradient = workload.gradients[name](variables, None)
    if not compiled:
        return gradient(*data)
    return tf.function(lambda: gradient(*data), jit_compile=True, autograph=False)()


def distance_from_tape(workload, name, batch, dtype="float64", compiled=False):
    """Return the largest relative error, of the loss and of each tensor to its largest entry.

    The tape differentiates in float64, eagerly.
    """
    expected = tf.nest.flatten(compute(workload, BASELINE, *problem(workload, batch)))
    variables, data = problem(workload, batch, dtype)
    loss, gradients = compute(workload, name, variables, data, compiled)
    tf.nest.assert_same_structure(gradients, variables)
    return max(
        np.abs(one.numpy() - other.numpy()).max() / np.abs(other.numpy()).max()
        for one, other in zip(tf.nest.flatten((loss, gradients)), expected, strict=True)
    )


def distances_from_differences(workload, name, batch, step=3e-5):
    """Return each tensor's error along a random direction, relative to the central difference.

    Rounding leaves about 1e-16 / step in a difference, which matters where a derivative is small.
    """
    variables, data = problem(workload, batch)
    _, gradients = compute(workload, name, variables, data)
    random = np.random.default_rng(29)
    errors = []
    pairs = zip(tf.nest.flatten(variables), tf.nest.flatten(gradients), strict=True)
    for variable, gradient in pairs:
        direction, at = random.normal(size=variable.shape), variable.numpy()
        sides = []
        for sign in (1, -1):
            variable.assign(at + sign * step * direction)
            sides.append(workload.loss(variables, *data).numpy())
        variable.assign(at)
        difference = (sides[0] - sides[1]) / (2 * step)
        errors.append(abs(np.sum(gradient.numpy() * direction) - difference) / abs(difference))
    return errors
