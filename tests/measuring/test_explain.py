"""Explaining: what is collected of a case and its baseline."""

import re

import pytest
import tensorflow as tf

from manualbp import Workload, workloads
from manualbp.cases import Case
from manualbp.cli.explanation import markdown
from manualbp.exercise import chain
from manualbp.measuring import explain, hlo, structure
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.profile import ProfileError
from manualbp.measuring.reasons import verdict
from manualbp.measuring.roofline import Machine
from manualbp.measuring.step import build_step
from manualbp.workloads import exercise

MACHINE = Machine(flops_per_s=1e11, bytes_per_s=1e10, cache_bytes=2**25)


def explained(gradient, mode, batch=64, workload="exercise", **options):
    case = Case(workload, gradient, mode, "CPU:1", batch)
    return explain.explain(case, MACHINE, budget=0.01, **options)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_a_case_and_its_baseline_are_measured_alike(mode):
    told = []
    found = explained("fused", mode, tell=told.append)
    assert told[0] == "verifying the gradients"
    assert {"timing a step of fused", "profiling tape"} <= set(told)
    assert found.arm.case == Case("exercise", "fused", mode, "CPU:1", 64)
    assert found.baseline.case == Case("exercise", "tape", mode, "CPU:1", 64)
    assert found.ratio > 0
    assert found.reading_s > 0
    for arm in (found.arm, found.baseline):
        assert min(arm.step_s, arm.forward_s, arm.empty_s) > 0
        if mode == "eager":
            assert arm.backward_s > 0  # measured by itself
        else:
            assert arm.forward_s + arm.backward_s == pytest.approx(arm.step_s)
    assert found.arm.counts.keys() == found.baseline.counts.keys()
    assert found.arm.counts != found.baseline.counts
    # The products alone: three layers forward, three derivatives of weights, two of inputs; XLA
    # may do without the sums of one with a single term.
    products = 2 * 64 * (2 * (2 * 12 + 12 * 32 + 32) + 12 * 32 + 32)
    assert 0.95 * products < found.arm.bound.flops < 2 * products


def test_counts_are_those_of_the_mode():
    step = build_step(Case("exercise", "chain", "eager", "CPU:1", 8))
    program = build_step(Case("exercise", "chain", "xla", "CPU:1", 8))
    compiled = structure.optimised_hlo(program.function, *program.data)
    module = compiled.hlo_module
    counts, limit = explain.count(step, MACHINE)
    assert counts == {"eager operations": structure.eager_operations(step)}
    assert (limit.flops, limit.bytes) == (hlo.flops(module), hlo.bytes_accessed(module))
    assert limit.buffers == hlo.buffer_bytes(compiled)
    counts, of_program = explain.count(program, MACHINE)
    assert counts["XLA kernels"] == hlo.kernels(module)
    assert of_program == limit  # whatever the mode


def test_the_baseline_is_measured_once(monkeypatch):
    measured = []
    monkeypatch.setattr(explain, "measure_arm", lambda step, *_: measured.append(step.case))
    explained("tape", "eager", 8)
    assert measured == [Case("exercise", "tape", "eager", "CPU:1", 8)]


def test_a_wrong_gradient_is_not_explained(monkeypatch):
    class Wrong(exercise.Chain):
        def backward(self, stored, inputs, targets):
            return chain.backward(self.variables, stored, targets, self.batch + 1)

    monkeypatch.setitem(exercise.workload.gradients, "wrong", Wrong)
    with pytest.raises(VerificationError, match="exercise/wrong/eager/CPU:1/8"):
        explained("wrong", "eager", 8)


def test_another_device_than_a_cpu_is_refused(monkeypatch):
    monkeypatch.setattr(explain, "find_device", lambda name: f"/device:{name}")
    case = Case("exercise", "fused", "eager", "GPU:0", 8)
    with pytest.raises(ProfileError, match="only the steps of a CPU can be profiled"):
        explain.explain(case, MACHINE)


# ---------------------------------------------------------------- neither apart nor counted


ROUNDS = 5


def loss(variables, inputs):
    """The mean square of inputs times scale, added up in a loop."""
    terms = inputs * variables["scale"]
    _, total = tf.while_loop(
        lambda done, total: done < ROUNDS,
        lambda done, total: (done + 1, total + terms),
        (0, tf.zeros_like(terms)),
        maximum_iterations=ROUNDS,  # a tape under XLA must know
    )
    return tf.reduce_mean(total**2)


def closed(variables, inputs):
    """The same without a loop, both passes in one."""
    scale = variables["scale"]
    squares = ROUNDS**2 * tf.reduce_mean(inputs**2, axis=0) * scale
    size = scale.shape[0]
    return tf.reduce_sum(squares * scale) / size, {"scale": 2 * squares / size}


@pytest.fixture
def looped(monkeypatch):
    """A workload whose loss is a loop, and whose gradient by hand is one function."""
    made = Workload(
        loss,
        lambda random: {"scale": random.normal(size=6)},
        lambda random, batch: (random.normal(size=(batch, 6)),),
        batches=(8,),
        name="looped",
    )
    made.by_hand(closed)
    monkeypatch.setitem(workloads._loaded, made.name, made)
    return made.name


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_passes_in_one_function_have_no_times_apart(mode, looped):
    found = explained("closed", mode, 8, looped)
    assert (found.arm.forward_s, found.arm.backward_s) == (None, None)
    assert min(found.arm.step_s, found.baseline.forward_s) > 0
    assert found.baseline.backward_s is not None
    text = markdown(found)
    assert re.search(r"\| forward pass alone \| not apart \| [\d.]+ \(", text)
    assert re.search(r"\| backward pass.* \| not apart \| -?[\d.]+ \(", text)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_a_loop_has_no_bound_and_says_so(mode, looped):
    found = explained("closed", mode, 8, looped)
    assert found.arm.bound.flops > 0
    assert found.baseline.bound is None
    text = markdown(found)
    assert re.search(r"\| least time / step \| \d+ % \| uncounted \|", text)
    # XLA's counts are among the structure of a step under XLA, and in the roofline of every mode.
    counted = re.findall(r"\| FLOPs \| \d+ \| uncounted \|", text)
    assert len(counted) == (2 if mode == "xla" else 1)
    if mode == "xla":
        assert found.baseline.counts.keys() < found.arm.counts.keys()


def test_a_loop_is_explained_as_the_baseline_too(looped):
    found = explained("tape", "xla", 8, looped)
    assert found.arm.bound is None
    assert verdict(found).startswith("tape is the baseline itself. ")
