"""Explaining: what is collected of a case and its baseline."""

import pytest

from manualbp.cases import Case
from manualbp.measuring import explain, hlo, structure
from manualbp.measuring.gradients import GRADIENTS, Gradient, chain_backward, chain_forward
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.profile import ProfileError
from manualbp.measuring.roofline import Machine
from manualbp.measuring.step import build_step

MACHINE = Machine(flops_per_s=1e11, bytes_per_s=1e10, cache_bytes=2**25)


def explained(gradient, mode, batch=64, **options):
    case = Case("exercise", gradient, mode, "CPU:1", batch)
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
    step = build_step("chain", "eager", "CPU:1", 8)
    program = build_step("chain", "xla", "CPU:1", 8)
    compiled = structure.optimised_hlo(
        program.function, program.problem.inputs, program.problem.targets
    )
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
    def wrong(variables, stored, targets, batch_size):
        return chain_backward(variables, stored, targets, batch_size + 1)

    monkeypatch.setitem(GRADIENTS, "wrong", Gradient(chain_forward, wrong, "for this test"))
    with pytest.raises(VerificationError, match="exercise/wrong/eager/CPU:1/8"):
        explained("wrong", "eager", 8)


def test_another_device_than_a_cpu_is_refused(monkeypatch):
    monkeypatch.setattr(explain, "find_device", lambda name: f"/device:{name}")
    case = Case("exercise", "fused", "eager", "GPU:0", 8)
    with pytest.raises(ProfileError, match="only the steps of a CPU can be profiled"):
        explain.explain(case, MACHINE)
