"""Several cells in one process: a value for each, and one that fails is one that fails."""

import math

import pytest

from manualbp.measuring import asv_types, measure, together
from manualbp.measuring.disturbance import Meanwhile
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.problem import DeviceNotFoundError


class Suite:
    sample_time = 0.01
    warmup_time = 0.0


def ratio(func):
    return asv_types.Ratio("ratios.Step.ratio_to_tape", func, [Suite()])


def steady(func):
    return asv_types.Steady("steps.Step.steady_step", func, [Suite()])


def track(func):
    return asv_types.Track("tracked.Accuracy.track_error", func, [Suite()])


def measured(monkeypatch, **benchmarks):
    """Measure benchmarks in this process, found by the names that a runner would give."""
    monkeypatch.setattr(together, "_benchmark", lambda name, leader: benchmarks[name])
    result = together.run_together(next(iter(benchmarks.values())), list(benchmarks))
    return {cell.pop("name"): cell for cell in result["cells"]}


def first(func):
    return asv_types.First("first.Call.first_call", func, [Suite()])


def test_a_first_call_on_an_absent_device_is_skipped(monkeypatch):
    def prepare():
        raise DeviceNotFoundError("no device 'GPU:0' here")
        yield

    (cell,) = measured(monkeypatch, one=first(prepare)).values()
    assert (cell["status"], cell["reason"]) == ("skipped", "no device 'GPU:0' here")


def test_every_cell_has_a_value_of_its_own(monkeypatch):
    baseline = lambda: None  # noqa: E731
    cells = measured(
        monkeypatch,
        one=ratio(lambda: (lambda: None, baseline)),
        two=ratio(lambda: (lambda: sum(range(10_000)), baseline)),
        three=steady(lambda: lambda: None),
        four=track(lambda: 53),
    )
    assert {cell["status"] for cell in cells.values()} == {"ok"}
    assert cells["two"]["value"] > 2 * cells["one"]["value"] > 0
    assert cells["four"]["value"] == 53
    assert cells["four"]["disturbance"] is None
    assert set(cells["one"]["disturbance"]) == {"switched", "quiet", "others", "stolen", "stalled"}
    assert all(cell["seconds"] >= 0 for cell in cells.values())


def test_ratios_over_one_baseline_are_measured_by_turns(monkeypatch):
    groups = []

    def ratios(contenders, baseline, **budget):
        groups.append(len(contenders))
        quiet = Meanwhile(1.0, 2, 0.0, 0.0, 0.0)
        return [measure.Timing(1.0, 0.0, 1.0, quiet, "") for _ in contenders]

    monkeypatch.setattr(measure, "ratios", ratios)
    tape, other = (lambda: None), (lambda: None)
    measured(
        monkeypatch,
        a=ratio(lambda: (lambda: None, tape)),
        b=ratio(lambda: (lambda: None, other)),
        c=ratio(lambda: (lambda: None, tape)),
    )
    assert groups == [2, 1]


def test_a_cell_that_fails_or_is_skipped_takes_none_of_the_others_with_it(monkeypatch, capsys):
    def wrong():
        raise ValueError("the gradient of bias is wrong")

    def absent():
        raise DeviceNotFoundError("no device 'GPU:0' here")

    def breaks():
        raise RuntimeError("out of luck")

    baseline = lambda: None  # noqa: E731
    cells = measured(
        monkeypatch,
        right=ratio(lambda: (lambda: None, baseline)),
        wrong=ratio(wrong),
        absent=ratio(absent),
        breaks=ratio(lambda: (breaks, baseline)),
    )
    said = {name: (cell["status"], cell["reason"]) for name, cell in cells.items()}
    assert said == {
        "right": ("ok", ""),
        "wrong": ("failed", "ValueError: the gradient of bias is wrong"),
        "absent": ("skipped", "no device 'GPU:0' here"),
        "breaks": ("failed", "RuntimeError: out of luck"),
    }
    assert cells["wrong"]["value"] is None


class Remembering:
    """A call that is found out when it is verified with other inputs."""

    def __call__(self):
        pass

    def verify_again(self):
        raise VerificationError("the gradient of bias was right before its variables changed")


def test_a_cell_that_is_found_out_after_timing_is_the_only_one_that_fails(monkeypatch):
    baseline = lambda: None  # noqa: E731
    cells = measured(
        monkeypatch,
        right=ratio(lambda: (lambda: None, baseline)),
        wrong=ratio(lambda: (Remembering(), baseline)),
        other=ratio(lambda: (lambda: None, lambda: None)),
        alone=steady(Remembering),
        steady=steady(lambda: lambda: None),
    )
    assert {name: cell["status"] for name, cell in cells.items()} == {
        "right": "ok",
        "wrong": "failed",
        "other": "ok",
        "alone": "failed",
        "steady": "ok",
    }
    for name in ("wrong", "alone"):
        assert cells[name]["value"] is None
        assert cells[name]["reason"] == (
            "VerificationError: the gradient of bias was right before its variables changed"
        )
    assert min(cells[name]["value"] for name in ("right", "other", "steady")) > 0


@pytest.mark.parametrize("value", [math.nan, math.inf, "3", True, {"a": 1}, None])
def test_a_tracked_value_must_be_a_finite_number(value, monkeypatch):
    (cell,) = measured(monkeypatch, one=track(lambda: value)).values()
    assert cell["status"] == "failed"
    assert "no finite number" in cell["reason"]


def test_a_disturbed_value_is_given_with_its_reason(monkeypatch):
    def steady_time(call, **budget):
        return measure.Timing(5.0, 0.5, 0.0, Meanwhile(1.0, 2, 1.0, 0.0, 0.5), "a neighbour")

    monkeypatch.setattr(measure, "steady_time", steady_time)
    (cell,) = measured(monkeypatch, one=steady(lambda: lambda: None)).values()
    assert (cell["status"], cell["value"], cell["reason"]) == ("disturbed", 5.0, "a neighbour")
    assert cell["disturbance"]["others"] == 0.5
