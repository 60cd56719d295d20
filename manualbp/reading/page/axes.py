"""Axes for the panels: ranges that hold the data with their intervals, and readable ticks."""

import math
from collections.abc import Callable, Iterable, Sequence

from manualbp.reading.page import words
from manualbp.reading.page.svg import Axis
from manualbp.reading.ticks import labelled

_ROOM = 1.6
"""What the batch axis extends beyond the first and the last batch, as a factor."""

_CHARACTERS = 50
"""What a panel's width holds of digits."""

_REACH = 2.0
"""How far intervals may extend an axis beyond the values, as a factor."""


def batch_axis(batches: Iterable[int]) -> Axis:
    """Return an axis with a tick at every batch measured, named where there is room."""
    ticks = sorted(set(batches))
    named = labelled(ticks, _CHARACTERS, _ROOM)
    return Axis(
        ticks[0] / _ROOM,
        ticks[-1] * _ROOM,
        tuple((batch, str(batch) if batch in named else "") for batch in ticks),
        "batch (examples)",
    )


def count_axis(labels: Sequence[str], label: str) -> Axis:
    """Return an axis of things in order, from 0, some of them labelled."""
    last = len(labels) - 1
    shown = sorted({round(last * share / 4) for share in range(5)})
    ticks = tuple((float(place), labels[place]) for place in shown)
    room = max(0.04 * last, 0.4)
    return Axis(-room, last + room, ticks, label, counts=True)


def speedup_axis(values: Iterable[float], ends: Iterable[float]) -> Axis:
    """Return an axis of speedups, parity and some room on both its sides always on it."""
    low, high = _range(values, ends)
    low, high = min(low, 0.7), max(high, 1.45)  # lest a difference of a percent fill the panel
    if high / low > 16:
        ticks = [2.0**power for power in range(-12, 13)]
    elif high / low > 4:
        ticks = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16]
    elif high / low > 1.8:
        ticks = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 2, 2.5, 3]
    else:
        ticks = [step / 20 for step in range(10, 40)]
    return Axis(low, high, _within(low, high, ticks, lambda tick: f"{tick:g}×"), "speedup")


def seconds_axis(values: Iterable[float], ends: Iterable[float], label: str) -> Axis:
    """Return an axis of times, in the units they are spoken in."""
    low, high = _range(values, ends)
    subs = (1,) if high / low > 300 else (1, 3) if high / low > 30 else (1, 2, 5)
    return Axis(low, high, _within(low, high, _decades(low, high, subs), _time), label)


def plain_axis(values: Iterable[float], label: str) -> Axis:
    """Return an axis of any positive numbers."""
    low, high = _range(values)
    subs = (1,) if high / low > 300 else (1, 2, 5) if high / low > 2 else range(10, 100, 5)
    if high / low <= 2:
        ticks = [_nice(low * (high / low) ** (step / 4)) for step in range(5)]
    else:
        ticks = _decades(low, high, tuple(subs))
    return Axis(low, high, _within(low, high, ticks, lambda tick: f"{tick:,g}"), label)


def _range(values: Iterable[float], ends: Iterable[float] = ()) -> tuple[float, float]:
    """Return a range around the values with some room; 1 to 10 around none.

    Ends of intervals extend it, but by no more than a factor of ``_REACH`` on either side: two
    processes can give an interval over decades, beside which nothing else could be read.
    """
    known = [value for value in values if math.isfinite(value) and value > 0]
    if not known:
        return 1.0, 10.0
    low, high = min(known), max(known)
    reach = [end for end in ends if low / _REACH <= end <= high * _REACH]
    low, high = min(low, *reach, math.inf), max(high, *reach, 0.0)
    room = max((high / low) ** 0.06, 1.06)
    return low / room, high * room


def _decades(low: float, high: float, subs: Sequence[float]) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [sub * 10.0**power for power in range(first, last + 1) for sub in subs]


def _within(
    low: float, high: float, ticks: Iterable[float], text: Callable[[float], str]
) -> tuple[tuple[float, str], ...]:
    return tuple((tick, text(tick)) for tick in ticks if low <= tick <= high)


def _time(value: float) -> str:
    number, unit = words.seconds(value).split(" ")
    return f"{float(number.replace(',', '')):g} {unit}"


def _nice(value: float) -> float:
    return float(f"{value:.2g}")
