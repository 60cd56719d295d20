"""The measuring engine on a clock of our own: calls take the time that the test says."""

import gc
import math
import os
import random
import re
from collections import Counter

import pytest

from manualbp.measuring import measure
from manualbp.measuring.disturbance import Meanwhile


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


def test_both_arms_have_blocks_of_the_same_duration(monkeypatch):
    clock = Clock(monkeypatch)
    sizes = []
    block = measure.block
    monkeypatch.setattr(
        measure, "block", lambda call, number: sizes.append(number) or block(call, number)
    )
    measure.ratio(clock.call(5e-4), clock.call(1e-4))
    assert {size for size in sizes if size > 1} == {2, 10}  # of a millisecond


def test_a_block_is_as_long_as_the_slowest_call(monkeypatch):
    assert measure.block_seconds([1e-4, 7e-3], budget=1.0) == 7e-3
    assert measure.calls_per_block(1e-4, 7e-3) == 70
    assert measure.calls_per_block(7e-3, 7e-3) == 1


def test_contenders_measured_by_turns_have_the_ratios_that_they_have_alone(monkeypatch):
    clock = Clock(monkeypatch, drift=0.1)
    truths = (0.5, 1.0, 3.0)
    timings = measure.ratios([clock.call(t * 1e-4) for t in truths], clock.call(1e-4))
    assert [timing.value for timing in timings] == pytest.approx(truths, rel=1e-3)
    assert not any(timing.reason for timing in timings)


def test_a_contender_that_is_known_leaves_the_time_to_the_others(monkeypatch):
    clock = Clock(monkeypatch)
    calls = Counter()

    def counted(name, noise):
        call = clock.call(1e-3, noise, seed=len(name))
        return lambda: (calls.update([name]), call())

    quiet, noisy = counted("quiet", 0.0), counted("noisy", 0.6)
    measure.ratios([quiet, noisy], clock.call(1e-3), budget=2.0)
    assert calls["noisy"] > 3 * calls["quiet"]


def test_a_pair_that_agrees_is_timed_no_longer_than_needed(monkeypatch):
    clock = Clock(monkeypatch)
    measure.ratio(clock.call(1e-4), clock.call(1e-4), budget=10)
    quiet = clock.now
    clock = Clock(monkeypatch)
    measure.ratio(
        clock.call(1e-4, noise=0.5, seed=1), clock.call(1e-4, noise=0.5, seed=2), budget=10
    )
    assert 2 * quiet < clock.now


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


# ---------------------------------------------------------------- a machine that is busy


class Neighbour:
    """A watch on a machine where a neighbour computes in the spells that the test names."""

    def __init__(self, monkeypatch, busy):
        self.spells = 0
        self.busy = busy
        monkeypatch.setattr(measure, "Watch", lambda: self)

    def read(self):
        self.spells += 1
        others = 1.0 if self.busy(self.spells) else 0.0
        return Meanwhile(1.0, 2, others, 0.0, others)


def test_what_was_timed_beside_a_neighbour_is_left_out(monkeypatch):
    clock = Clock(monkeypatch)
    neighbour = Neighbour(monkeypatch, lambda spell: spell % 2 == 1)

    def slowed_by_the_neighbour():
        clock.now += 3e-4 if neighbour.busy(neighbour.spells + 1) else 1e-4

    (timing,) = measure.ratios([slowed_by_the_neighbour], clock.call(1e-4), precision=0)
    assert timing.value == pytest.approx(1.0)
    assert timing.reason == ""
    assert timing.quiet == pytest.approx(0.5, abs=0.1)
    assert timing.disturbance["others"] == pytest.approx(0.25, abs=0.05)


def test_without_a_quiet_spell_the_value_is_disturbed(monkeypatch):
    clock = Clock(monkeypatch)
    Neighbour(monkeypatch, lambda spell: True)
    (timing,) = measure.ratios([clock.call(1e-4)], clock.call(1e-4), patience=1.0)
    assert timing.reason == "other programs took 50% of the cores' time"
    assert timing.quiet == 0
    assert clock.now < 3  # patience has an end
    with pytest.warns(measure.DisturbedWarning, match="wait until the machine is quiet"):
        measure.ratio(clock.call(1e-4), clock.call(1e-4))
    with pytest.warns(measure.DisturbedWarning):
        measure.seconds_per_call(clock.call(1e-4))


def test_blocks_that_were_switched_out_are_left_out_where_most_were_not(monkeypatch):
    clock = Clock(monkeypatch)
    blocks = []

    def block(call, number):
        started = clock.now
        for _ in range(number):
            call()
        blocks.append(None)
        switched = len(blocks) % 5 == 0
        clock.now += 5e-3 if switched else 0
        return clock.now - started, switched

    monkeypatch.setattr(measure, "block", block)
    timing = measure.steady_time(clock.call(1e-4))
    assert timing.value == pytest.approx(1e-4)
    assert timing.switched == pytest.approx(0.2, abs=0.05)


# ---------------------------------------------------------------- what cannot be measured


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget must be finite and positive, got 0"),
        ({"budget": -1.0}, "budget must be finite and positive, got -1.0"),
        ({"budget": math.nan}, "budget must be finite and positive, got nan"),
        ({"budget": math.inf}, "budget must be finite and positive, got inf"),
        ({"warmup": -0.1}, "warmup must be finite and at least 0, got -0.1"),
        ({"precision": math.nan}, "precision must be finite and at least 0, got nan"),
    ],
)
def test_numbers_that_are_none_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        measure.ratio(int, int, **options)


@pytest.mark.parametrize("budget", ["1", None, True, [1]])
def test_what_is_no_number_is_refused(budget):
    for call in (lambda: measure.ratio(int, int, budget=budget),
                 lambda: measure.seconds_per_call(int, budget=budget)):  # fmt: skip
        with pytest.raises(TypeError, match="budget must be a number"):
            call()


async def coroutine():
    raise AssertionError("it never runs")


def generator():
    yield


async def asynchronous_generator():
    yield


@pytest.mark.parametrize("lazy", [coroutine, generator, asynchronous_generator])
def test_calls_that_do_no_work_are_refused(lazy):
    for arguments in ((lazy, int), (int, lazy)):
        with pytest.raises(TypeError, match="must do its work when it is called"):
            measure.ratio(*arguments)
    with pytest.raises(TypeError, match="must do its work when it is called"):
        measure.seconds_per_call(lazy)
    with pytest.raises(TypeError, match="must be callable"):
        measure.seconds_per_call(3)
