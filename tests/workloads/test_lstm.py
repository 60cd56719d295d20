"""The LSTM agrees with ADBench's figures, its definition, and the tape."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from agreement import compute, distance_from_tape, distances_from_differences

from manualbp.workloads import lstm

PUBLISHED = json.loads(Path(__file__).with_name("adbench_lstm_l2_c1024.json").read_text())
"""ADBench's instance of 2 layers and 1024 characters, with what its tests expect; see "source"."""


def as_workload(main_params, extra_params):
    """Nest ADBench's two matrices as the workload's variables."""
    bits = len(extra_params[0])
    main = [tf.reshape(tf.constant(row, tf.float64), (4, bits)) for row in main_params]
    names = ("in_weight", "out_weight", "out_bias")
    return {
        "layers": [{"w": w, "b": b} for w, b in zip(main[::2], main[1::2], strict=True)],
        **{
            name: tf.constant(row, tf.float64)
            for name, row in zip(names, extra_params, strict=True)
        },
    }


def as_published(gradient):
    """Return a gradient in ADBench's order."""
    layers = [np.ravel(layer[name]) for layer in gradient["layers"] for name in ("w", "b")]
    outer = [gradient[name] for name in ("in_weight", "out_weight", "out_bias")]
    return np.concatenate([*layers, *outer])


def published_data():
    shifts = np.arange(PUBLISHED["bits"])[::-1]
    sequence = np.array(PUBLISHED["sequence"])[:, None] >> shifts & 1
    state = np.array(PUBLISHED["state"])
    return tf.constant(state[None]), tf.constant(sequence[None].astype(float))


def objective_in_loops(layers, in_weight, out_weight, out_bias, state, sequence):
    """Compute ADBench's objective of one sequence bit by bit, from its definition."""

    def sigmoid(z):
        return 1 / (1 + math.exp(-z))

    steps, bits = len(sequence) - 1, len(in_weight)
    state, total = state.copy(), 0.0
    for t in range(steps):
        predicted = np.zeros(bits)
        for bit in range(bits):
            x = in_weight[bit] * sequence[t][bit]
            for number, (w, b) in enumerate(layers):
                h, c = state[2 * number][bit], state[2 * number + 1][bit]
                forget = sigmoid(x * w[0][bit] + b[0][bit])
                enter = sigmoid(h * w[1][bit] + b[1][bit])
                leave = sigmoid(x * w[2][bit] + b[2][bit])
                c = forget * c + enter * math.tanh(h * w[3][bit] + b[3][bit])
                x = leave * math.tanh(c)
                state[2 * number][bit], state[2 * number + 1][bit] = x, c
            predicted[bit] = x * out_weight[bit] + out_bias[bit]
        for bit in range(bits):
            normalised = predicted[bit] - math.log(2 + sum(map(math.exp, predicted)))
            total += sequence[t + 1][bit] * normalised
    return -total / (steps * bits)


@pytest.fixture(scope="module")
def published_results():
    variables, data = (
        as_workload(PUBLISHED["main_params"], PUBLISHED["extra_params"]),
        published_data(),
    )
    return tf.function(lambda: lstm.through_time(variables, *data), autograph=False)()


def test_objective_is_the_one_that_adbench_publishes(published_results):
    loss, _ = published_results
    assert loss.numpy() == pytest.approx(PUBLISHED["objective"], abs=5e-9)


def test_gradient_is_the_one_that_adbench_publishes(published_results):
    _, gradient = published_results
    assert as_published(gradient) == pytest.approx(PUBLISHED["gradient"], rel=1e-10, abs=1e-18)


def test_loss_is_the_mean_of_the_definition_over_the_sequences():
    random = np.random.default_rng(7)
    variables, (state, sequence) = lstm.variables(random), lstm.data(random, 3)
    loss = lstm.loss(
        tf.nest.map_structure(tf.constant, variables), tf.constant(state), tf.constant(sequence)
    )
    layers = [(layer["w"], layer["b"]) for layer in variables["layers"]]
    outer = [variables[name] for name in ("in_weight", "out_weight", "out_bias")]
    each = [objective_in_loops(layers, *outer, *one) for one in zip(state, sequence, strict=True)]
    assert loss.numpy() == pytest.approx(np.mean(each), rel=1e-13)


@pytest.mark.parametrize(
    ("batch", "compiled"), [(1, False), (32, False), (3, True)], ids=["1", "32", "3, compiled"]
)
def test_gradient_through_time_agrees_with_the_tape(batch, compiled):
    assert distance_from_tape(lstm.workload, "through_time", batch, compiled=compiled) < 1e-11


def test_gradient_through_time_agrees_with_the_tape_in_single_precision():
    assert distance_from_tape(lstm.workload, "through_time", 32, "float32") < 1e-5


def test_gradient_through_time_agrees_with_central_differences():
    assert max(distances_from_differences(lstm.workload, "through_time", 2)) < 1e-5


def test_xla_differentiates_the_loop():
    variables, data = (
        as_workload(PUBLISHED["main_params"], PUBLISHED["extra_params"]),
        published_data(),
    )
    variables = tf.nest.map_structure(tf.Variable, variables)
    state, sequence = data[0], data[1][:, :5]
    loss, gradients = compute(lstm.workload, "tape", variables, (state, sequence), compiled=True)
    expected_loss, expected = lstm.through_time(variables, state, sequence)
    assert loss.numpy() == pytest.approx(expected_loss.numpy(), rel=1e-13)
    assert as_published(gradients) == pytest.approx(as_published(expected), rel=1e-10, abs=1e-18)
