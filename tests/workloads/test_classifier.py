"""The classifier's gradients agree with the tape, with NumPy, and with no formula that is off."""

import numpy as np
import pytest
from agreement import distance, draw, off_by_a_thousandth, step
from scipy.stats import norm

from manualbp.workloads import classifier

BY_HAND = ["chain", "fused"]


def with_scipy(variables, images, labels):
    """The loss and the gradients by SciPy's normal distribution, in NumPy."""
    (weights1, bias1), (weights2, bias2) = variables
    before = images @ weights1 + bias1
    hidden = before * norm.cdf(before)
    exponentials = np.exp(hidden @ weights2 + bias2)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    examples = np.arange(len(labels))
    loss = -np.log(probabilities[examples, labels]).mean()
    probabilities[examples, labels] -= 1
    upstream = probabilities / len(labels)
    output = [hidden.T @ upstream, upstream.sum(axis=0)]
    upstream = upstream @ weights2.T * (norm.cdf(before) + before * norm.pdf(before))
    return loss, [images.T @ upstream, upstream.sum(axis=0), *output]


@pytest.mark.parametrize("mode", ["eager", "xla"])
@pytest.mark.parametrize("gradient", ["tape", *BY_HAND])
def test_every_gradient_is_that_of_numpy(gradient, mode):
    variables, data = draw(classifier.workload, 7)
    expected_loss, expected = with_scipy(variables, *data)
    loss, gradients = step(classifier.workload, gradient, mode, 7)
    assert loss == pytest.approx(expected_loss, rel=1e-13)
    assert distance(gradients, expected) < 1e-12


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("gradient", BY_HAND)
def test_single_precision_is_as_near_as_it_can_be(gradient, batch):
    _, expected = step(classifier.workload, "tape", "eager", batch)
    _, gradients = step(classifier.workload, gradient, "graph", batch, "float32")
    assert {array.dtype for array in gradients} == {np.dtype("float32")}
    assert distance(gradients, expected) < 1e-5


@pytest.mark.parametrize(
    ("gradient", "formula"),
    [
        ("chain", "cross_entropy_vjp"),
        ("chain", "gelu_vjp"),
        ("chain", "inputs_vjp"),
        ("chain", "linear_vjp"),
        ("fused", "fused_gelu_vjp"),
        ("fused", "fused_linear_vjp"),
    ],
)
def test_every_formula_counts(gradient, formula, monkeypatch):
    _, expected = step(classifier.workload, gradient, "eager", 3)
    monkeypatch.setattr(classifier, formula, off_by_a_thousandth(getattr(classifier, formula)))
    _, gradients = step(classifier.workload, gradient, "eager", 3)
    assert distance(gradients, expected) == pytest.approx(1e-3, rel=0.01)
