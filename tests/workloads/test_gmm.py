"""The mixture of Gaussians agrees with ADBench's figures, its definition, and the tape."""

import math

import numpy as np
import pytest
import tensorflow as tf
from agreement import distance_from_tape, distances_from_differences

from manualbp.workloads import gmm

# ADBench's smallest instance and what its tests expect of it.  Copyright (c) Microsoft Corporation,
# MIT license; https://github.com/microsoft/ADBench at 38cb7931303a830c3700ca36ba9520868327ac87:
# data/gmm/test.txt (d = 2, k = 3, n = 1, gamma = 1, m = 0).
PUBLISHED_VARIABLES = {
    "alphas": [-0.649014, 1.181166, -0.758453],
    "means": [[0.092339, 0.186260], [0.345561, 0.396767], [0.538817, 0.419195]],
    "icf": [
        [0.586443, -0.851887, 0.800321],
        [-1.509405, 0.875874, -0.242790],
        [0.166813, -1.965419, -1.270071],
    ],
}
PUBLISHED_POINTS = [[1.175171, 2.029160]]
# test/python/modules/common/gmm_tests.py; the gradient by alphas, means, icf, row by row.
PUBLISHED_OBJECTIVE = 8.07380408004975791e00
PUBLISHED_GRADIENT = [
    *(1.08662855508652456e-01, -7.41270039523898472e-01, 6.32607184015246071e-01),
    *(1.11692576532787013e00, 1.63333013551455269e-01, -2.19989824071193142e-02),
    *(2.27778292254236098e-01, 1.20963025612832187e00, -6.06375920733956339e-02),
    *(2.58529994051162237e00, 1.12632694524213789e-01, 3.85744309849611777e-01),
    *(7.35180573182305508e-02, 5.41836362715595232e00, -3.21494409677446469e-01),
    *(1.71892309775004937e00, 8.60091090790866875e-01, -9.94640930466322848e-01),
]


def tensors(variables):
    return {name: tf.constant(value, tf.float64) for name, value in variables.items()}


def in_order(gradient):
    return np.concatenate([np.ravel(gradient[name]) for name in ("alphas", "means", "icf")])


def objective_in_loops(alphas, means, icf, points, gamma, m):
    """Compute ADBench's objective entry by entry, from its definition."""
    (n, d), k = points.shape, len(alphas)
    total = -n * d / 2 * math.log(2 * math.pi) - n * math.log(sum(map(math.exp, alphas)))
    factors = np.zeros((k, d, d))
    for component in range(k):
        for i in range(d):
            factors[component, i, i] = math.exp(icf[component, i])
        next_below = d
        for column in range(d):
            for row in range(column + 1, d):
                factors[component, row, column] = icf[component, next_below]
                next_below += 1
    for point in points:
        likelihood = 0.0
        for component in range(k):
            scaled = factors[component] @ (point - means[component])
            determinant = np.linalg.det(factors[component])
            likelihood += math.exp(alphas[component]) * determinant * math.exp(-scaled @ scaled / 2)
        total += math.log(likelihood)
    freedom = d + m + 1
    multigamma = math.pi ** (d * (d - 1) / 4)
    for j in range(1, d + 1):
        multigamma *= math.gamma(freedom / 2 + (1 - j) / 2)
    for component in range(k):
        determinant = np.linalg.det(factors[component])
        total += gamma**2 / 2 * np.sum(factors[component] ** 2) - m * math.log(determinant)
        total -= freedom * d * math.log(gamma / math.sqrt(2)) - math.log(multigamma)
    return total


def test_objective_and_gradient_are_those_that_adbench_publishes():
    variables, points = tensors(PUBLISHED_VARIABLES), tf.constant(PUBLISHED_POINTS, tf.float64)
    value, stored = gmm.forward(variables, points, 1.0, 0)
    assert value.numpy() == pytest.approx(PUBLISHED_OBJECTIVE, rel=1e-12)
    gradient = gmm.backward(variables, stored, 1.0, 0)
    assert in_order(gradient) == pytest.approx(PUBLISHED_GRADIENT, rel=1e-10)


def test_workload_is_the_negative_objective_per_point():
    variables, points = tensors(PUBLISHED_VARIABLES), tf.constant(PUBLISHED_POINTS * 2, tf.float64)
    value, _ = gmm.forward(variables, points, 1.0, 0)
    assert gmm.loss(variables, points).numpy() == pytest.approx(-value.numpy() / 2, rel=1e-14)


def test_objective_with_another_prior_is_its_definition_and_the_gradient_its_difference_quotient():
    random = np.random.default_rng(5)
    shapes = {"alphas": (2,), "means": (2, 4), "icf": (2, 10)}
    variables = {name: random.normal(size=shape) / 2 for name, shape in shapes.items()}
    points, prior = random.normal(size=(3, 4)), (0.7, 2)
    value, stored = gmm.forward(tensors(variables), tf.constant(points), *prior)
    expected = objective_in_loops(*variables.values(), points, *prior)
    assert value.numpy() == pytest.approx(expected, rel=1e-12)
    gradient, step = gmm.backward(tensors(variables), stored, *prior), 1e-6
    for name, value in variables.items():
        for index in np.ndindex(value.shape):
            sides = []
            for sign in (1, -1):
                moved = {**variables, name: value.copy()}
                moved[name][index] += sign * step
                sides.append(objective_in_loops(*moved.values(), points, *prior))
            difference = (sides[0] - sides[1]) / (2 * step)
            assert gradient[name].numpy()[index] == pytest.approx(difference, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "xla"])
@pytest.mark.parametrize("batch", [10, 1_000])
def test_responsibilities_agree_with_the_tape(batch, compiled):
    distance = distance_from_tape(gmm.workload, "responsibilities", batch, compiled=compiled)
    assert distance < 1e-11


def test_responsibilities_agree_with_the_tape_in_single_precision():
    assert distance_from_tape(gmm.workload, "responsibilities", 100, "float32") < 1e-5


def test_responsibilities_agree_with_central_differences():
    assert max(distances_from_differences(gmm.workload, "responsibilities", 100)) < 1e-5
