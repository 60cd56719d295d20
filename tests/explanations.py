"""Explanations made up for tests: every number is round, so that a hand can follow."""

from manualbp.cases import Case
from manualbp.measuring.explain import Arm, Explanation
from manualbp.measuring.profile import Kernel, Profile
from manualbp.measuring.roofline import FLOPS, Bound, Machine

US = 1e-6
COUNTS = {
    "eager": {"eager operations": 10},
    "graph": {"graph nodes": 70},
    "xla": {"XLA kernels": 8},
}


def arm(
    gradient="fused",
    mode="xla",
    *,
    python=10,
    runtime=10,
    executor=10,
    waiting=10,
    kernels=60,
    empty=20,
    least=1,
    limit=FLOPS,
    in_cache=True,
    pool_calls=0.0,
    counts=None,
    slower=1.5,
):
    """Make an arm whose step takes the sum of its parts, in us, and is slower by the profiler.

    With ``least=None`` it has no bound, as where FLOPs cannot be counted.
    """
    parts = [each * US for each in (kernels, waiting, executor, runtime, python)]
    names = [Kernel("slow", 1, 0.75 * slower * kernels * US), *small(slower * kernels * US)]
    profile = Profile(
        50,
        slower * sum(parts),
        *(slower * part for part in parts),
        pool_calls=pool_calls,
        kernels=tuple(names),
    )
    return Arm(
        Case("exercise", gradient, mode, "CPU:0", 64),
        sum(parts),
        0.4 * sum(parts),
        0.6 * sum(parts),
        empty * US,
        profile,
        counts or COUNTS[mode],
        None if least is None else Bound(1000, 2000, 500, least * US, limit, in_cache),
    )


def small(kernels_s):
    """Make 25 kernels that take a quarter of the time together."""
    return [Kernel(f"small_{number}", 1, 0.01 * kernels_s) for number in range(25)]


def explanation(mine, other, ratio=None):
    """Put two arms side by side, with the ratio of their times unless another is given."""
    ratio = mine.step_s / other.step_s if ratio is None else ratio
    return Explanation(mine, other, ratio, 0.5 * US, Machine(1e11, 1e10, 2**25), "2.21.0")
