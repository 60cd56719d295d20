"""The measuring engine on a clock of our own: calls take the time that the test says."""

import gc
import random

import pytest

from manualbp.measuring import measure


class Clock:
    """Time passes only in calls, plus a drift of the machine that slows all of them."""

    def __init__(self, monkeypatch, drift=0.0):
        self.now, self.drift = 0.0, drift
        monkeypatch.setattr(measure, "perf_counter", lambda: self.now)

    def call(self, seconds, noise=0.0, seed=0):
        generator = random.Random(seed)

        def work():
            slow = 1 + self.drift * self.now
            self.now += seconds * slow * (1 + noise * generator.random())

        return work


def test_the_steady_time_is_the_median_over_blocks(monkeypatch):
    clock = Clock(monkeypatch)
    assert measure.seconds_per_call(clock.call(1e-4)) == pytest.approx(1e-4)


def test_warming_up_is_not_timed(monkeypatch):
    clock = Clock(monkeypatch)
    calls = []
    fast = clock.call(1e-4)

    def call():
        calls.append(None)
        clock.now += 0.2 if len(calls) == 1 else 0
        fast()

    assert measure.seconds_per_call(call) == pytest.approx(1e-4)


def test_an_outlier_does_not_move_the_median(monkeypatch):
    clock = Clock(monkeypatch)
    calls = []
    fast = clock.call(1e-3)

    def call():
        calls.append(None)
        clock.now += 0.05 if len(calls) % 100 == 0 else 0
        fast()

    assert measure.seconds_per_call(call, budget=1.0) == pytest.approx(1e-3)


@pytest.mark.parametrize("truth", [0.5, 1.0, 1.05, 3.0])
def test_the_ratio_is_that_of_the_times(truth, monkeypatch):
    clock = Clock(monkeypatch)
    ratio = measure.ratio(clock.call(truth * 1e-4), clock.call(1e-4))
    assert ratio == pytest.approx(truth)


@pytest.mark.parametrize("drift", [-0.2, 0.5])
def test_a_drift_of_the_machine_falls_on_both_arms_alike(drift, monkeypatch):
    clock = Clock(monkeypatch, drift)
    f, g = clock.call(1.1e-4), clock.call(1e-4)
    assert measure.ratio(f, g) == pytest.approx(1.1, rel=1e-4)


def test_noise_does_not_favour_an_arm(monkeypatch):
    clock = Clock(monkeypatch)
    f, g = clock.call(1e-4, noise=0.5, seed=1), clock.call(1e-4, noise=0.5, seed=2)
    assert measure.ratio(f, g) == pytest.approx(1, rel=0.02)


def test_both_arms_do_the_same_number_of_calls(monkeypatch):
    clock = Clock(monkeypatch)
    sizes = []
    block = measure.block
    monkeypatch.setattr(
        measure, "block", lambda call, number: sizes.append(number) or block(call, number)
    )
    measure.ratio(clock.call(3e-4), clock.call(1e-4))
    assert {size for size in sizes if size > 1} == {33}


def test_slow_calls_are_still_timed_five_times(monkeypatch):
    clock = Clock(monkeypatch)
    calls = []
    slow = clock.call(2.0)
    seconds = measure.seconds_per_call(lambda: (calls.append(None), slow()))
    assert seconds == pytest.approx(2.0)
    assert len(calls) >= 5


def test_garbage_is_not_collected_while_timing():
    seen = []
    measure.seconds_per_call(lambda: seen.append(gc.isenabled()), budget=0.01, warmup=0)
    assert gc.isenabled()
    assert not any(seen[3:])


def test_an_exception_is_not_a_number():
    def fails():
        raise RuntimeError("no step")

    with pytest.raises(RuntimeError, match="no step"):
        measure.ratio(fails, fails)
