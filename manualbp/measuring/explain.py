"""Where the time of one case goes, measured beside its baseline in one process.

It only collects: what is timed comes from ``step`` and ``parts``, counts from ``structure`` and
``hlo``, kernels from ``profile``, limits from ``roofline``.  ``reasons`` draws the conclusion.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from manualbp.cases import Case
from manualbp.measuring import hlo, measure, parts, structure
from manualbp.measuring.problem import find_device
from manualbp.measuring.profile import Profile, ProfileError, profile
from manualbp.measuring.roofline import Bound, Machine, bound
from manualbp.measuring.step import Step, build_step, waiter

DISPATCHED = {"eager": "eager operations", "graph": "graph nodes", "xla": "XLA kernels"}
"""The count, by mode, of what a step runs one after the other."""


@dataclass(frozen=True)
class Arm:
    """What was measured of a case; times in seconds, without the profiler but for ``profile``.

    ``backward_s`` is measured alone in eager mode; in a compiled mode it is ``step_s`` less
    ``forward_s``, which is below 0 where noise is larger; both are ``None`` for a gradient that
    does both passes in one function.  ``empty_s`` is a step that computes
    nothing (:func:`manualbp.measuring.parts.build_empty`).  ``counts`` are those of the mode.
    """

    case: Case
    step_s: float
    forward_s: float | None
    backward_s: float | None
    empty_s: float
    profile: Profile
    counts: dict[str, int]
    bound: Bound | None


@dataclass(frozen=True)
class Explanation:
    """A case and its baseline, side by side.

    ``ratio`` is the time of the case's step over the baseline's, interleaved; ``reading_s`` the
    seconds that waiting for a tensor takes which is there already.
    """

    arm: Arm
    baseline: Arm
    ratio: float
    reading_s: float
    machine: Machine
    tensorflow: str


def explain(
    case: Case,
    machine: Machine,
    *,
    budget: float = measure.STEADY_S,
    tell: Callable[[str], None] = lambda doing: None,
) -> Explanation:
    """Measure a case and its baseline: about 10 s.

    Parameters
    ----------
    case
        Of known names, on a CPU.
    machine
        Its limits, as ``roofline.measure_machine`` measures them.
    budget
        Seconds to time each thing, warming up apart.
    tell
        Is called with what is being measured.

    Raises
    ------
    VerificationError
        When a gradient is wrong.
    ProfileError
        For a device that is no CPU, of whose kernels this profile shows nothing, and when there
        are no kernels in it.
    StructureError
        When TensorFlow does not tell what it must.

    """
    if ":CPU:" not in find_device(case.device):
        raise ProfileError(f"only the steps of a CPU can be profiled, not those of {case.device}")
    baseline = case.baseline
    tell("verifying the gradients")
    step, other = build_step(case), build_step(baseline)
    tell("timing both steps by turns")
    ratio = measure.ratio(step, other, budget=budget, warmup=warmup(budget))
    arm = measure_arm(step, machine, budget, tell)
    return Explanation(
        arm,
        arm if baseline == case else measure_arm(other, machine, budget, tell),
        ratio,
        seconds_of_reading(step.device, budget),
        machine,
        tf.__version__,
    )


def measure_arm(step: Step, machine: Machine, budget: float, tell: Callable[[str], None]) -> Arm:
    """Measure everything about one case of which the step is built and verified."""
    case = step.case

    def seconds(what: str, call: Any) -> float:
        tell(f"timing {what} of {case.gradient}")
        return measure.seconds_per_call(call, budget=budget, warmup=warmup(budget))

    whole = seconds("a step", step)
    forward = backward = None
    if step.gradient.is_split:
        forward = seconds("the forward pass", parts.build_forward(case))
        backward = whole - forward
        if case.mode == "eager":
            backward = seconds("the backward pass", parts.build_backward(case))
    empty = seconds("an empty step", parts.build_empty(case))
    tell(f"profiling {case.gradient}")
    profiled = profile(step, case.mode, whole)
    tell(f"counting what {case.gradient} consists of")
    counts, limit = count(step, machine)
    return Arm(case, whole, forward, backward, empty, profiled, counts, limit)


def count(step: Step, machine: Machine) -> tuple[dict[str, int], Bound | None]:
    """Count what a step consists of in its mode, and bound its time by FLOPs and bytes.

    Those are of XLA's program in every mode: it is the same mathematics, and nothing else tells.
    Without a bound is a program whose FLOPs cannot be counted, as that of a loop.
    """
    case = step.case
    compiled = step if case.mode == "xla" else build_step(replace(case, mode="xla"), verify=False)
    program = structure.optimised_hlo(compiled.function, *compiled.data)
    module = program.hlo_module
    work = work_of(module)
    if case.mode == "eager":
        counts = {DISPATCHED["eager"]: structure.eager_operations(step)}
    elif case.mode == "graph":
        counts = {DISPATCHED["graph"]: structure.graph_nodes(build_step(case, verify=False))}
    else:
        counts = {
            "XLA instructions": hlo.instructions(module),
            "XLA fusions": hlo.fusions(module),
            DISPATCHED["xla"]: hlo.kernels(module),
            **work,
            "temporary bytes": hlo.temporary_bytes(program),
        }
    if not work:
        return counts, None
    return counts, bound(work["FLOPs"], work["bytes"], hlo.buffer_bytes(program), machine)


def work_of(module: Any) -> dict[str, int]:
    """Count a program's FLOPs and bytes, or nothing where it hides them."""
    try:
        return {"FLOPs": hlo.flops(module), "bytes": hlo.bytes_accessed(module)}
    except hlo.UncountedError:
        return {}


def seconds_of_reading(device: str, budget: float) -> float:
    """Measure what a step pays for waiting when its outputs exist already."""
    wait = waiter(device)
    with tf.device(device):
        scalar = tf.zeros(())
        return measure.seconds_per_call(lambda: wait(scalar), budget=budget, warmup=warmup(budget))


def warmup(budget: float) -> float:
    """Return the window of warming up: the usual one, or a budget that is shorter."""
    return min(measure.WARMUP_S, budget)
