"""After how many steps a dearer first call has paid for itself.

A way of computing a step costs its first call, ``F``, and a steady time, ``s``, for every step
after it: ``N`` steps take ``F + (N - 1) s``.  With ``cost`` the first call's extra and ``gain``
the time that every further step saves, both ways are level after ``1 + cost / gain`` steps.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from scipy.special import stdtrit

from manualbp.reading.intervals import LEVEL, Estimate


@dataclass(frozen=True)
class Amount:
    """A number of seconds of either sign, its standard error and its degrees of freedom."""

    value: float
    error: float
    freedom: float


@dataclass(frozen=True)
class BreakEven:
    """After how many steps in all two ways are level, with the 95 % interval.

    1 is *at once*, infinity *never*.  ``ahead_first`` tells that the second way is ahead until
    then and behind afterwards; otherwise it is behind until then and ahead afterwards.  The ends
    are NaN where an interval cannot be known.
    """

    steps: float
    low: float
    high: float
    ahead_first: bool = False


def amount(estimate: Estimate) -> Amount:
    """Return a positive estimate as an amount; its error is the relative one times the value."""
    return Amount(estimate.value, estimate.value * estimate.error, estimate.freedom)


def difference(first: Amount, second: Amount) -> Amount:
    """Return ``first - second``, independent of each other, with Welch's degrees of freedom."""
    error = math.hypot(first.error, second.error)
    freedom = _welch((first.error, first.freedom), (second.error, second.freedom))
    return Amount(first.value - second.value, error, freedom)


def saved(time: Estimate, ratio: Estimate) -> Amount:
    """Return what a step saves that takes ``ratio`` of ``time``, the two being independent.

    An interleaved ratio says far more than two times from separate processes do.
    """
    value = time.value * (1 - ratio.value)
    of_time = time.value * time.error * (1 - ratio.value)
    of_ratio = time.value * ratio.value * ratio.error
    error = math.hypot(of_time, of_ratio)
    return Amount(value, error, _welch((of_time, time.freedom), (of_ratio, ratio.freedom)))


def break_even(cost: Amount, gain: Amount) -> BreakEven:
    """Return after how many steps ``gain`` has paid ``cost``.

    The interval holds the numbers of steps after which neither way is shown to be ahead: Fieller's
    set for the quotient of two uncertain differences, Student's t at the freedom that they
    have together where they are level.  It is one-sided wherever the data do not exclude that the
    second way is ahead from the first step on (``low`` is 1) or never gets ahead (``high`` is
    infinite).
    """
    later = _paid(cost.value, gain.value)
    ahead_first = cost.value < 0 and gain.value < 0
    errors = (cost.error, gain.error)
    if any(math.isnan(error) for error in errors):
        return BreakEven(1 + later, math.nan, math.nan, ahead_first)
    weight = later if math.isfinite(later) else 1.0
    freedom = _welch((cost.error, cost.freedom), (weight * gain.error, gain.freedom))
    t = float(stdtrit(freedom, (1 + LEVEL) / 2)) if math.isfinite(freedom) else 1.959963985
    low, high = _fieller(cost, gain, t, ahead_first)
    return BreakEven(1 + later, 1 + low, 1 + high, ahead_first)


def _paid(cost: float, gain: float) -> float:
    """Return after how many steps beyond the first the lead changes: 0 at once, perhaps never."""
    if (cost > 0 and gain > 0) or (cost < 0 and gain < 0):
        return cost / gain
    return 0.0 if gain > 0 or cost < 0 else math.inf


def _fieller(cost: Amount, gain: Amount, t: float, ahead_first: bool) -> tuple[float, float]:
    """Return the ends of ``{m >= 0: |m gain - cost| <= t sd(m)}``, with its open sides closed.

    The set is bounded by the roots of ``a m² - 2 b m + c``.  Where the start is outside of the set
    because the lead is already shown to be the final one, the set is the start itself.
    """
    sign = -1.0 if ahead_first else 1.0

    def shown(m: float) -> float:
        """Return 1 where the second way is shown ahead, -1 where behind, 0 where neither."""
        lead = sign * (m * gain.value - cost.value)
        spread = t * math.hypot(cost.error, m * gain.error)
        return 1.0 if lead > spread else -1.0 if lead < -spread else 0.0

    a = gain.value**2 - (t * gain.error) ** 2
    b = gain.value * cost.value
    c = cost.value**2 - (t * cost.error) ** 2
    roots = sorted(root for root in _roots(a, b, c) if root >= 0)
    marks = [0.0, *roots]
    # Between two neighbouring marks nothing changes; beyond the last one, nothing ever does.
    inner = [*((x + y) / 2 for x, y in pairwise(marks)), 2 * marks[-1] + 1]
    verdicts = [shown(m) for m in inner]
    low = 0.0
    for mark, verdict in zip([*marks[1:], math.inf], verdicts, strict=True):
        if verdict >= 0:
            break
        low = mark
    high = math.inf
    for mark, verdict in zip(reversed(marks), reversed(verdicts), strict=True):
        if verdict <= 0:
            break
        high = mark
    return low, max(low, high)


def _roots(a: float, b: float, c: float) -> list[float]:
    """Return the real roots of ``a m² - 2 b m + c``."""
    if a == 0:
        return [c / (2 * b)] if b else []
    inside = b * b - a * c
    if inside < 0:
        return []
    # The root of the larger magnitude first, the other from their product: nothing cancels.
    larger = b + math.copysign(math.sqrt(inside), b)
    return [larger / a, c / larger] if larger else [0.0]


def _welch(*parts: tuple[float, float]) -> float:
    """Return the degrees of freedom of a sum of independent parts: errors and freedoms."""
    total = sum(error**2 for error, _ in parts)
    if math.isnan(total):
        return math.nan
    if total == 0:
        return math.inf
    return 1 / sum((error**2 / total) ** 2 / freedom for error, freedom in parts if error)
