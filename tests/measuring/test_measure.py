"""The measuring engine on a clock of our own: calls take the time that the test says."""

import gc
import math
import os
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
    assert {size for size in sizes if size > 1} == {3}


def test_a_pair_that_agrees_is_timed_no_longer_than_needed(monkeypatch):
    clock = Clock(monkeypatch)
    measure.ratio(clock.call(1e-4), clock.call(1e-4), budget=10)
    quiet = clock.now
    clock = Clock(monkeypatch)
    measure.ratio(
        clock.call(1e-4, noise=0.5, seed=1), clock.call(1e-4, noise=0.5, seed=2), budget=10
    )
    assert quiet < 1 < clock.now


def test_warming_up_lasts_until_calls_get_no_faster(monkeypatch):
    clock = Clock(monkeypatch)

    def call():  # 0.35 s of getting faster
        clock.now += 1e-3 * (3 - 2 * min(clock.now / 0.35, 1))

    assert measure.ratio(call, clock.call(1e-3)) == pytest.approx(1)


@pytest.mark.parametrize("count", [10, 11, 100, 1001])
def test_the_interval_of_a_median_holds_its_level(count):
    generator = random.Random(count)
    low = int(count / 2 - count**0.5)
    missed = 0
    for _ in range(2000):
        ranked = sorted(generator.gauss(0, 1) for _ in range(count))
        missed += not ranked[low] <= 0 <= ranked[-1 - low]
        assert measure.half_width(ranked[::-1]) == (ranked[-1 - low] - ranked[low]) / 2
    # Each value is below the true median with probability one half.
    level = 2 * sum(math.comb(count, k) for k in range(low + 1)) / 2**count
    assert level < 0.07  # whole ranks cannot hold 5 % exactly
    assert missed / 2000 == pytest.approx(level, abs=4 * (level / 2000) ** 0.5)


def test_too_few_values_have_no_interval():
    assert measure.half_width([1.0, 1.0, 1.0]) == float("inf")


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
    assert not any(seen)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux moves threads")
def test_threads_are_moved_and_let_go():
    before = os.sched_getaffinity(0)
    for _ in range(10):
        measure.scatter_threads()
    assert os.sched_getaffinity(0) == before


def test_an_exception_is_not_a_number():
    def fails():
        raise RuntimeError("no step")

    with pytest.raises(RuntimeError, match="no step"):
        measure.ratio(fails, fails)
