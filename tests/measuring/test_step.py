"""Steps: built once, on their device, traced once, the same outputs in every mode."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from manualbp import Case, DeviceNotFoundError, build_step, workloads
from manualbp.cases import MODES
from manualbp.measuring import oracle, parts
from manualbp.measuring.oracle import VerificationError

GRADIENTS = list(workloads.find("exercise").gradients)


def case_of(gradient, mode="eager", device="CPU:0", batch=8, call="function"):
    return Case("exercise", gradient, mode, device, batch, call)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_a_second_device_holds_inputs_variables_and_outputs(gradient, mode):
    step = build_step(case_of(gradient, mode, "CPU:1"))
    placed = [
        *step.data,
        *tf.nest.flatten(step()),
        *tf.nest.flatten(step.gradient.trainable),
    ]
    assert {tensor.device.rsplit("/", 1)[-1] for tensor in placed} == {"device:CPU:1"}


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_a_second_device_runs_every_operation(gradient):
    from tensorflow.python.framework import op_callbacks

    step = build_step(case_of(gradient, device="CPU:1"))
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
    step = build_step(case_of(gradient, mode), verify=False)
    assert step.traces == 0
    step.trace()
    assert step.traces == 1
    for _ in range(5):
        step()
    step.verify()
    assert step.traces == 1


@pytest.mark.parametrize("mode", MODES)
def test_every_gradient_returns_the_same_nesting(mode):
    steps = [build_step(case_of(gradient, mode)) for gradient in GRADIENTS]
    structures = [
        tf.nest.map_structure(lambda t: (t.shape, t.dtype), step.gradients()) for step in steps
    ]
    assert structures.count(structures[0]) == len(structures)


@pytest.mark.parametrize("name", ["CPU:0", "cpu:0", "/device:CPU:0"])
def test_device_names_as_tensorflow_accepts_them(name):
    build_step(case_of("chain", device=name))


@pytest.mark.parametrize("gradient", ["fused", "augmented", "packed"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps_per_call", [1, 5])
def test_sgd_walks_where_the_float64_tape_walks(mode, steps_per_call, gradient):
    timed = parts.build_sgd(case_of(gradient, mode, "CPU:1"), steps_per_call)
    assert timed.steps_per_call == steps_per_call
    before = float(timed())
    for _ in range(200 // steps_per_call):
        timed()
    assert float(timed()) < before


def test_sgd_in_the_wrong_direction_is_refused(monkeypatch):
    monkeypatch.setattr(parts, "LEARNING_RATE", 0.01)
    verify = oracle.verify_training
    monkeypatch.setattr(
        oracle, "verify_training", lambda *given: verify(*given[:-1], given[-1] * 1.001)
    )
    with pytest.raises(VerificationError, match="SGD steps change the weights of layer 1"):
        parts.build_sgd(case_of("chain", "graph"), 3)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_the_backward_pass_can_be_replayed(gradient):
    timed = parts.build_backward(case_of(gradient))
    for a, b in zip(tf.nest.flatten(timed()), tf.nest.flatten(timed()), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("gradient", ["tape", "augmented", "packed"])
@pytest.mark.parametrize("mode", MODES)
def test_the_empty_step_has_a_steps_outputs(mode, gradient):
    empty = parts.build_empty(case_of(gradient, mode, batch=1))
    step = build_step(case_of(gradient, mode, batch=1))
    shapes = [[tensor.shape for tensor in tf.nest.flatten(each())] for each in (empty, step)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_a_concrete_step_returns_what_the_step_does_without_a_look_at_its_arguments(mode):
    step = build_step(case_of("packed", mode, "CPU:1"))
    concrete = build_step(case_of("packed", mode, "CPU:1", call="concrete"))
    assert str(concrete.case) == f"exercise/packed/{mode}/CPU:1/8/concrete"
    np.testing.assert_array_equal(concrete(), step())
    assert isinstance(concrete.called, tf.types.experimental.ConcreteFunction)
    concrete.verify_again()


def test_the_control_is_the_reference_in_float32():
    loss, gradients = parts.build_control("exercise", 8)()
    assert {g.dtype.name for g in oracle.flatten(gradients)} == {"float32"}
    assert np.isfinite(loss)


def test_importing_manualbp_imports_no_tensorflow():
    code = (
        "import sys, manualbp\n"
        "manualbp.Case, manualbp.MODES\n"
        "assert 'tensorflow' not in sys.modules\n"
        "manualbp.build_step\n"
        "from tensorflow.python.eager import context\n"
        "assert context.context()._context_handle is None, 'the runtime was initialised'\n"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(
    ("case", "error", "message"),
    [
        (case_of("nonsense"), ValueError, "unknown gradient 'nonsense': .*tape, chain, fused"),
        (case_of("tape", "jit"), ValueError, "unknown mode 'jit': expected one of eager, graph"),
        (case_of("tape", device="GPU:7"), DeviceNotFoundError, "no device 'GPU:7'.*CPU:0, CPU:1"),
        (case_of("tape", batch=0), ValueError, "batch must be at least 1, got 0"),
        (case_of("tape", batch=1.5), TypeError, "batch must be an int, got float 1.5"),
        (case_of("tape", call="fast"), ValueError, "unknown call 'fast': .*function, concrete"),
        (Case("deep", "tape", "eager"), ValueError, "unknown workload 'deep'.*exercise"),
    ],
)
def test_a_case_of_unknown_names_is_refused(case, error, message):
    with pytest.raises(error, match=message):
        build_step(case)
