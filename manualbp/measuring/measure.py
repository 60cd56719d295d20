"""The measuring engine: how long a call takes, and one call over another.

It times any callable and knows neither TensorFlow nor asv.  One process yields one value; several
processes, which the caller starts, give the spread.
"""

import gc
import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

Call = Callable[[], Any]

WARMUP_S = 0.1
"""The length of a window of warming up; there are at least two, until calls get no faster."""

STEADY = 0.98
"""Calls are steady when a window takes at least this share of the time of the one before.  At
large batches the first 0.2 s take up to 1.5 times as long: threads, allocators, clocks."""

STEADY_S, RATIO_S = 0.3, 0.4
"""How long a process times a call, and how long at most it times a pair of calls."""

BLOCK_S = 0.001
"""The length of a timed block: 10^4 clock ticks.  A block of 10 ms catches some neighbour's burst
nearly every time, and leaves a tenth of the pairs for the median to choose from."""

PRECISION = 0.008
"""Timing a pair ends once the 95 % interval of the median is within this share of it: processes
differ by as much, so that further time is better spent on another process."""

LOOK_S = 0.05
"""How often to look whether that is so."""


def seconds_per_call(call: Call, *, budget: float = STEADY_S, warmup: float = WARMUP_S) -> float:
    """Measure the steady time of a call: the median over blocks of calls, in seconds.

    Parameters
    ----------
    call
        Anything callable without arguments that returns when its work is done.
    budget
        Seconds to spend on timed blocks, warming up apart; at least five blocks are timed.
    warmup
        Seconds in a window of warming up; at least two are not timed.

    """
    times: list[float] = []
    with garbage_collection_paused():
        (typical,) = warm_up((call,), warmup)
        number = calls_per_block(typical, budget)
        started = perf_counter()
        while len(times) < 5 or perf_counter() - started < budget:
            times.append(block(call, number))
    return median(times) / number


def ratio(
    f: Call,
    g: Call,
    *,
    budget: float = RATIO_S,
    warmup: float = WARMUP_S,
    precision: float = PRECISION,
) -> float:
    """Measure the time of ``f`` over that of ``g``, interleaved: below 1, ``f`` is faster.

    Blocks of the two alternate in the order f g g f or g f f g, chosen at random, so that a drift
    of the machine falls on both alike, and each is first as often as second.  Two neighbouring
    blocks make a pair; the value is the median of the pairs' ratios, taken on logarithms.  Before
    each four, threads are moved (:func:`scatter_threads`).  It is one process's value: its spread
    is that between processes, never that between pairs.

    Parameters
    ----------
    f, g
        Callables without arguments that return when their work is done.
    budget
        Seconds to spend at most on timed blocks, warming up apart; at least ten pairs are timed.
    warmup
        Seconds in a window of warming up; at least two are not timed.
    precision
        Stop earlier once the median is known within this share.  The spread of the pairs
        decides, never their ratio, so that stopping favours neither arm.

    """
    logs: list[float] = []
    # Order only: no measured number depends on which random numbers come.
    coin = random.Random()
    with garbage_collection_paused():
        # Sized once, by the slower of the two, so that both arms do the same number of calls.
        number = calls_per_block(max(warm_up((f, g), warmup)), budget)
        started = perf_counter()
        look = started + LOOK_S
        while len(logs) < 10 or (now := perf_counter()) - started < budget:
            if len(logs) >= 10 and now > look:
                if half_width(logs) < precision:
                    break
                look = now + LOOK_S
            scatter_threads()
            first, second = (f, g) if coin.random() < 0.5 else (g, f)
            a, b, c, d = (block(call, number) for call in (first, second, second, first))
            sign = 1 if first is f else -1
            logs += (sign * math.log(a / b), sign * math.log(d / c))
    return math.exp(median(logs))


def half_width(values: Sequence[float]) -> float:
    """Return half the length of the distribution-free 95 % interval of the median.

    Its ends are the order statistics n/2 -+ sqrt(n) (1.96 standard deviations of a binomial
    count; David and Nagaraja, "Order Statistics", section 7.1); infinite below six values.
    """
    ranked = sorted(values)
    low = math.floor(len(ranked) / 2 - math.sqrt(len(ranked)))
    return (ranked[-1 - low] - ranked[low]) / 2 if low >= 0 else math.inf


def block(call: Call, number: int) -> float:
    """Time ``number`` calls in a row, in seconds."""
    calls = range(number)
    started = perf_counter()
    for _ in calls:
        call()
    return perf_counter() - started


def warm_up(calls: Sequence[Call], window: float) -> list[float]:
    """Call by turns until calls get no faster; return each call's typical time, in seconds.

    At least two windows, at most six: what is still getting faster then will have to do.
    """
    before = math.inf
    typical: list[float] = []
    for number in range(6):
        took: list[list[float]] = [[] for _ in calls]
        deadline = perf_counter() + window
        while not took[0] or perf_counter() < deadline:
            for call, times in zip(calls, took, strict=True):
                times.append(block(call, 1))
        typical = [median(times) for times in took]
        if number > 0 and sum(typical) >= STEADY * before:
            break
        before = sum(typical)
    return typical


def calls_per_block(typical: float, budget: float) -> int:
    """Return how many calls make a block: 1 ms, or a twentieth of the budget if shorter."""
    return max(1, int(min(BLOCK_S, budget / 20) / typical)) if typical > 0 else 1


def scatter_threads() -> None:
    """Move every thread of this process to a core drawn at random, and let it go again.

    Where the scheduler has put the threads of a pool decides what waking them costs, and it
    leaves them there for seconds, often for a process's life: an eager step at batch 4096 took
    0.6 or 0.95 ms, by chance.  Moved often, a process sees both, as a long training does.  Does
    nothing where the system (all but Linux) does not offer it, and with a single core.
    """
    tasks = Path("/proc/self/task")
    if not hasattr(os, "sched_setaffinity") or not tasks.is_dir():
        return
    for task in os.listdir(tasks):
        with suppress(OSError):  # a thread that has ended meanwhile
            cores = os.sched_getaffinity(int(task))
            os.sched_setaffinity(int(task), {random.choice(sorted(cores))})
            os.sched_setaffinity(int(task), cores)


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Collect no garbage meanwhile, nor before: that would take 0.1 s and leave caches cold."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
