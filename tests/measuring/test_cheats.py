"""Gradients that would be fast because they do not compute: each is refused, none by its time."""

import numpy as np
import pytest
import tensorflow as tf

from manualbp import Case, Workload, build_step, workloads
from manualbp.cases import MODES
from manualbp.measuring.oracle import VerificationError


def loss(variables, inputs, targets):
    return tf.reduce_mean((tf.tanh(inputs @ variables["w"]) - targets) ** 2)


def honest(variables, inputs, targets, weights=None, product=None):
    weights = variables["w"] if weights is None else weights
    outputs = tf.tanh(inputs @ weights if product is None else product)
    error = outputs - targets
    upstream = 2 * error * (1 - outputs**2) / tf.cast(tf.size(error), error.dtype)
    return tf.reduce_mean(error**2), {"w": tf.matmul(inputs, upstream, transpose_a=True)}


def memoised():
    """Compute once and return that ever after."""
    known = []

    def gradient(variables, *data):
        if not known:
            known.append(honest(variables, *data))
        return known[0]

    return gradient


def memoised_by_data():
    """Know the result for every tensor that has been seen."""
    known = {}

    def gradient(variables, *data):
        key = tuple(map(id, data))
        if key not in known:
            known[key] = honest(variables, *data)
        return known[key]

    return gradient


def stale():
    """Read the variable once, when first called."""
    read = []

    def gradient(variables, *data):
        if not read:
            read.append(tf.constant(variables["w"].numpy()))
        return honest(variables, *data, weights=read[0])

    return gradient


def partly_computed():
    """Keep the part of the forward pass that is largest, and compute the rest."""
    kept = []

    def gradient(variables, inputs, targets):
        if not kept:
            kept.append(inputs @ variables["w"])
        return honest(variables, inputs, targets, product=kept[0])

    return gradient


def of_the_first_data():
    """Keep what depends on the data alone."""
    kept = []

    def gradient(variables, inputs, targets):
        if not kept:
            kept.append(tf.identity(targets))
        return honest(variables, inputs, kept[0])

    return gradient


def constant_in_the_graph():
    """Read the variable as a number while the function is traced."""

    def gradient(variables, *data):
        with tf.init_scope():
            weights = variables["w"].numpy()
        return honest(variables, *data, weights=tf.constant(weights))

    return gradient


CHEATS = {
    "memoised": (memoised, ["eager"]),
    "memoised-by-data": (memoised_by_data, ["eager"]),
    "stale": (stale, ["eager"]),
    "partly-computed": (partly_computed, ["eager"]),
    "of-the-first-data": (of_the_first_data, ["eager"]),
    "constant-in-the-graph": (constant_in_the_graph, ["graph", "xla"]),
}


@pytest.fixture
def workload(monkeypatch):
    def variables(random):
        return {"w": random.normal(size=(5, 3))}

    def data(random, batch):
        return random.normal(size=(batch, 5)), random.normal(size=(batch, 3))

    made = Workload(loss, variables, data, batches=(4,), name="cheated")
    monkeypatch.setitem(workloads._loaded, made.name, made)
    return made


def case_of(gradient, mode):
    return Case("cheated", gradient, mode, "CPU:0", 4)


@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name, (_, modes) in CHEATS.items() for mode in modes]
)
def test_a_gradient_that_does_not_compute_everything_is_refused_afterwards(name, mode, workload):
    make, _ = CHEATS[name]
    cheat = make()
    cheat.__name__ = name
    workload.by_hand(cheat)
    step = build_step(case_of(name, mode))  # right at first: that is what makes it dangerous
    step()
    with pytest.raises(VerificationError, match=rf"cheated/{name}/{mode}/.*does not compute every"):
        step.verify_again()


@pytest.mark.parametrize("mode", MODES)
def test_an_honest_gradient_passes_and_is_as_before(workload, mode):
    workload.by_hand(honest)
    step = build_step(case_of("honest", mode))
    before, data = step()["w"].numpy(), step.data
    step.verify_again()
    np.testing.assert_array_equal(step()["w"], before)
    assert step.data is data
    assert step.traces == (mode != "eager")
