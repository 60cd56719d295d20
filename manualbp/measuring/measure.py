"""The measuring engine: how long a call takes, and one call over another.

It times any callable and knows neither TensorFlow nor asv.  One process yields one value; several
processes, which the caller starts, give the spread.  A value comes with what disturbed it.
"""

import gc
import math
import os
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from manualbp.measuring.checks import check_call, check_numbers
from manualbp.measuring.disturbance import Meanwhile, Watch, switches, together

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

SPELL_S = 0.1
"""The length of a spell: what is timed in it is kept or thrown away as one.  Shorter, the system's
account of the cores' time (10 ms) says too little; longer, bursts of others spoil more."""

PATIENCE_S = 2.0
"""How long at most a process waits for quiet spells, beyond the time that it needs of them."""

PAIRS, BLOCKS = 10, 5
"""How many pairs or blocks a value is taken from at least."""


class DisturbedWarning(RuntimeWarning):
    """A value was taken on a machine too busy to believe it."""


@dataclass(frozen=True)
class Timing:
    """What one process measured: its value, what disturbed it, and whether that was too much.

    ``switched`` is the share of blocks during which the process was switched out, ``quiet`` the
    share of time that was quiet; ``reason`` says what disturbed it, and is empty for a value that
    is to be believed.
    """

    value: float
    switched: float
    quiet: float
    meanwhile: Meanwhile
    reason: str

    @property
    def disturbance(self) -> dict[str, float | None]:
        """What disturbed the value, in shares between 0 and 1; ``None`` is unknown."""
        return {"switched": self.switched, "quiet": self.quiet, **self.meanwhile.shares}


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

    Warns
    -----
    DisturbedWarning
        When the machine was too busy to believe the value.

    """
    check_call("call", call)
    check_numbers(budget=budget, warmup=warmup)
    return _believed(steady_time(call, budget=budget, warmup=warmup))


def ratio(
    f: Call,
    g: Call,
    *,
    budget: float = RATIO_S,
    warmup: float = WARMUP_S,
    precision: float = PRECISION,
) -> float:
    """Measure the time of ``f`` over that of ``g``, interleaved: below 1, ``f`` is faster.

    Blocks of the two, of the same duration, alternate in the order f g g f or g f f g, chosen at
    random, so that a drift of the machine falls on both alike, and each is first as often as
    second.  Two neighbouring blocks make a pair; the value is the median of the pairs' ratios,
    taken on logarithms.  Before each four, threads are moved (:func:`scatter_threads`).  It is one
    process's value: its spread is that between processes, never that between pairs.

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

    Warns
    -----
    DisturbedWarning
        When the machine was too busy to believe the value.

    """
    check_call("f", f)
    check_call("g", g)
    check_numbers(budget=budget, warmup=warmup, precision=precision)
    (timing,) = ratios((f,), g, budget=budget, warmup=warmup, precision=precision)
    return _believed(timing)


def steady_time(
    call: Call,
    *,
    budget: float = STEADY_S,
    warmup: float = WARMUP_S,
    patience: float = PATIENCE_S,
) -> Timing:
    """Measure as :func:`seconds_per_call` does; return the value with what disturbed it.

    ``patience`` is how many seconds more than ``budget`` it may take to find quiet spells.
    """
    with garbage_collection_paused():
        (typical,) = warm_up((call,), warmup)
        number = calls_per_block(typical, block_seconds([typical], budget))

        def turn() -> list[Sample]:
            taken, switched = block(call, number)
            return [Sample(0, taken / number, switched)]

        gathered = gather(turn, budget, patience, lambda samples: False, BLOCKS)
    return timing(gathered, 0, BLOCKS, median)


def ratios(
    contenders: Sequence[Call],
    baseline: Call,
    *,
    budget: float = RATIO_S,
    warmup: float = WARMUP_S,
    precision: float = PRECISION,
    patience: float = PATIENCE_S,
) -> list[Timing]:
    """Measure each contender's time over the baseline's, as :func:`ratio` does, all by turns.

    In each turn every contender meets the baseline once, in random order; one whose median is
    known drops out.  The contenders share the process's warm-up, its baseline and its time, and
    each has a value of its own.  ``budget`` is for each contender, ``patience`` for all.
    """
    # Order only: no measured number depends on which random numbers come.
    coin = random.Random()
    open_ = set(range(len(contenders)))
    with garbage_collection_paused():
        # A window holds as much of each call as one of a pair does.
        window = warmup * (len(contenders) + 1) / 2
        typical = warm_up((baseline, *contenders), window)
        length = block_seconds(typical, budget)
        number, *numbers = (calls_per_block(seconds, length) for seconds in typical)

        def turn() -> list[Sample]:
            samples = []
            for arm in coin.sample(sorted(open_), len(open_)):
                scatter_threads()
                f, g = (contenders[arm], numbers[arm]), (baseline, number)
                first, second = (f, g) if coin.random() < 0.5 else (g, f)
                a, b, c, d = (block(*one) for one in (first, second, second, first))
                # Both pairs or neither: only together do they let no drift favour an arm.
                switched = any(cut for _, cut in (a, b, c, d))
                for one, other in ((a, b), (d, c)):
                    log = math.log((one[0] / first[1]) / (other[0] / second[1]))
                    samples.append(Sample(arm, log if first is f else -log, switched))
            return samples

        def known(samples: Sequence[Sample]) -> bool:
            for arm in tuple(open_):
                logs = [sample.value for sample in of_arm(samples, arm)]
                if len(logs) >= PAIRS and half_width(logs) < precision:
                    open_.discard(arm)
            return not open_

        gathered = gather(turn, budget * len(contenders), patience, known, PAIRS * len(contenders))
    return [
        timing(gathered, arm, PAIRS, lambda logs: math.exp(median(logs)))
        for arm in range(len(contenders))
    ]


# ---------------------------------------------------------------- quiet spells


@dataclass(frozen=True)
class Sample:
    """One block's or one pair's number, and whether the process was switched out meanwhile."""

    arm: int
    value: float
    switched: bool


@dataclass(frozen=True)
class Gathered:
    """What was timed in quiet spells and in others, and what the machine did in each."""

    quiet: list[Sample]
    noisy: list[Sample]
    in_quiet: list[Meanwhile]
    in_noisy: list[Meanwhile]


def gather(
    turn: Callable[[], list[Sample]],
    budget: float,
    patience: float,
    known: Callable[[Sequence[Sample]], bool],
    least: int,
) -> Gathered:
    """Take turns in spells of :data:`SPELL_S`, and keep apart what the quiet ones gave.

    It ends when ``known`` says so of the quiet samples, when ``budget`` seconds of quiet spells
    have given at least ``least`` samples, or when ``patience`` seconds more than the budget have
    passed, provided that there are ``least`` samples of any kind.
    """
    gathered = Gathered([], [], [], [])
    length = min(SPELL_S, budget / 2)
    started = perf_counter()
    spent = 0.0
    while True:
        watch, begun = Watch(), perf_counter()
        samples: list[Sample] = []
        while not samples or perf_counter() - begun < length:
            samples += turn()
        meanwhile = watch.read()
        noisy = bool(meanwhile.reason)
        (gathered.noisy if noisy else gathered.quiet).extend(samples)
        (gathered.in_noisy if noisy else gathered.in_quiet).append(meanwhile)
        spent += 0.0 if noisy else perf_counter() - begun
        if known(gathered.quiet) or (spent >= budget and len(gathered.quiet) >= least):
            return gathered
        if perf_counter() - started >= budget + patience and (
            len(gathered.quiet) + len(gathered.noisy) >= least
        ):
            return gathered


def timing(
    gathered: Gathered, arm: int, least: int, middle: Callable[[list[float]], float]
) -> Timing:
    """Return one arm's value: from the quiet spells, or a disturbed one from all there is."""
    quiet, noisy = of_arm(gathered.quiet, arm), of_arm(gathered.noisy, arm)
    reason = together(gathered.in_quiet).reason if gathered.in_quiet else ""
    if len(quiet) < least:
        reason = together(gathered.in_noisy).reason if noisy else reason
    samples = quiet + noisy if reason else quiet
    everything = together([*gathered.in_quiet, *gathered.in_noisy])
    # Where the process's own threads are more than the cores they switch one another out: then
    # what is left without a switch is a choice of its own kind, and all of it counts.
    whole = [sample.value for sample in samples if not sample.switched]
    if len(whole) < max(least, len(samples) / 2):
        whole = [sample.value for sample in samples]
    return Timing(
        value=middle(whole),
        switched=round(sum(sample.switched for sample in samples) / len(samples), 4),
        quiet=round(sum(one.seconds for one in gathered.in_quiet) / everything.seconds, 4),
        meanwhile=everything,
        reason=reason,
    )


def of_arm(samples: Sequence[Sample], arm: int) -> list[Sample]:
    """Return one arm's samples."""
    return [sample for sample in samples if sample.arm == arm]


def _believed(timing: Timing) -> float:
    """Return the value; warn if it is not to be believed."""
    if timing.reason:
        text = f"{timing.reason} while this was measured: wait until the machine is quiet"
        warnings.warn(text, DisturbedWarning, stacklevel=3)
    return timing.value


# ---------------------------------------------------------------- blocks


def half_width(values: Sequence[float]) -> float:
    """Return half the length of the distribution-free 95 % interval of the median.

    Its ends are the order statistics n/2 -+ sqrt(n) (1.96 standard deviations of a binomial
    count; David and Nagaraja, "Order Statistics", section 7.1); infinite below six values.
    """
    ranked = sorted(values)
    low = math.floor(len(ranked) / 2 - math.sqrt(len(ranked)))
    return (ranked[-1 - low] - ranked[low]) / 2 if low >= 0 else math.inf


def block(call: Call, number: int) -> tuple[float, bool]:
    """Time ``number`` calls in a row: seconds, and whether the process was switched out."""
    calls = range(number)
    before = switches()
    started = perf_counter()
    for _ in calls:
        call()
    taken = perf_counter() - started
    return taken, switches() != before


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
                times.append(block(call, 1)[0])
        typical = [median(times) for times in took]
        if number > 0 and sum(typical) >= STEADY * before:
            break
        before = sum(typical)
    return typical


def block_seconds(typical: Sequence[float], budget: float) -> float:
    """Return how long a block is: 1 ms, a twentieth of the budget if shorter, a call if longer.

    All arms have blocks of this duration, for what interrupts a block comes by the second: in
    equal numbers of calls the slower arm is interrupted more often, and the faster one wins by it.
    """
    return max(min(BLOCK_S, budget / 20), *typical)


def calls_per_block(typical: float, length: float) -> int:
    """Return how many calls come nearest to the length of a block."""
    return max(1, round(length / typical)) if typical > 0 else 1


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
