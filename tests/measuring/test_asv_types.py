"""The benchmark types: what they time, what they skip and what they refuse."""

import os

import pytest
from asv_runner.benchmarks.mark import SkipNotImplemented

from manualbp.measuring import asv_types, measure
from manualbp.measuring.disturbance import Meanwhile
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.problem import DeviceNotFoundError
from manualbp.peers import PeerNotFoundError


class Suite:
    sample_time = 0.01
    warmup_time = 0.0


def timed(value, reason=""):
    return measure.Timing(value, 0.0, 1.0, Meanwhile(1.0, 2, 0.0, 0.0, 0.0), reason)


def benchmark(kind, func):
    return kind("module.Class.name", func, [Suite()])


def test_an_inherited_cache_of_compiled_programs_is_left_out(monkeypatch):
    """With it a first call would find what another process has compiled."""
    cache = "--tf_xla_persistent_cache_directory=/somewhere"
    for before, after in ((cache, ""), (f"--tf_xla_a=1 {cache} -b", "--tf_xla_a=1 -b"), ("", "")):
        monkeypatch.setenv("TF_XLA_FLAGS", before)
        asv_types.register()
        assert os.environ["TF_XLA_FLAGS"] == after
    monkeypatch.delenv("TF_XLA_FLAGS")
    asv_types.register()
    assert "TF_XLA_FLAGS" not in os.environ


def test_names_choose_the_types():
    names = {
        "steady_step": asv_types.Steady,
        "ratio_x": asv_types.Ratio,
        "first_x": asv_types.First,
    }
    for name, kind in names.items():
        matching = [k for k in asv_types.benchmark_types if k.name_regex.match(name)]
        assert matching[:1] in ([kind], [])  # [] before register() has run
    asv_types.register()
    asv_types.register()
    assert asv_types.benchmark_types.count(asv_types.Steady) == 1
    for name, kind in names.items():
        assert next(k for k in asv_types.benchmark_types if k.name_regex.match(name)) is kind


def test_steady_yields_one_sample_per_process_and_divides_by_the_steps_of_a_call(monkeypatch):
    monkeypatch.setattr(measure, "steady_time", lambda call, **budget: timed(5.0))

    def many():
        pass

    many.steps_per_call = 100
    assert benchmark(asv_types.Steady, lambda: many).run() == {"samples": [0.05], "number": 1}


def test_the_suite_says_how_long_to_measure(monkeypatch):
    budgets = []

    def ratios(contenders, baseline, **budget):
        budgets.append(budget)
        return [timed(1.23456) for _ in contenders]

    monkeypatch.setattr(measure, "ratios", ratios)
    result = benchmark(asv_types.Ratio, lambda: (lambda: None, lambda: None)).run()
    assert result["samples"] == [1.235]
    assert budgets == [{"budget": 0.01, "warmup": 0.0, "patience": asv_types.ALONE_PATIENCE * 0.01}]


def test_a_disturbed_value_is_no_number_of_asvs(monkeypatch, capsys):
    monkeypatch.setattr(measure, "steady_time", lambda call, **budget: timed(5.0, "a neighbour"))
    with pytest.raises(SkipNotImplemented):
        benchmark(asv_types.Steady, lambda: lambda: None).run()
    assert "asv: disturbed: a neighbour" in capsys.readouterr().out


def test_a_retraced_step_is_no_number():
    class Retracing:
        traces = 0

        def __call__(self):
            self.traces += 1

    with pytest.raises(asv_types.RetracedError):
        benchmark(asv_types.Steady, Retracing).run()
    with pytest.raises(asv_types.RetracedError):
        benchmark(asv_types.Ratio, lambda: (Retracing(), Retracing())).run()


class Remembering:
    """A call that is found out when it is verified with other inputs."""

    def __init__(self, events):
        self.events = events

    def __call__(self):
        self.events.append("call")

    def verify_again(self):
        self.events.append("verify again")
        raise VerificationError("the gradient of bias was right before its variables changed")


@pytest.mark.parametrize(
    ("kind", "prepare"),
    [
        (asv_types.Steady, lambda call: call),
        (asv_types.Ratio, lambda call: (call, lambda: None)),
        (asv_types.Ratio, lambda call: (lambda: None, call)),
    ],
    ids=["steady", "contender", "baseline"],
)
def test_what_does_not_pass_its_verification_after_timing_is_no_number(kind, prepare):
    events = []
    call = Remembering(events)
    with pytest.raises(VerificationError, match="right before its variables changed"):
        benchmark(kind, lambda: prepare(call)).run()
    assert len(events) > 5  # it was timed
    assert events.index("verify again") == len(events) - 1


def test_extra_work_keeps_no_call_from_being_verified_again():
    class Slowed(Suite):
        slowdown = 0.1

    call = Remembering([])
    ratio = asv_types.Ratio("module.Class.name", lambda: (call, lambda: None), [Slowed()])
    with pytest.raises(VerificationError):
        ratio.run()


def test_both_arms_are_verified_again_once_each():
    verified = []

    class Sound:
        def __call__(self):
            pass

        def verify_again(self):
            verified.append(self)

    f, g = Sound(), Sound()
    assert benchmark(asv_types.Ratio, lambda: (f, g)).run()["samples"][0] > 0
    benchmark(asv_types.Ratio, lambda: (f, f)).run()
    assert verified == [f, g, f]


def test_first_times_one_call_and_checks_afterwards():
    events = []

    def prepare():
        events.append("prepare")
        yield lambda: events.append("call")
        events.append("check")

    result = benchmark(asv_types.First, prepare).run()
    assert events == ["prepare", "call", "check"]
    assert 0 < result["samples"][0] < 1


def test_first_fails_when_its_check_fails():
    def prepare():
        yield lambda: None
        raise ValueError("wrong gradient")

    with pytest.raises(ValueError, match="wrong gradient"):
        benchmark(asv_types.First, prepare).run()


@pytest.mark.parametrize(
    "error",
    [DeviceNotFoundError("no device 'GPU:0' here"), PeerNotFoundError("peer 'jax' needs jax")],
    ids=["device", "peer"],
)
def test_what_is_absent_skips_with_the_reason(error, capsys):
    def prepare():
        raise error

    with pytest.raises(SkipNotImplemented, match=str(error)):
        benchmark(asv_types.Ratio, prepare).run()
    assert f"asv: skipped: {error}" in capsys.readouterr().out


def test_a_library_that_cannot_be_imported_fails():
    def prepare():
        raise ImportError("undefined symbol")

    with pytest.raises(ImportError, match="undefined symbol"):
        benchmark(asv_types.Ratio, prepare).run()
