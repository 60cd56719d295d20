"""The measuring engine: how long a call takes, and one call over another.

It times any callable and knows neither TensorFlow nor asv.  One process yields one value; several
processes, which the caller starts, give the spread.
"""

import gc
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import Any

Call = Callable[[], Any]

WARMUP_S = 0.1
"""Calls before the first timed one: caches, allocators, thread pools and clocks settle."""

STEADY_S, RATIO_S = 0.3, 0.6
"""How long a process times a call, and a pair of calls."""

BLOCK_S = 0.01
"""The length of a timed block: 10^5 clock ticks, yet short beside a neighbour's burst."""


def seconds_per_call(call: Call, *, budget: float = STEADY_S, warmup: float = WARMUP_S) -> float:
    """Measure the steady time of a call: the median over blocks of calls, in seconds.

    Parameters
    ----------
    call
        Anything callable without arguments that returns when its work is done.
    budget
        Seconds to spend on timed blocks, warming up apart; at least five blocks are timed.
    warmup
        Seconds to spend on calls that are not timed.

    """
    number = calls_per_block(call, budget, warmup)
    blocks = max(5, round(budget / BLOCK_S))
    started = perf_counter()
    times: list[float] = []
    with garbage_collection_paused():
        while len(times) < 5 or (len(times) < blocks and perf_counter() - started < budget):
            times.append(block(call, number))
    return median(times) / number


def ratio(f: Call, g: Call, *, budget: float = RATIO_S, warmup: float = WARMUP_S) -> float:
    """Measure the time of ``f`` over that of ``g``, interleaved: below 1, ``f`` is faster.

    Blocks of the two alternate in the order f g g f or g f f g, chosen at random, so that a drift
    of the machine falls on both alike.  Each such group of four gives one ratio, the geometric
    mean of its two pairs; the value is the median of the groups' ratios, taken on logarithms.
    It is one process's value: its spread is that between processes, never that between groups.

    Parameters
    ----------
    f, g
        Callables without arguments that return when their work is done.
    budget
        Seconds to spend on timed blocks, warming up apart; at least five groups are timed.
    warmup
        Seconds to spend on each callable before.

    """
    # Sized once, by the slower of the two, so that both arms do the same number of calls.
    number = min(calls_per_block(call, budget / 2, warmup) for call in (f, g))
    logs: list[float] = []
    # Order only: no measured number depends on which random numbers come.
    coin = random.Random()
    started = perf_counter()
    with garbage_collection_paused():
        while len(logs) < 5 or perf_counter() - started < budget:
            first, second = (f, g) if coin.random() < 0.5 else (g, f)
            a, b, c, d = (block(call, number) for call in (first, second, second, first))
            log = math.log((a * d) / (b * c)) / 2
            logs.append(log if first is f else -log)
    return math.exp(median(logs))


def block(call: Call, number: int) -> float:
    """Time ``number`` calls in a row, in seconds."""
    calls = range(number)
    started = perf_counter()
    for _ in calls:
        call()
    return perf_counter() - started


def calls_per_block(call: Call, budget: float, warmup: float) -> int:
    """Warm up and return how many calls make a block: 10 ms, or the budget's fifth if shorter."""
    deadline = perf_counter() + warmup
    took = [block(call, 1) for _ in range(3)]
    while perf_counter() < deadline:
        took.append(block(call, 1))
    # The last calls only: the first ones were still warming up.
    typical = median(took[-(len(took) // 2 + 1) :])
    return max(1, int(min(BLOCK_S, budget / 5) / typical)) if typical > 0 else 1


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Collect now and not while the block runs."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
