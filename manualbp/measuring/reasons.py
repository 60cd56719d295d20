"""Why a case wins against its baseline or does not: a conclusion from the numbers by fixed rules.

A step's parts are those of its profile, as shares of the step's time without the profiler.  In
eager mode they are *kernels* and *dispatch* (all else, paid for each operation); in a compiled mode
*kernels*, *waiting* (the rest of the run of the graph or the program, when no thread computes) and
*call* (all else, paid once).

The rules, the first that holds:

1. The ratio differs from 1 by more than :data:`LEVEL`, and one part makes up at least :data:`HALF`
   of the difference: that part.
2. It does not, in a compiled mode, and an empty step takes at least half as long: the call.
3. It does not, and the machine needs at least half of the step's time: its limit that binds.
   (Memory is none where the buffers fit the last cache.)
4. It does not, and one part is at least half of the step: that part.
5. Other: the largest part is named.
"""

from collections.abc import Callable

from manualbp.measuring.explain import DISPATCHED, Arm, Explanation
from manualbp.measuring.roofline import MEMORY

LEVEL = 0.05
"""What one process cannot tell from 1: twice the ratio's standard deviation between processes,
which is up to 2.2 %."""

HALF = 0.5
"""From which share on a part is the reason."""

EXECUTOR = {
    "eager": "TensorFlow's executor",
    "graph": "TensorFlow's executor",
    "xla": "XLA's executor",
}
"""Who runs the kernels, by mode."""


def verdict(found: Explanation) -> str:
    """Say in words how the case does against its baseline, and why."""
    return f"{outcome(found)}. {capitalised(reason(found))}."


def outcome(found: Explanation) -> str:
    """Say who is faster, if that can be told."""
    name, other = found.arm.case.gradient, found.baseline.case.gradient
    if found.arm.case == found.baseline.case:
        return f"{name} is the baseline itself"
    if found.ratio < 1 - LEVEL:
        return f"{name} is {1 / found.ratio:.2f} times as fast as {other}"
    if found.ratio > 1 + LEVEL:
        return f"{name} takes {found.ratio:.2f} times as long as {other}"
    return f"{name} is level with {other} (ratio {found.ratio:.2f}, within {percent(LEVEL)} of 1)"


def reason(found: Explanation) -> str:
    """Say why, by the first rule that holds."""
    is_level = abs(found.ratio - 1) <= LEVEL
    if is_level or found.arm.case == found.baseline.case:
        return common_reason(found.arm)
    return reason_of_difference(found)


def reason_of_difference(found: Explanation) -> str:
    """Say which part makes up the difference between the case and its baseline."""
    arm, baseline = found.arm, found.baseline
    mine, others = parts_of(arm), parts_of(baseline)
    sign = 1 if found.ratio < 1 else -1
    gained = {part: sign * (others[part] - mine[part]) for part in mine}
    total = sum(gained.values())
    if total <= 0:
        return "other: the times measured one after the other do not show that difference"
    largest = max(gained, key=lambda part: gained[part])
    said = AGAINST[largest](arm, baseline)
    if gained[largest] >= HALF * total:
        return said
    return f"other: no part makes up half of the difference; the largest is {said}"


def common_reason(arm: Arm) -> str:
    """Say what a step's time goes to, where nothing tells the two apart."""
    call = arm.empty_s / arm.step_s
    if arm.case.mode != "eager" and call >= HALF:
        return (
            f"call cost: {percent(min(call, 1))} of a step is the call itself; "
            "a backward pass can save only the rest"
        )
    limit = arm.bound
    if limit is not None and not (limit.limit == MEMORY and limit.in_cache):
        reached = limit.seconds / arm.step_s
        if reached >= HALF:
            what = "bytes" if limit.limit == MEMORY else "FLOPs"
            return f"{limit.limit} bound: the {what} alone need {percent(reached)} of a step's time"
    shares = {part: seconds / arm.step_s for part, seconds in parts_of(arm).items()}
    largest = max(shares, key=lambda part: shares[part])
    said = ALONE[largest](arm, shares[largest])
    if shares[largest] >= HALF:
        return said
    return f"other: no part is half of a step; the largest is {said}"


def parts_of(arm: Arm) -> dict[str, float]:
    """Return the parts of a step in seconds, the profile's shares of the step without it."""
    profiled = arm.profile
    scale = arm.step_s / profiled.step_s
    call = scale * (profiled.python_s + profiled.runtime_s)
    waiting = scale * (profiled.executor_s + profiled.waiting_s)
    kernels = scale * profiled.kernels_s
    if arm.case.mode == "eager":
        return {"dispatch": call + waiting, "kernels": kernels}
    return {"call": call, "waiting": waiting, "kernels": kernels}


def per_operation(arm: Arm) -> str:
    """Say what an operation costs an eager step beside its kernel."""
    return f"{us(parts_of(arm)['dispatch'] / arm.counts[DISPATCHED['eager']])} us"


def dispatch_against(arm: Arm, baseline: Arm) -> str:
    """Compare the dispatch of two eager steps."""
    mine = f"{arm.counts[DISPATCHED['eager']]} operations at {per_operation(arm)}"
    others = f"{baseline.counts[DISPATCHED['eager']]} at {per_operation(baseline)}"
    return f"dispatch: {mine} against {baseline.case.gradient}'s {others}"


def call_against(arm: Arm, baseline: Arm) -> str:
    """Compare what the call costs two compiled steps."""
    return "the call: " + against("call", arm, baseline)


def waiting_against(arm: Arm, baseline: Arm) -> str:
    """Compare how long two compiled steps run without a kernel running."""
    said = (
        f"{idle(arm, baseline)}: {against('waiting', arm, baseline)} pass in "
        f"{EXECUTOR[arm.case.mode]} while no kernel runs"
    )
    for one, other in ((arm, baseline), (baseline, arm)):
        if one.profile.pool_calls == 0 < other.profile.pool_calls:
            return f"{said}; all kernels of {one.case.gradient} run in the calling thread"
    return said


def idle(*arms: Arm) -> str:
    """Name what an executor does while no kernel runs: with one thread it waits for no other."""
    waits = any(arm.profile.pool_calls for arm in arms)
    return "waiting for pool threads" if waits else "between kernels"


def kernels_against(arm: Arm, baseline: Arm) -> str:
    """Compare the kernels of two steps: how long any runs, and how many there are."""
    name = DISPATCHED[arm.case.mode]
    said = f"kernels: {against('kernels', arm, baseline)}"
    return f"{said}, {arm.counts[name]} against {baseline.counts[name]} {name}"


def against(part: str, arm: Arm, baseline: Arm) -> str:
    """Compare one part of two steps."""
    mine, others = parts_of(arm)[part], parts_of(baseline)[part]
    return f"{us(mine)} us of a step against {baseline.case.gradient}'s {us(others)}"


def dispatch_alone(arm: Arm, share: float) -> str:
    """Say what dispatch is of an eager step."""
    operations = f"{arm.counts[DISPATCHED['eager']]} operations at {per_operation(arm)}"
    return f"dispatch: {operations}, {percent(share)} of a step"


def call_alone(arm: Arm, share: float) -> str:
    """Say what the call is of a compiled step."""
    return f"the call: {percent(share)} of a step pass in Python and TensorFlow's runtime around it"


def waiting_alone(arm: Arm, share: float) -> str:
    """Say for how much of a compiled step no kernel runs."""
    name = DISPATCHED[arm.case.mode]
    return (
        f"{idle(arm)}: {percent(share)} of a step pass in {EXECUTOR[arm.case.mode]} "
        f"while no kernel runs, among {arm.counts[name]} {name}"
    )


def kernels_alone(arm: Arm, share: float) -> str:
    """Say what the kernels are of a step, and which takes longest."""
    said = f"kernels: {percent(share)} of a step"
    if not arm.profile.kernels:  # a graph of nothing but cheap nodes
        return said
    slowest = arm.profile.kernels[0]
    part = slowest.seconds / arm.profile.step_s
    return f"{said}, {percent(part)} the slowest, {slowest.name}"


AGAINST: dict[str, Callable[[Arm, Arm], str]] = {
    "dispatch": dispatch_against,
    "call": call_against,
    "waiting": waiting_against,
    "kernels": kernels_against,
}
ALONE: dict[str, Callable[[Arm, float], str]] = {
    "dispatch": dispatch_alone,
    "call": call_alone,
    "waiting": waiting_alone,
    "kernels": kernels_alone,
}


def us(seconds: float) -> str:
    """Return microseconds with three digits or all those before the point."""
    value = 1e6 * seconds
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def percent(share: float) -> str:
    """Return a share in whole percent."""
    return f"{100 * share:.0f} %"


def capitalised(text: str) -> str:
    """Return a sentence that begins with a capital letter, the rest as it is."""
    return text[0].upper() + text[1:]
