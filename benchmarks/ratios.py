"""Interleaved ratios: a step's time over a yardstick's, both in one process."""

import functools

from manualbp.cases import BASELINE, baseline_of
from manualbp.measuring import parts, threads
from manualbp.measuring.step import build_step

from .common import MANUAL, Suite, over, pretty, step

control = functools.cache(parts.build_control)


class Ratios(Suite):
    """What the ratios share: as many processes as a comparison of two commits needs."""

    rounds = 5
    # Processes differ by more than this leaves open: a further one says more than more time in one.
    sample_time = 0.25
    process = "timing"


@over("network", "gradient", "mode", "device", "batch", gradient=MANUAL)
class Step(Ratios):
    """The answer: below 1 the hand-written pass is faster than the tape (of the same loss)."""

    @pretty("Step over the tape's step")
    def ratio_to_tape(self, network, gradient, mode, device, batch):
        return (
            step(gradient, mode, device, batch, network),
            step(baseline_of(gradient), mode, device, batch, network),
        )


@over(
    "network",
    "gradient",
    "mode",
    "device",
    "batch",
    network=["exercise"],
    gradient=[name for name in MANUAL if baseline_of(name) == BASELINE],
    device=["CPU:0"],
    batch=[4096, 32768],
)
class OneThread(Ratios):
    """The same without a pool of threads, whose placement makes large batches restless."""

    process = "one thread"

    @pretty("Step over the tape's step, both in one thread")
    def ratio_to_tape_one_thread(self, network, gradient, mode, device, batch):
        threads.use_one()
        return (
            step(gradient, mode, device, batch, network),
            step(BASELINE, mode, device, batch, network),
        )


@over(
    "network",
    "gradient",
    "mode",
    "device",
    "batch",
    network=["exercise"],
    gradient=["tape", "packed"],
    mode=["graph", "xla"],
    batch=[1, 512],
)
class Concrete(Ratios):
    """What any gradient gains by a call that looks up its trace once."""

    @pretty("Step called through its ConcreteFunction over the same step called as usual")
    def ratio_concrete_to_call(self, network, gradient, mode, device, batch):
        return (
            parts.build_concrete(gradient, mode, device, batch, network),
            step(gradient, mode, device, batch, network),
        )


@over("network", "gradient", "mode", "device", "batch", network=["exercise"], batch=[1, 4096])
class Absolute(Ratios):
    """Over the control, the tape included: a slowdown of all arms alike, or of the tape, shows."""

    version = "2"  # of 2: NumPy computes in one thread

    @pretty("Step over the step in NumPy")
    def ratio_to_numpy(self, network, gradient, mode, device, batch):
        return (
            step(gradient, mode, device, batch, network),
            control(batch, network),
        )


@over("network", "mode", "device", "batch", network=["exercise"], batch=[1, 4096])
class Control(Ratios):
    """A/A: the tape over itself.  The truth is 1; what else comes is the noise of a ratio."""

    @pretty("A/A control: the tape over the tape")
    def ratio_tape_to_tape(self, network, mode, device, batch):
        return (
            build_step(BASELINE, mode, device, batch, network),
            build_step(BASELINE, mode, device, batch, network),
        )


@over("network", network=["exercise"])
class Machine(Ratios):
    """NumPy at a large batch over NumPy at batch 1: moved by the machine, never by a commit."""

    version = "2"  # of 2: NumPy computes in one thread

    @pretty("Machine control: NumPy at batch 4096 over NumPy at batch 1")
    def ratio_numpy_to_numpy(self, network):
        return parts.build_control(4096, network), parts.build_control(1, network)
