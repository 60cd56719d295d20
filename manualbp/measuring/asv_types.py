"""The kinds of benchmark that asv does not have: steady, ratio and first.

asv times a ``time_*`` method cold or through its ``setup``, whichever comes first; neither suits a
step that is built once and must be warm.  Here a benchmark method *prepares* what is timed, and
the type measures it:

- ``steady_*`` returns a callable; its steady time is measured (``measure.seconds_per_call``);
- ``ratio_*`` returns two callables, measured interleaved (``measure.ratio``);
- ``first_*`` is a generator that yields a callable, which is called and timed once, and then
  checks what it likes.

Each process yields one value; ``rounds`` processes give asv its samples.  ``register()`` makes asv
know the types, once a suite is imported.  A ``DeviceNotFoundError`` or a ``PeerNotFoundError``
while preparing skips the cell, any other exception fails it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from asv_runner.benchmarks import benchmark_types
from asv_runner.benchmarks._base import Benchmark, _get_first_attr
from asv_runner.benchmarks.mark import SkipNotImplemented

from manualbp.measuring import injection, measure
from manualbp.measuring.measure import Call
from manualbp.measuring.peers import PeerNotFoundError
from manualbp.measuring.problem import DeviceNotFoundError

DIGITS = 4
"""Digits stored of a ratio: a process resolves about 1 %, more would only clutter asv's tables."""


class RetracedError(Exception):
    """A function was traced again while its steady time was measured."""


@contextmanager
def absent_devices_skip() -> Iterator[None]:
    """Turn a device or a peer that is not here into asv's skipped cell, the reason printed."""
    try:
        yield
    except (DeviceNotFoundError, PeerNotFoundError) as error:
        print(f"asv: skipped: {error}")
        raise SkipNotImplemented(str(error)) from error


class Prepared(Benchmark):  # type: ignore[misc]
    """A benchmark whose method prepares and whose type measures."""

    def __init__(self, name: str, func: Callable[..., Any], attr_sources: list[Any]) -> None:
        super().__init__(name, func, attr_sources)
        self.rounds = int(_get_first_attr(attr_sources, "rounds", 2))

    def run(self, *param: Any) -> dict[str, Any]:
        """Prepare and measure; asv calls this in a process of its own."""
        with absent_devices_skip():
            prepared = self.func(*param)
            value = self.measure(prepared)
        return {"samples": [value], "number": 1}

    def measure(self, prepared: Any) -> float:
        """Return this process's one value."""
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

    def measure(self, prepared: Any) -> float:
        """Return seconds per step; refuse a number in which a trace took part."""
        prepared()
        with no_retracing([prepared]):
            seconds = measure.seconds_per_call(
                prepared,
                budget=self.seconds("sample_time", measure.STEADY_S),
                warmup=self.seconds("warmup_time", measure.WARMUP_S),
            )
        return seconds / int(getattr(prepared, "steps_per_call", 1))


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

    def measure(self, prepared: Any) -> float:
        """Return the ratio to :data:`DIGITS` digits."""
        for call in prepared:
            call()
        with no_retracing(prepared):
            ratio = measure.ratio(
                *self.arms(*prepared),
                budget=self.seconds("sample_time", measure.RATIO_S),
                warmup=self.seconds("warmup_time", measure.WARMUP_S),
            )
        return float(f"{ratio:.{DIGITS}g}")

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

    def measure(self, prepared: Any) -> float:
        """Time the yielded callable once, then let the generator check."""
        call = next(prepared)
        started = perf_counter()
        call()
        seconds = perf_counter() - started
        for _ in prepared:
            raise RuntimeError(f"{self.name} must yield one callable, it yielded two")
        return seconds


@contextmanager
def no_retracing(calls: Any) -> Iterator[None]:
    """Raise ``RetracedError`` when one of the calls was traced meanwhile."""
    before = [getattr(call, "traces", 0) for call in calls]
    yield
    after = [getattr(call, "traces", 0) for call in calls]
    if before != after:
        raise RetracedError(f"traced {after} times after measuring, {before} before")


def register() -> None:
    """Make asv know the types; they come first, for asv takes the first whose name matches."""
    for kind in (Steady, Ratio, First):
        if kind not in benchmark_types:
            benchmark_types.insert(0, kind)
