"""The likelihood of a mixture of Gaussians, differentiated through its responsibilities.

The objective is that of ADBench (Šrajer, Kukelova and Fitzgibbon 2018, "A benchmark of selected
algorithmic differentiation tools on some problems in computer vision and machine learning"), which
GradBench took over.  For n points x (n, d) and k components, with unnormalised log-weights a (k),
means μ (k, d) and factors Q (k, d, d) of the inverse covariances QᵀQ, it is the log-likelihood and
a Wishart prior::

    objective = Σₙ log Σₖ exp tₖₙ - n log Σₖ exp aₖ - ½ n d log 2π
                + Σₖ (½ gamma² |Qₖ|² - m log det Qₖ - C)
    tₖₙ = aₖ + log det Qₖ - ½ |Qₖ (xₙ - μₖ)|²

where |Q|² sums the squares of the entries, and C depends on gamma, m and d alone; the prior's sign
is theirs.  Q is lower triangular and stored as ``icf`` (k, d (d+1) / 2): the logarithm of its
diagonal, then what is below the diagonal, column by column.

The loss is -objective / n, so that it is minimised and of one size; ``batch`` is n.  By hand, with
the responsibilities r = softmax of t over the components and c = x - μ, the points contribute three
sums (Bishop 2006, "Pattern recognition and machine learning", section 9.2.2)::

    ∂/∂aₖ = Σₙ r - n softmax(a)ₖ,   ∂/∂ log det Qₖ = Σₙ r,
    ∂/∂μₖ = QᵀQ Σₙ r c,             ∂/∂Qₖ = -Q Σₙ r c cᵀ
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from manualbp.workload import Workload

COMPONENTS, DIMENSIONS, GAMMA, M = 10, 10, 1.0, 0
"""As in ADBench's instances ``gmm_d10_K10``; gamma and m are those of all of its instances."""

Variables = dict[str, Any]


def variables(random: np.random.Generator) -> Variables:
    """Draw ``alphas`` (k), ``means`` (k, d) and ``icf`` (k, d (d+1) / 2), for some overlap."""
    return {
        "alphas": random.normal(size=COMPONENTS),
        "means": random.uniform(size=(COMPONENTS, DIMENSIONS)),
        "icf": 0.3 * random.normal(size=(COMPONENTS, DIMENSIONS * (DIMENSIONS + 1) // 2)),
    }


def data(random: np.random.Generator, batch: int) -> tuple[NDArray[np.float64]]:
    """Draw ``batch`` points (n, d)."""
    return (random.normal(size=(batch, DIMENSIONS)),)


def factors(icf: tf.Tensor, dimensions: int) -> tf.Tensor:
    """Return the lower triangular Q (k, d, d) that ``icf`` (k, d (d+1) / 2) stands for."""
    column, row = np.triu_indices(dimensions, 1)
    place = np.full((dimensions, dimensions), icf.shape[1])  # of the zero that is appended
    np.fill_diagonal(place, np.arange(dimensions))
    place[row, column] = np.arange(dimensions, icf.shape[1])
    zero = tf.zeros_like(icf[:, :1])
    entries = tf.concat((tf.exp(icf[:, :dimensions]), icf[:, dimensions:], zero), axis=1)
    return tf.gather(entries, place, axis=1)


def factors_vjp(factor: tf.Tensor, d_factor: tf.Tensor, d_determinant: tf.Tensor) -> tf.Tensor:
    """Return ∂/∂icf (k, d (d+1) / 2) from ∂/∂Q (k, d, d) and ∂/∂ log det Q (k).

    For the logarithm q of an entry of the diagonal, ∂Q/∂q = exp q = Q and ∂ log det Q / ∂q = 1.
    """
    dimensions = factor.shape[-1]
    column, row = np.triu_indices(dimensions, 1)
    below = tf.gather(tf.reshape(d_factor, (-1, dimensions**2)), dimensions * row + column, axis=1)
    diagonal = tf.linalg.diag_part(factor * d_factor) + d_determinant[:, None]
    return tf.concat((diagonal, below), axis=1)


def terms(variables: Variables, factor: tf.Tensor, centred: tf.Tensor) -> tf.Tensor:
    """Return t = a + log det Q - ½ |Q c|² (k, n) of centred points c (k, n, d)."""
    determinant = tf.reduce_sum(variables["icf"][:, : centred.shape[-1]], axis=1)
    squares = tf.reduce_sum(tf.square(tf.matmul(centred, factor, transpose_b=True)), axis=2)
    return (variables["alphas"] + determinant)[:, None] - 0.5 * squares


def terms_vjp(factor: tf.Tensor, centred: tf.Tensor, d_terms: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Return ∂/∂a (k), which ∂/∂ log det Q equals, ∂/∂μ (k, d) and ∂/∂Q (k, d, d)."""
    weighted = d_terms[:, :, None] * centred
    scatter = tf.matmul(weighted, centred, transpose_a=True)
    pull = tf.linalg.matvec(factor, tf.reduce_sum(weighted, axis=1))
    d_means = tf.linalg.matvec(factor, pull, transpose_a=True)
    return tf.reduce_sum(d_terms, axis=1), d_means, -tf.matmul(factor, scatter)


def softmax(exponents: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    """Return the derivative of ``total`` = log Σ exp, which sums over the first axis."""
    return tf.exp(exponents - total)


def prior(icf: tf.Tensor, factor: tf.Tensor, gamma: float, m: int) -> tf.Tensor:
    """Return ADBench's logarithm of the Wishart prior, summed over the components."""
    d = factor.shape[-1]
    freedom = d + m + 1
    multigamma = d * (d - 1) / 4 * math.log(math.pi)
    multigamma += sum(math.lgamma((freedom - j) / 2) for j in range(d))
    constant = freedom * d * math.log(gamma / math.sqrt(2)) - multigamma
    squares, determinant = tf.reduce_sum(tf.square(factor)), tf.reduce_sum(icf[:, :d])
    return 0.5 * gamma**2 * squares - m * determinant - icf.shape[0] * constant


def prior_vjp(factor: tf.Tensor, gamma: float, m: int) -> tuple[tf.Tensor, int]:
    """Return ∂/∂Q (k, d, d) and ∂/∂ log det Q of the prior."""
    return gamma**2 * factor, -m


def forward(variables: Variables, x: tf.Tensor, gamma: float, m: int) -> tuple[tf.Tensor, Any]:
    """Return ADBench's objective of points (n, d), and what a backward pass needs."""
    n, d = x.shape
    alphas, icf = variables["alphas"], variables["icf"]
    factor, centred = factors(icf, d), x - variables["means"][:, None]
    exponents = terms(variables, factor, centred)
    mixed, total = tf.reduce_logsumexp(exponents, axis=0), tf.reduce_logsumexp(alphas)
    value = tf.reduce_sum(mixed) - n * (total + 0.5 * d * math.log(2 * math.pi))
    return value + prior(icf, factor, gamma, m), (factor, centred, exponents, mixed, total)


def backward(variables: Variables, stored: Any, gamma: float, m: int) -> Variables:
    """Return the objective's gradient from what ``forward`` stored."""
    factor, centred, exponents, mixed, total = stored
    counts, d_means, d_factor = terms_vjp(factor, centred, softmax(exponents, mixed))
    d_prior, d_determinant = prior_vjp(factor, gamma, m)
    return {
        "alphas": counts - centred.shape[1] * softmax(variables["alphas"], total),
        "means": d_means,
        "icf": factors_vjp(factor, d_factor + d_prior, counts + d_determinant),
    }


def loss(variables: Variables, x: tf.Tensor) -> tf.Tensor:
    """Return the negative objective over the number of points, a scalar."""
    return -forward(variables, x, GAMMA, M)[0] / x.shape[0]


workload = Workload(loss, variables, data, batches=(10, 100, 1_000, 10_000))


@workload.by_hand
def responsibilities(variables: Variables, x: tf.Tensor) -> tuple[tf.Tensor, Variables]:
    """Differentiate through the responsibilities (k, n)."""
    value, stored = forward(variables, x, GAMMA, M)
    gradient, scale = backward(variables, stored, GAMMA, M), -1 / x.shape[0]
    return scale * value, {name: scale * derivative for name, derivative in gradient.items()}
