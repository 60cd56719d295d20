"""Numbers as a reader wants them: three digits, a unit, and the interval beside the value."""

import math

TIMES = "×"


def three_digits(value: float) -> str:
    """Return a number with three significant digits, thousands separated, never as a power."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "not finite"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{min(max(digits, 0), 12)}f}"


def seconds(value: float) -> str:
    """Return a time in the unit that keeps it below a thousand."""
    for scale, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if abs(value) * scale < 999.5:
            return f"{three_digits(value * scale)} {unit}"
    return f"{three_digits(value)} s"


def speedup(value: float) -> str:
    """Return a speedup as a factor."""
    return f"{value:.2f}{TIMES}"


def percent(value: float) -> str:
    """Return by how many percent a factor departs from 1, unsigned."""
    amount = abs(value - 1) * 100
    return f"{amount:.0f} %" if amount >= 1 else f"{amount:.1g} %"


def mebibytes(value: float) -> str:
    """Return bytes in MiB."""
    return f"{value / 2**20:,.0f} MiB"


def number(value: float, unit: str | None) -> str:
    """Return a value in its unit, as ``unit`` stands in the results."""
    if unit == "seconds":
        return seconds(value)
    if unit == "bytes":
        return mebibytes(value) if value >= 2**20 else f"{value:,.0f} bytes"
    whole = math.isfinite(value) and value == int(value)
    text = f"{value:,.0f}" if whole else three_digits(value)
    return f"{text} {unit}" if unit and unit != "ratio" else text


def between(low: float, high: float) -> str:
    """Return an interval of speedups, or that there is none; an end beside 1 to three decimals."""
    if math.isnan(low) or math.isnan(high):
        return "no interval"
    digits = 3 if "1.00" in (f"{low:.2f}", f"{high:.2f}") else 2
    return f"{low:.{digits}f} to {high:.{digits}f}"


def between_seconds(low: float, high: float) -> str:
    """Return an interval of times, or that there is none."""
    if math.isnan(low) or math.isnan(high):
        return "no interval"
    return f"{seconds(low)} to {seconds(high)}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count and its noun."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(parts: list[str]) -> str:
    """Return parts as a list in a sentence."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def short(commit: str) -> str:
    """Return a hash's first digits; the name of a dirty tree as it is."""
    return commit if "-" in commit else commit[:8]
