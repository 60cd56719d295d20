"""Where the level of a noisy series changes: asv's step detection, each step then confirmed.

``docs/history.md`` has the study behind the choice and the numbers in this module.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from manualbp.reading.intervals import Estimate, estimate, ratio

SHORTEST = 3
"""A level has at least so many values: two outliers side by side are no level."""

ALARM = 0.001
"""A step is confirmed when chance alone gives one as clear with at most this probability.

So small because the place was chosen where the step looks clearest.
"""

PENALTY = 3.0
"""What a further level costs in asv's criterion, times ln(n)/n; asv itself takes 4.

Since every step is confirmed, the search for steps can be the more generous.
"""

REACH = 3.0
"""A value farther from the running median than this many standard deviations is an outlier."""

_WINDOW = 5  # the shortest running median that leaves a level of SHORTEST values alone


@dataclass(frozen=True)
class Change:
    """A level, ``values[start:place]``, and the next, ``values[place:stop]``.

    ``before`` and ``after`` are the levels, in the values' unit; ``low`` and ``high`` the 95 %
    interval of their ratio.
    """

    start: int
    place: int
    stop: int
    before: float
    after: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """The new level over the old one; infinite where the old one is 0."""
        return self.after / self.before if self.before else math.inf


def changes(values: Sequence[float]) -> list[Change]:
    """Return where the level of ``values``, one for each commit and all positive, changes.

    Levels are geometric means, after outliers are pulled in (``without_outliers``).  Fewer than
    twice ``SHORTEST`` values hold no change.  ``ValueError`` is raised for a value that is not
    positive and finite.
    """
    estimate(values)  # refuses what is not positive
    if len(values) < 2 * SHORTEST:
        return []
    calm = without_outliers(values)
    return confirmed(calm, _steps(np.log(calm).tolist()))


def without_outliers(values: Sequence[float]) -> list[float]:
    """Return ``values`` with outliers pulled in to ``REACH`` deviations from the running median.

    The standard deviation comes from the median difference of neighbours, on logarithms, which
    neither outliers nor steps move.  At least three values are needed.
    """
    logs = np.log(np.asarray(values, dtype=np.float64))
    # 0.6745 standard deviations hold half of a normal distribution; a difference has two errors.
    deviation = float(np.median(np.abs(np.diff(logs)))) / (0.6745 * math.sqrt(2))
    padded = np.pad(logs, _WINDOW // 2, mode="reflect")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, _WINDOW), axis=1)
    reach = REACH * deviation
    calm = np.exp(np.clip(logs, median - reach, median + reach))
    return [float(value) for value in calm]


def confirmed(values: Sequence[float], places: Sequence[int]) -> list[Change]:
    """Return those steps, at ``places`` where new levels begin, that chance does not explain.

    Each is tested by Welch's t on the logarithms of ``values``, one for each commit, for the
    commits differ by more than their processes tell.  The least certain step is dropped and its
    two levels joined until all that remain have at most the probability ``ALARM``, and both of
    their levels at least ``SHORTEST`` values.
    """
    places = list(places)
    while places:
        spans = list(zip([0, *places[:-1]], places, [*places[1:], len(values)], strict=True))
        steps = [_step(values, *span) for span in spans]
        chances = [_chance(step) for step in steps]
        weakest = max(range(len(steps)), key=chances.__getitem__)
        if chances[weakest] <= ALARM:
            return [_change(values, *span, step) for span, step in zip(spans, steps, strict=True)]
        del places[weakest]
    return []


def _steps(logs: list[float]) -> list[int]:
    """Return the places of asv's steps."""
    # Here, for asv takes 0.3 s to import: it loads its plugins.
    from asv.step_detect import solve_potts_autogamma

    count = len(logs)
    # detect_steps is the same with asv's own penalty.
    right, *_ = solve_potts_autogamma(logs, [1.0] * count, beta=PENALTY * math.log(count) / count)
    return list(right[:-1])


def _step(values: Sequence[float], start: int, place: int, stop: int) -> Estimate:
    """Return the ratio of two levels; one without an interval when a level is too short."""
    if min(place - start, stop - place) < SHORTEST:
        return Estimate(math.nan, math.nan, math.nan)
    return ratio(values[place:stop], values[start:place])


def _chance(step: Estimate) -> float:
    """Return Welch's two-sided probability of a step as clear as this where there is none."""
    if math.isnan(step.error):
        return 1.0
    if step.error == 0:
        return 0.0 if step.log else 1.0
    return 2 * float(stdtr(step.freedom, -abs(step.log) / step.error))


def _change(values: Sequence[float], start: int, place: int, stop: int, step: Estimate) -> Change:
    before, after = estimate(values[start:place]).value, estimate(values[place:stop]).value
    return Change(start, place, stop, before, after, step.low, step.high)
