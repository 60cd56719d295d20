"""Steps: built once, on their device, traced once, the same outputs in every mode."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from manualbp import build_step
from manualbp.cases import MODES
from manualbp.measuring import oracle, parts
from manualbp.measuring.gradients import GRADIENTS
from manualbp.measuring.oracle import VerificationError


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_a_second_device_holds_inputs_variables_and_outputs(gradient, mode):
    step = build_step(gradient, mode, "CPU:1", 8)
    placed = [
        step.problem.inputs,
        step.problem.targets,
        *tf.nest.flatten(step()),
        *(variable for pair in step.problem.variables for variable in pair),
    ]
    assert {tensor.device.rsplit("/", 1)[-1] for tensor in placed} == {"device:CPU:1"}


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_a_second_device_runs_every_operation(gradient):
    from tensorflow.python.framework import op_callbacks

    step = build_step(gradient, "eager", "CPU:1", 8)
    devices = set()

    def note(op_type, inputs, attrs, outputs, op_name=None, graph=None):
        devices.update(output.device for output in outputs)

    op_callbacks.add_op_callback(note)
    try:
        step()
    finally:
        op_callbacks.remove_op_callback(note)
    assert {device.rsplit("/", 1)[-1] for device in devices} == {"device:CPU:1"}


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_calls_after_the_first_trace_nothing(gradient, mode):
    step = build_step(gradient, mode, "CPU:0", 8, verify=False)
    assert step.traces == 0
    step.trace()
    assert step.traces == 1
    for _ in range(5):
        step()
    step.verify()
    assert step.traces == 1


@pytest.mark.parametrize("mode", MODES)
def test_every_gradient_returns_the_same_nesting(mode):
    steps = [build_step(gradient, mode, "CPU:0", 8) for gradient in GRADIENTS]
    structures = [
        tf.nest.map_structure(lambda t: (t.shape, t.dtype), step.gradients()) for step in steps
    ]
    assert structures.count(structures[0]) == len(structures)


@pytest.mark.parametrize("name", ["CPU:0", "cpu:0", "/device:CPU:0"])
def test_device_names_as_tensorflow_accepts_them(name):
    build_step("chain", "eager", name, 2)


@pytest.mark.parametrize("gradient", ["fused", "augmented", "packed"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps_per_call", [1, 5])
def test_sgd_walks_where_the_reference_walks(mode, steps_per_call, gradient):
    timed = parts.build_sgd(gradient, mode, "CPU:1", 8, "exercise", steps_per_call)
    assert timed.steps_per_call == steps_per_call
    before = float(timed())
    for _ in range(200 // steps_per_call):
        timed()
    assert float(timed()) < before


def test_sgd_in_the_wrong_direction_is_refused(monkeypatch):
    monkeypatch.setattr(parts, "LEARNING_RATE", 0.01)
    verify = oracle.verify_training
    monkeypatch.setattr(
        oracle, "verify_training", lambda case, p, n, rate: verify(case, p, n, rate * 1.001)
    )
    with pytest.raises(VerificationError, match="SGD steps change the weights of layer 1"):
        parts.build_sgd("chain", "graph", "CPU:0", 8, "exercise", 3)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_the_backward_pass_can_be_replayed(gradient):
    timed = parts.build_backward(gradient, "CPU:0", 8, "exercise")
    for a, b in zip(tf.nest.flatten(timed()), tf.nest.flatten(timed()), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("gradient", ["tape", "augmented", "packed"])
@pytest.mark.parametrize("mode", MODES)
def test_the_empty_step_has_a_steps_outputs(mode, gradient):
    empty = parts.build_empty(mode, "CPU:0", 1, "exercise", gradient)
    step = build_step(gradient, mode)
    shapes = [[tensor.shape for tensor in tf.nest.flatten(each())] for each in (empty, step)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_a_concrete_step_returns_what_the_step_does_without_a_look_at_its_arguments(mode):
    step = build_step("packed", mode, "CPU:1", 8)
    concrete = parts.build_concrete("packed", mode, "CPU:1", 8, "exercise")
    np.testing.assert_array_equal(concrete(), step())
    assert isinstance(concrete.function, tf.types.experimental.ConcreteFunction)


def test_the_control_is_the_reference_in_float32():
    loss, gradients = parts.build_control(8, "exercise")()
    assert {g.dtype.name for g in oracle.flatten(gradients)} == {"float32"}
    assert np.isfinite(loss)


def test_importing_manualbp_imports_no_tensorflow():
    code = (
        "import sys, manualbp\n"
        "manualbp.NETWORKS, manualbp.MODES\n"
        "assert 'tensorflow' not in sys.modules\n"
        "manualbp.build_step\n"
        "from tensorflow.python.eager import context\n"
        "assert context.context()._context_handle is None, 'the runtime was initialised'\n"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
