"""What asv's benchmark classes share: parameters, processes, and the answer for any workload.

A class states *what* is measured; how (device, mode, verification, waiting, warming up) is this
package's business.  The project's suite is ``benchmarks/``; that of a user's file is
``manualbp.measuring.user_suite``.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from manualbp import workloads
from manualbp.cases import BASELINE, DEVICES, MODES, Case
from manualbp.measuring import memory, oracle
from manualbp.measuring.asv_types import absent_devices_skip
from manualbp.measuring.problem import Problem, make_problem
from manualbp.measuring.step import Step, build_step

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Suite:
    """What every benchmark class shares.

    A class states its parameters with :func:`over`.  ``rounds`` is the number of processes a cell
    is measured in, ``sample_time`` the seconds it is timed in each, for a process is a sample.
    ``process`` names the benchmarks whose cells of one workload, mode, device and batch may share a
    process (``manualbp run`` lets them); a cell without such a name has a process of its own.
    """

    version = "1"
    timeout = 120
    rounds = 2
    sample_time = 0.1
    process = ""


class Ratios(Suite):
    """What the ratios share: as many processes as a comparison of two commits needs."""

    rounds = 5
    # Processes differ by more than this leaves open: a further one says more than more time in one.
    sample_time = 0.25
    process = "timing"


def over(**values: Sequence[Any]) -> Callable[[Decorated], Decorated]:
    """Decorate a class, or a method, with parameters by name, in order; one value needs no list."""

    def parametrize(cls: Any) -> Any:
        cls.param_names = list(values)
        cls.params = [[each] if isinstance(each, str) else list(each) for each in values.values()]
        for method in list(vars(cls).values()):
            if hasattr(method, "pretty_name"):
                method.process = cls.process  # asv tells of attributes of methods only
        return cls

    return parametrize


def pretty(name: str) -> Callable[[Decorated], Decorated]:
    """Give a benchmark method the name that asv's pages show."""

    def name_it(method: Any) -> Any:
        method.pretty_name = name
        return method

    return name_it


# Made once in a process, so that the cells that share it share them.
@functools.cache
def problem(workload: str, batch: int, device: str) -> Problem:
    """Return the variables and data that the steps of a process share."""
    return make_problem(workload, batch, device)


@functools.cache
def step(case: Case) -> Step:
    """Return the verified step of a case."""
    return build_step(case, problem=problem(case.workload, case.batch, case.device))


def tape_twice(case: Case) -> tuple[Step, Step]:
    """Return two steps of the tape of the same variables and data, the second the shared one."""
    return build_step(case, problem=problem(case.workload, case.batch, case.device)), step(case)


def error_ulp(case: Case) -> float:
    """Return the largest error of a step's gradients, in units in the last place.

    Of each tensor in those of its largest entry, against the float64 tape.
    """
    built = step(case)
    errors = oracle.exact_errors(built.problem, built.gradients())
    return round(max(error.ulp for error in errors), 2)


def peak_memory(case: Case, calls: int = 10) -> int:
    """Return the peak of a process, in bytes, that builds a step and calls it a few times."""
    with absent_devices_skip():
        built = build_step(case, verify=False)
    for _ in range(calls):
        built()
    peak = memory.peak_bytes(case.device)
    # After the peak is read: the oracles need more memory than the step.
    built.verify()
    return peak


def answer(name: str) -> type[Suite]:
    """Return the class that measures a workload: its ratios to the tape, and what stands beside.

    The class is named after the workload, and measures every gradient of it, in every mode, on
    every device, at its batches.
    """
    workload = workloads.find(name)
    every = list(workload.gradients)
    manual = [gradient for gradient in every if gradient != BASELINE]
    cases = {"mode": MODES, "device": DEVICES, "batch": workload.batches}

    @over(workload=name, gradient=manual, **cases)
    class Answer(Ratios):
        """The answer: below 1 the hand-written pass is faster than the tape."""

        @pretty("Step over the tape's step")
        def ratio_to_tape(
            self, workload: str, gradient: str, mode: str, device: str, batch: int
        ) -> tuple[Step, Step]:
            case = Case(workload, gradient, mode, device, batch)
            return step(case), step(case.baseline)

        @pretty("A/A control: the tape over the tape")
        def ratio_tape_to_tape(
            self, workload: str, mode: str, device: str, batch: int
        ) -> tuple[Step, Step]:
            return tape_twice(Case(workload, BASELINE, mode, device, batch))

        @pretty("Step: forward pass and all gradients")
        def steady_step(
            self, workload: str, gradient: str, mode: str, device: str, batch: int
        ) -> Step:
            return step(Case(workload, gradient, mode, device, batch))

        @pretty("Error against float64")
        def track_error_ulp(
            self, workload: str, gradient: str, mode: str, device: str, batch: int
        ) -> float:
            with absent_devices_skip():
                return error_ulp(Case(workload, gradient, mode, device, batch))

        @pretty("Peak memory of a step")
        def track_peak_memory(
            self, workload: str, gradient: str, mode: str, device: str, batch: int
        ) -> int:
            return peak_memory(Case(workload, gradient, mode, device, batch))

    ends = sorted({min(workload.batches), max(workload.batches)})
    steady, track, peak = Answer.steady_step, Answer.track_error_ulp, Answer.track_peak_memory
    for method, batches in ((steady, workload.batches), (track, workload.batches), (peak, ends)):
        over(workload=name, gradient=every, **{**cases, "batch": batches})(method)
    over(workload=name, **{**cases, "batch": ends})(Answer.ratio_tape_to_tape)
    for method, its in (
        (steady, {"rounds": 3, "sample_time": Suite.sample_time}),
        (track, {"unit": "ulp"}),
        (peak, {"unit": "bytes", "process": ""}),
    ):
        for attribute, value in its.items():
            setattr(method, attribute, value)
    Answer.__name__ = Answer.__qualname__ = class_name(name)
    return Answer


def class_name(workload: str) -> str:
    """Turn a workload's name into a class's, as ``exercise-logits`` into ``ExerciseLogits``."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", workload))
