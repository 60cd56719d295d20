"""Why a change is *inconclusive*, and how many more processes would settle it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from manualbp.reading.intervals import LEVEL, Estimate, estimate, paired_ratio, ratio

MOST = 100
"""More processes than these on a side are not counted: another machine, or none, is the remedy."""

POWER = 0.8
"""How often the promised number settles a cell whose change is as large as it is estimated."""

ONE_PROCESS = "one process on a side has no interval"
NO_MARGIN = "no margin is known"

Side = tuple[float, int]
"""The variance of one process's value, on logarithms, and how many processes there are."""


@dataclass(frozen=True)
class Change:
    """An estimated change, and what it would take to know it better.

    ``sides`` are the two runs, or for runs measured by turns their rounds' ratios alone; each has
    at least two processes, or there are none.
    """

    estimate: Estimate
    sides: tuple[Side, ...]

    def after(self, more: int) -> tuple[float, float]:
        """Return the standard error, and Welch's degrees of freedom, with more processes."""
        parts = [(variance / (count + more), count + more) for variance, count in self.sides]
        total = math.fsum(part for part, _ in parts)
        if total == 0:
            return 0.0, math.fsum(count - 1 for _, count in parts)
        inverse = math.fsum((part / total) ** 2 / (count - 1) for part, count in parts)
        return math.sqrt(total), 1 / inverse


@dataclass(frozen=True)
class Reason:
    """Why a cell is *inconclusive*, and what would settle it, in words and in numbers.

    ``more`` is how many processes on each side, None where that is not known or above
    :data:`MOST`.
    """

    why: str
    remedy: str
    more: int | None = None


def change_of(head: Sequence[float], base: Sequence[float], *, paired: bool) -> Change:
    """Estimate the head over the base from their process values; errors as for ``estimate``."""
    if paired:
        known = paired_ratio(head, base)
        return Change(known, _sides(known))
    return Change(ratio(head, base), _sides(estimate(head), estimate(base)))


def explain(change: Change, margin: float, level: float, cells: int) -> Reason:
    """Say why a change is neither *slower*, *faster* nor *same*, and what would settle it.

    ``margin`` is a fraction, NaN if unknown; ``level`` is what the correction for ``cells`` cells
    leaves of the level of *slower* and *faster* for this one.
    """
    if not change.sides:
        return Reason(ONE_PROCESS, "measure at least 2 processes on each side")
    if math.isnan(margin):
        return Reason(NO_MARGIN, "'manualbp calibrate' measures margins, --margin sets one")
    edge = math.log1p(margin)
    size, half = abs(change.estimate.log), _half_width(change)
    more = more_processes(change, edge, level)
    if size > edge and half < size:
        why = f"beyond the margin, but not significant among {cells} cells"
    elif half >= edge:
        why = f"its interval (±{100 * math.expm1(half):.1f} %) is wider than the margin"
    else:
        why = "its interval reaches beyond the margin's edge"
    if more is None:
        near = half < edge and abs(size - edge) < change.after(0)[0]
        about = ": the change is about as large as the margin" if near else ""
        return Reason(why, f"would take more than {MOST} more processes on each side{about}")
    noun = "process" if more == 1 else "processes"
    return Reason(why, f"about {more} more {noun} on each side would settle it", more)


def more_processes(change: Change, edge: float, level: float) -> int | None:
    """Return how many more processes on each side would give another verdict than *inconclusive*.

    It is the least number for which a verdict comes with the probability :data:`POWER`, if the
    change is as large as it is estimated and the processes scatter as they did: *same* where it
    lies inside ``edge`` (the margin, on logarithms), *slower* or *faster* at ``level`` where it
    lies beyond.  Where the interval is wider than the margin and its estimate is nearer to the edge
    than its standard error, on which side it lies is not known: then it is what settles both a
    change of half the margin and one of half as much again.  None stands for more than
    :data:`MOST`.
    """
    size = abs(change.estimate.log)
    unknown = _half_width(change) >= edge and abs(size - edge) < change.after(0)[0]
    supposed = (edge / 2, 3 * edge / 2) if unknown else (size,)
    for more in range(1, MOST + 1):
        known = change.after(more)
        if all(_chance(one, *known, edge, level) >= POWER for one in supposed):
            return more
    return None


def _chance(size: float, error: float, freedom: float, edge: float, level: float) -> float:
    """Return the probability of the one verdict that a change of this size can settle in."""
    if error == 0:
        return float(size != edge)

    def below(distance: float) -> float:
        return float(stdtr(freedom, distance / error))

    if size <= edge:
        half = _quantile(freedom, (1 + LEVEL) / 2) * error
        return below(edge - half - size) + below(edge - half + size) - 1
    significant = _quantile(freedom, 1 - level / 2) * error
    return below(size - max(edge, significant))


def _sides(*known: Estimate) -> tuple[Side, ...]:
    if any(math.isnan(one.error) for one in known):
        return ()
    counts = [round(one.freedom) + 1 for one in known]
    return tuple((one.error**2 * n, n) for one, n in zip(known, counts, strict=True))


def _half_width(change: Change) -> float:
    error, freedom = change.after(0)
    return _quantile(freedom, (1 + LEVEL) / 2) * error


def _quantile(freedom: float, probability: float) -> float:
    return float(stdtrit(freedom, probability))
