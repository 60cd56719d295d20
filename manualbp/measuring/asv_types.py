"""The kinds of benchmark that asv does not have: steady, ratio and first.

asv times a ``time_*`` method cold or through its ``setup``, whichever comes first; neither suits a
step that is built once and must be warm.  Here a benchmark method *prepares* what is timed, and
the type measures it:

- ``steady_*`` returns a callable; its steady time is measured (``measure.steady_time``);
- ``ratio_*`` returns two callables, measured interleaved (``measure.ratios``);
- ``first_*`` is a generator that yields a callable, which is called and timed once, and then
  checks what it likes.

Each process yields one value; ``rounds`` processes give asv its samples.  ``register()`` makes asv
know the types, once a suite is imported.  A ``NotHereError`` while preparing (a device or a library
that is not here) skips the cell, any other exception fails it.  What can be verified is verified
again after it was timed, with other inputs.  asv knows no disturbed values: where
the machine was too busy, its cell is skipped, the reason printed.

``manualbp run`` measures several cells in one process (``manualbp.measuring.together``): it names
them in the attribute ``together`` of the first.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any

from asv_runner.benchmarks import benchmark_types
from asv_runner.benchmarks._base import Benchmark, _get_first_attr
from asv_runner.benchmarks.mark import SkipNotImplemented
from asv_runner.benchmarks.track import TrackBenchmark

from manualbp.measuring import injection, measure
from manualbp.measuring.disturbance import Watch, switches
from manualbp.measuring.measure import Call, Timing
from manualbp.measuring.problem import NotHereError

DIGITS = 4
"""Digits stored of a ratio: a process resolves about 1 %, more would only clutter asv's tables."""


XLA_CACHE = "--tf_xla_persistent_cache_directory"
"""XLA's flag for a folder in which it keeps and finds compiled programs."""

ALONE_PATIENCE = 40
"""How long a process of plain asv waits for quiet spells, in times its budget: nobody tries it
again.  asv's command line sets no attribute but its own, so that a brief look is to be brief."""


class RetracedError(Exception):
    """A function was traced again while its steady time was measured."""


@contextmanager
def absent_devices_skip() -> Iterator[None]:
    """Turn a device or a peer that is not here into asv's skipped cell, the reason printed."""
    try:
        yield
    except NotHereError as error:
        print(f"asv: skipped: {error}")
        raise SkipNotImplemented(str(error)) from error


def asked_for(benchmark: Benchmark) -> list[str] | None:
    """Return the cells to measure in this process, the benchmark's own first, if any are named."""
    names: list[str] | None = _get_first_attr(benchmark._attr_sources, "together", None)
    return names


def run_together(leader: Benchmark, names: list[str]) -> dict[str, Any]:
    """Measure cells of several benchmarks in this process."""
    from manualbp.measuring import together  # it knows these types, too

    return together.run_together(leader, names)


class Prepared(Benchmark):  # type: ignore[misc]
    """A benchmark whose method prepares and whose type measures."""

    def __init__(self, name: str, func: Callable[..., Any], attr_sources: list[Any]) -> None:
        super().__init__(name, func, attr_sources)
        self.rounds = int(_get_first_attr(attr_sources, "rounds", 2))

    def run(self, *param: Any) -> dict[str, Any]:
        """Prepare and measure; asv calls this in a process of its own."""
        if (names := asked_for(self)) is not None:
            return run_together(self, names)
        with absent_devices_skip():
            (timing,) = self.measure([self.func(*param)])
        if timing.reason:
            print(f"asv: disturbed: {timing.reason}")
            raise SkipNotImplemented(timing.reason)
        return {"samples": [timing.value], "number": 1}

    def measure(self, prepared: Sequence[Any]) -> list[Timing]:
        """Return this process's value of what was prepared, one for each."""
        raise NotImplementedError

    def seconds(self, attribute: str, default: float) -> float:
        """Return how long to do something, as the suite or asv's command line says."""
        return float(_get_first_attr(self._attr_sources, attribute, default))

    def do_profile(self, filename: str | None = None) -> None:
        """Profile the prepared calls, not their preparation (asv's ``--profile``)."""
        import cProfile

        prepared = self.func(*self._build_params())
        calls = prepared if isinstance(prepared, tuple) else (prepared,)
        profile = cProfile.Profile()
        for call in calls:
            call()
            profile.runcall(call)
        if filename is not None:
            profile.dump_stats(filename)


class Steady(Prepared):
    """``steady_*``: seconds per step of a warm callable."""

    name_regex = re.compile("^steady_.+$")

    def __init__(self, name: str, func: Callable[..., Any], attr_sources: list[Any]) -> None:
        super().__init__(name, func, attr_sources)
        self.type = "time"
        self.unit = "seconds"

    def measure(self, prepared: Sequence[Any]) -> list[Timing]:
        """Return seconds per step; refuse a number in which a trace took part."""
        timings = []
        for call in prepared:
            call()
            with no_retracing([call]):
                timing = measure.steady_time(
                    call,
                    budget=(budget := self.seconds("sample_time", measure.STEADY_S)),
                    warmup=self.seconds("warmup_time", measure.WARMUP_S),
                    patience=self.seconds("patience", ALONE_PATIENCE * budget),
                )
            verify_again([call])
            steps = int(getattr(call, "steps_per_call", 1))
            timings.append(replace(timing, value=timing.value / steps))
        return timings


class Ratio(Prepared):
    """``ratio_*``: time of one callable over another's, interleaved.

    The attribute ``slowdown`` adds that share of extra work to the first callable, to calibrate
    what a machine can detect; with ``slowdown_alone`` it is compared with itself without the
    extra work, which says what the slowdown came to.
    """

    name_regex = re.compile("^ratio_.+$")

    def __init__(self, name: str, func: Callable[..., Any], attr_sources: list[Any]) -> None:
        super().__init__(name, func, attr_sources)
        self.type = "ratio"
        self.unit = "ratio"

    def measure(self, prepared: Sequence[Any]) -> list[Timing]:
        """Return the ratios to :data:`DIGITS` digits; those over the same baseline by turns."""
        for call in dict.fromkeys(call for pair in prepared for call in pair):
            call()
        arms = [self.arms(*pair) for pair in prepared]
        found: dict[int, Timing] = {}
        with no_retracing([call for pair in prepared for call in pair]):
            for baseline in dict.fromkeys(g for _, g in arms):
                mine = [index for index, (_, g) in enumerate(arms) if g is baseline]
                timings = measure.ratios(
                    [arms[index][0] for index in mine],
                    baseline,
                    budget=(budget := self.seconds("sample_time", measure.RATIO_S)),
                    warmup=self.seconds("warmup_time", measure.WARMUP_S),
                    patience=self.seconds("patience", ALONE_PATIENCE * budget),
                )
                found |= zip(mine, timings, strict=True)
        verify_again(call for pair in prepared for call in pair)
        rounded = (found[index] for index in range(len(arms)))
        return [replace(timing, value=float(f"{timing.value:.{DIGITS}g}")) for timing in rounded]

    def arms(self, f: Call, g: Call) -> tuple[Call, Call]:
        """Return the two callables, the first slowed down if so asked."""
        slowdown = self.seconds("slowdown", 0.0)
        if not slowdown:
            return f, g
        slower = injection.slowed(f, slowdown)
        return slower, f if self.seconds("slowdown_alone", 0.0) else g


class First(Prepared):
    """``first_*``: seconds of one call in a process that has not made it before."""

    name_regex = re.compile("^first_.+$")

    def __init__(self, name: str, func: Callable[..., Any], attr_sources: list[Any]) -> None:
        super().__init__(name, func, attr_sources)
        self.type = "time"
        self.unit = "seconds"

    def measure(self, prepared: Sequence[Any]) -> list[Timing]:
        """Time the yielded callable once, then let the generator check."""
        (generator,) = prepared  # a second one would not be the process's first call
        call = next(generator)
        watch, before = Watch(), switches()
        started = perf_counter()
        call()
        seconds = perf_counter() - started
        switched, meanwhile = float(switches() != before), watch.read()
        for _ in generator:
            raise RuntimeError(f"{self.name} must yield one callable, it yielded two")
        quiet = 0.0 if meanwhile.reason else 1.0
        return [Timing(seconds, switched, quiet, meanwhile, meanwhile.reason)]


class Track(TrackBenchmark):  # type: ignore[misc]
    """``track_*``, as asv's own, which can share a process with other cells."""

    def run(self, *param: Any) -> Any:
        """Return the number that the method returns, or all cells of the process."""
        if (names := asked_for(self)) is not None:
            return run_together(self, names)
        return super().run(*param)


@contextmanager
def no_retracing(calls: Any) -> Iterator[None]:
    """Raise ``RetracedError`` when one of the calls was traced meanwhile."""
    before = [getattr(call, "traces", 0) for call in calls]
    yield
    after = [getattr(call, "traces", 0) for call in calls]
    if before != after:
        raise RetracedError(f"traced {after} times after measuring, {before} before")


def verify_again(calls: Iterable[Call]) -> None:
    """Verify with other inputs what offers it; raises ``VerificationError``."""
    for call in dict.fromkeys(calls):
        verify = getattr(call, "verify_again", None)
        if verify is not None:
            verify()


def register() -> None:
    """Make asv know the types; they come first, for asv takes the first whose name matches.

    XLA is to compile in every process: a cache of programs that is set in the environment, in which
    others may have compiled them, is left out of it.
    """
    if flags := os.environ.get("TF_XLA_FLAGS"):
        kept = [flag for flag in flags.split() if not flag.startswith(XLA_CACHE)]
        os.environ["TF_XLA_FLAGS"] = " ".join(kept)
    for kind in (Steady, Ratio, First, Track):
        if kind not in benchmark_types:
            benchmark_types.insert(0, kind)
