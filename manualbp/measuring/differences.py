"""Central differences of the loss: the oracle that knows no derivative at all.

In float64, (L(v + h d) - L(v - h d)) / (2 h) along a direction d.  Its own error is about h^2 by
truncation and u |L| / h by rounding; how large the first is, the same difference at 2 h tells.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.measuring.oracle import TensorError, VerificationError
from manualbp.measuring.problem import Problem
from manualbp.workload import Nest

WIDTH = 5e-6
"""About the cube root of float64's roundoff, where a central difference is most exact."""

TOLERANCE = 1e-6
"""Of the largest entry: a hundred times the difference's own error for functions of size 1, and a
thousandth of what a formula wrong by 0.1 % shows."""

DIRECTIONS = 2
"""Random directions in each tensor, which a wrong entry anywhere in it shows in."""


def difference_errors(
    problem: Problem, gradients: Nest, *, entries: int = 8, seed: int = 0
) -> list[TensorError]:
    """Compare float64 gradients with central differences, tensor by tensor.

    Along random directions; and by single entries, all of a tensor of at most ``entries`` and as
    many drawn at random, and the largest, of another.  ``got`` and ``expected`` of the error are
    the derivative along the direction that is worst, the index is flat, and empty where that is
    not a single entry's.
    """
    if problem.dtype != np.float64:
        raise VerificationError("differences need gradients in float64")
    random = np.random.default_rng(seed)
    flat = [np.asarray(tf.convert_to_tensor(one)) for one in tf.nest.flatten(gradients)]
    variables = tf.nest.flatten(problem.variables)
    found = []
    for name, variable, gradient in zip(problem.names(), variables, flat, strict=True):
        value = variable.numpy()
        errors = []
        for index, direction in _directions(gradient, entries, random):
            wanted, doubt = _derivative(problem, variable, value, direction)
            got = float(np.vdot(gradient, direction))
            size = max(float(np.abs(gradient).max()) * float(np.abs(direction).sum()) ** 0.5, doubt)
            error = abs(got - wanted)
            tolerance = TOLERANCE + 4 * doubt / size if size > 0 else 0.0
            relative = error / size if size > 0 else 0.0
            ulp = error / float(np.spacing(size)) if size > 0 else 0.0
            errors.append(TensorError(name, relative, ulp, tolerance, index, got, wanted))
        found.append(max(errors, key=lambda one: one.relative - one.tolerance))
    return found


def _directions(gradient: Any, entries: int, random: np.random.Generator) -> Any:
    """Yield (flat index or nothing, direction): random signs, then single entries."""
    for _ in range(DIRECTIONS):
        yield (), random.choice((-1.0, 1.0), gradient.shape)
    chosen = random.choice(gradient.size, min(entries, gradient.size), replace=False)
    for index in np.union1d(chosen, [np.abs(gradient).argmax()]):
        direction = np.zeros(gradient.shape)
        direction.flat[index] = 1.0
        yield (int(index),), direction


def _derivative(problem: Problem, variable: Any, value: Any, direction: Any) -> tuple[float, float]:
    """Return the loss's derivative along a direction, and how far it is to be doubted."""

    def loss(step: float) -> float:
        variable.assign(value + step * direction)
        with tf.device(problem.device):
            return float(problem.workload.loss(problem.variables, *problem.data))

    try:
        near, far = ((loss(width) - loss(-width)) / (2 * width) for width in (WIDTH, 2 * WIDTH))
    finally:
        variable.assign(value)
    rounding = np.finfo("float64").eps * abs(loss(0.0)) / WIDTH
    # The error by truncation at 2 h is four times that at h: their difference is three times it.
    return near, abs(far - near) / 3 + rounding
