"""Where the level of a noisy series changes: asv's step detection, each step then confirmed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from manualbp.reading.intervals import Estimate, estimate, ratio

ALARM = 0.001
"""A step is confirmed when chance alone gives one as clear with at most this probability."""

SHORTEST = 2
"""A level has at least so many values: a single one cannot be told from an outlier."""


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
    """Return where the level of ``values``, all positive, changes; in order.

    Levels are geometric means.  ``ValueError`` is raised for a value that is not positive.
    """
    places = _steps(np.log(values).tolist())
    while places:
        spans = list(zip([0, *places[:-1]], places, [*places[1:], len(values)], strict=True))
        found = [ratio(values[place:stop], values[start:place]) for start, place, stop in spans]
        chances = [_chance(step) for step in found]
        weakest = max(range(len(found)), key=chances.__getitem__)
        if chances[weakest] <= ALARM:
            return [_change(values, *span, step) for span, step in zip(spans, found, strict=True)]
        del places[weakest]
    return []


def _change(values: Sequence[float], start: int, place: int, stop: int, step: Estimate) -> Change:
    before, after = estimate(values[start:place]).value, estimate(values[place:stop]).value
    return Change(start, place, stop, before, after, step.low, step.high)


def _steps(logs: list[float]) -> list[int]:
    """Return the places of asv's steps."""
    # Here, for asv takes 0.3 s to import: it loads its plugins.
    from asv.step_detect import detect_steps

    return [start for start, *_ in detect_steps(logs)][1:]


def _chance(step: Estimate) -> float:
    """Return Welch's two-sided probability of a step as clear as this where there is none."""
    if math.isnan(step.error):
        return 1.0
    if step.error == 0:
        return 0.0 if step.log else 1.0
    return 2 * float(stdtr(step.freedom, -abs(step.log) / step.error))
