"""Estimates with 95 % intervals from process values, computed on logarithms.

One process yields one value, so processes are the independent units here.  Times and ratios are
positive and their noise is multiplicative: the mean of their logarithms is the geometric mean,
and a ratio becomes a difference.  Student's t holds its level with as few as two processes; a
percentile bootstrap over eight gives twice the false alarms it promises.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

LEVEL = 0.95
"""Confidence level of every interval in the reading wing."""


@dataclass(frozen=True)
class Estimate:
    """A positive number known from a sample: a geometric mean, or a product of such.

    ``log`` is its natural logarithm, ``error`` the standard error of that logarithm and
    ``freedom`` its degrees of freedom; the last two are NaN where fewer than two processes
    stand behind it.
    """

    log: float
    error: float
    freedom: float

    @property
    def value(self) -> float:
        """The estimate itself, in the unit of the values."""
        return _exp(self.log)

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval; NaN with fewer than two processes."""
        return _exp(self.log - self._half_width)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval; NaN with fewer than two processes."""
        return _exp(self.log + self._half_width)

    @property
    def _half_width(self) -> float:
        return float(stdtrit(self.freedom, (1 + LEVEL) / 2)) * self.error


def _exp(log: float) -> float:
    """Return the number with this logarithm, infinity where none is so large."""
    try:
        return math.exp(log)
    except OverflowError:
        return math.inf


def estimate(values: Sequence[float]) -> Estimate:
    """Return the geometric mean of one value per process, with Student's t on the logarithms.

    No value at all gives NaN, a single one an estimate whose interval is NaN.  ``ValueError`` is
    raised for a value that is not positive and finite: no such time or ratio exists.
    """
    for value in values:
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"expected positive finite values, got {value!r} among {len(values)}")
    if not values:
        return Estimate(math.nan, math.nan, math.nan)
    # In plain Python: for a handful of values NumPy takes ten times as long, and there may be many.
    logs = [math.log(value) for value in values]
    count = len(logs)
    mean = math.fsum(logs) / count
    if count < 2:
        return Estimate(mean, math.nan, math.nan)
    variance = math.fsum((log - mean) ** 2 for log in logs) / (count - 1)
    return Estimate(mean, math.sqrt(variance / count), count - 1)


def product(factors: Sequence[Estimate], powers: Sequence[float]) -> Estimate:
    """Return the product of independent ``factors``, each raised to its power.

    Powers ``(1, -1)`` give a ratio, ``(-1,)`` a reciprocal, ``1/k`` each the geometric mean of k.
    The degrees of freedom are Welch's (Satterthwaite's formula), so no equal variances are
    assumed.  ``ValueError`` is raised when there are no factors or not one power for each.
    """
    if not factors or len(factors) != len(powers):
        raise ValueError(
            f"expected one power for each of at least one factor, "
            f"got {len(factors)} factors and {len(powers)} powers"
        )
    log = math.fsum(power * factor.log for factor, power in zip(factors, powers, strict=True))
    variances = [(power * f.error) ** 2 for f, power in zip(factors, powers, strict=True)]
    total = math.fsum(variances)
    if total == 0:  # no spread at all: the formula below would be 0/0
        return Estimate(log, 0.0, math.fsum(factor.freedom for factor in factors))
    # Shares of the total, not variances: their squares do not underflow.
    shares = [variance / total for variance in variances]
    inverse = math.fsum(share**2 / f.freedom for share, f in zip(shares, factors, strict=True))
    return Estimate(log, math.sqrt(total), 1 / inverse)


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Return the ratio of two geometric means of independent process values (Welch's t).

    The interval is NaN when either side has fewer than two values; errors as for ``estimate``.
    """
    return product((estimate(numerator), estimate(denominator)), (1, -1))


def paired_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Return the ratio of two geometric means of process values that were measured in rounds.

    Values of the same round are one after the other in time, so what the machine did then is in
    both and leaves their ratio alone (Student's t on paired differences).  A round that one side
    did not finish is left out.
    """
    return estimate([a / b for a, b in zip(numerator, denominator, strict=False)])
