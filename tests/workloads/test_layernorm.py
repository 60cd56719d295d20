"""The custom gradient of layer normalisation agrees with the tape and with differences."""

import numpy as np
import pytest
import tensorflow as tf
from agreement import distance, draw, off_by_a_thousandth, slopes, step

from manualbp.workloads import layernorm


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_the_custom_gradient_is_that_of_the_composed_form(mode, batch):
    expected_loss, expected = step(layernorm.workload, "tape", "eager", batch)
    loss, gradients = step(layernorm.workload, "fused", mode, batch)
    assert loss == pytest.approx(expected_loss, rel=1e-13)
    assert distance(gradients, expected) < 1e-12


@pytest.mark.parametrize("gradient", ["tape", "fused"])
def test_gradients_are_the_slopes_of_the_loss(gradient):
    directions, expected = slopes(layernorm.workload, 3)
    _, gradients = step(layernorm.workload, gradient, "eager", 3)
    found = [np.sum(a * b) for a, b in zip(gradients, directions, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_the_layer_gives_each_example_its_offset_and_scale():
    inputs = draw(layernorm.workload, 4)[1][1]
    for layer_norm in (layernorm.composed_layer_norm, layernorm.fused_layer_norm):
        outputs = layer_norm(
            tf.constant(inputs), *(tf.constant(value, "float64", 768) for value in (3, 2))
        ).numpy()
        np.testing.assert_allclose(outputs.mean(axis=1), 2, rtol=1e-12)
        np.testing.assert_allclose(outputs.std(axis=1), 3, rtol=1e-4)  # ε is 1e-5 of a variance


@pytest.mark.parametrize("batch", [1, 32])
def test_single_precision_is_as_near_as_it_can_be(batch):
    _, expected = step(layernorm.workload, "tape", "eager", batch)
    _, gradients = step(layernorm.workload, "fused", "graph", batch, "float32")
    assert {array.dtype for array in gradients} == {np.dtype("float32")}
    assert distance(gradients, expected) < 1e-5


@pytest.mark.parametrize("formula", ["normalise_vjp", "affine_vjp"])
def test_every_formula_counts(formula, monkeypatch):
    _, expected = step(layernorm.workload, "fused", "eager", 3)
    monkeypatch.setattr(layernorm, formula, off_by_a_thousandth(getattr(layernorm, formula)))
    _, gradients = step(layernorm.workload, "fused", "eager", 3)
    assert distance(gradients, expected) == pytest.approx(1e-3, rel=0.01)
