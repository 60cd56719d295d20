"""Interleaved ratios: a step's time over the tape's, both in one process."""

from manualbp.cases import BASELINE
from manualbp.measuring.step import build_step

from .common import MANUAL, Suite, over, pretty


@over("network", "gradient", "mode", "device", "batch", gradient=MANUAL)
class Step(Suite):
    """The answer: below 1 the hand-written pass is faster than the tape."""

    rounds = 5
    sample_time = 0.3

    @pretty("Step over the tape's step")
    def ratio_to_tape(self, network, gradient, mode, device, batch):
        return (
            build_step(gradient, mode, device, batch, network),
            build_step(BASELINE, mode, device, batch, network),
        )


@over("network", "mode", "device", "batch", network=["exercise"], batch=[1, 4096])
class Control(Suite):
    """A/A: the tape over itself.  The truth is 1; what else comes is the noise of a ratio."""

    rounds = 5
    sample_time = 0.3

    @pretty("A/A control: the tape over the tape")
    def ratio_tape_to_tape(self, network, mode, device, batch):
        return (
            build_step(BASELINE, mode, device, batch, network),
            build_step(BASELINE, mode, device, batch, network),
        )
