"""Extra work of a known size, to find out which slowdowns a machine can see."""

from typing import Any

from manualbp.measuring.measure import Call, ratio, seconds_per_call

TRIAL_SHARE = 0.25
"""The size at which the work is calibrated: large beside the error of a ratio."""

TRIAL_S = 0.2
"""How long, in seconds, the calibration times a pair of calls at most."""


def slowed(call: Call, share: float) -> Call:
    """Return ``call`` followed by extra work that takes ``share`` of its time.

    The work is additions of small integers: it neither allocates nor touches a cache, and speeds
    up and slows down with the processor's clock as the call does.  Additions right after a call
    take half as long again as additions in a row, so they are calibrated where they will be done,
    and the share they come to in the end is for another measurement to say.
    ``ValueError`` is raised for a share that is not positive.
    """
    if not share > 0:
        raise ValueError(f"a slowdown must be a positive share, got {share!r}")
    once = seconds_per_call(call, budget=0.02, warmup=0.02)
    trial = max(1, round(TRIAL_SHARE * once / seconds_per_addition()))
    achieved = ratio(followed_by_work(call, trial), call, budget=TRIAL_S, precision=0.002) - 1
    return followed_by_work(call, max(1, round(share * trial / max(achieved, TRIAL_SHARE / 10))))


def followed_by_work(call: Call, additions: int) -> Call:
    """Return ``call`` followed by so many additions; it returns what ``call`` does."""

    def slower() -> Any:
        result = call()
        work(additions)
        return result

    return slower


def seconds_per_addition() -> float:
    """Measure an addition among many in a row, in seconds."""
    return seconds_per_call(lambda: work(1000), budget=0.01, warmup=0.005) / 1000


def work(additions: int) -> int:
    """Add that many times."""
    total = 0
    for number in range(additions):
        total += number & 1
    return total
