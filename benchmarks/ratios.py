"""Interleaved ratios: a step's time over a yardstick's, both in one process."""

import functools
from dataclasses import replace

from manualbp.cases import BASELINE, EXERCISE, Case
from manualbp.measuring import parts, threads
from manualbp.measuring.suite import Ratios, over, pretty, step, tape_twice

from .parameters import CASES, MANUAL, cases

control = functools.cache(parts.build_control)


@over(**{**CASES, "gradient": MANUAL})
class Step(Ratios):
    """The answer: below 1 the hand-written pass is faster than the tape."""

    @pretty("Step over the tape's step")
    def ratio_to_tape(self, *names):
        case = Case(*names)
        return step(case), step(case.baseline)


@over(**{**CASES, "gradient": MANUAL, "device": ["CPU:0"], "batch": [4096, 32768]})
class OneThread(Ratios):
    """The same without a pool of threads, whose placement makes large batches restless."""

    process = "one thread"

    @pretty("Step over the tape's step, both in one thread")
    def ratio_to_tape_one_thread(self, *names):
        threads.use_one()
        case = Case(*names)
        return step(case), step(case.baseline)


@over(**{**CASES, "gradient": ["tape", "packed"], "mode": ["graph", "xla"], "batch": [1, 512]})
class Concrete(Ratios):
    """What any gradient gains by a call that looks up its trace once."""

    @pretty("Step called through its ConcreteFunction over the same step called as usual")
    def ratio_concrete_to_call(self, *names):
        case = Case(*names)
        return step(replace(case, call="concrete")), step(case)


@over(**{**CASES, "batch": [1, 4096]})
class Absolute(Ratios):
    """Over the control, the tape included: a slowdown of all arms alike, or of the tape, shows."""

    version = "2"  # of 2: NumPy computes in one thread

    @pretty("Step over the step in NumPy")
    def ratio_to_numpy(self, *names):
        case = Case(*names)
        return step(case), control(case.workload, case.batch)


@over(**cases("workload", "mode", "device", "batch", batch=[1, 4096]))
class Control(Ratios):
    """A/A: the tape over itself.  The truth is 1; what else comes is the noise of a ratio."""

    @pretty("A/A control: the tape over the tape")
    def ratio_tape_to_tape(self, workload, *names):
        return tape_twice(Case(workload, BASELINE, *names))


@over(workload=[EXERCISE])
class Machine(Ratios):
    """NumPy at a large batch over NumPy at batch 1: moved by the machine, never by a commit."""

    version = "2"  # of 2: NumPy computes in one thread

    @pretty("Machine control: NumPy at batch 4096 over NumPy at batch 1")
    def ratio_numpy_to_numpy(self, workload):
        return parts.build_control(workload, 4096), parts.build_control(workload, 1)
