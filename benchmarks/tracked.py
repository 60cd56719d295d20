"""Tracked numbers: accuracy against the float64 reference, and peak memory."""

from manualbp.measuring import memory, oracle
from manualbp.measuring.asv_types import absent_devices_skip
from manualbp.measuring.step import build_step

from .common import EVERY, Suite, over, pretty, step


@over("network", "gradient", "mode", "device", "batch", gradient=EVERY)
class Accuracy(Suite):
    """The largest error of a gradient entry, in units in the last place of its tensor's largest."""

    unit = "ulp"
    process = "timing"

    @pretty("Error against float64")
    def track_error_ulp(self, network, gradient, mode, device, batch):
        with absent_devices_skip():
            built = step(gradient, mode, device, batch, network)
        errors = oracle.reference_errors(built.problem, built.gradients())
        return round(max(error.ulp for error in errors), 2)


@over("network", "gradient", "mode", "device", "batch", network=["exercise"], batch=[1, 32768])
class Memory(Suite):
    """The peak of a process that builds a step and runs it ten times."""

    unit = "bytes"

    @pretty("Peak memory of a step")
    def track_peak_memory(self, network, gradient, mode, device, batch):
        with absent_devices_skip():
            step = build_step(gradient, mode, device, batch, network, verify=False)
        for _ in range(10):
            step()
        peak = memory.peak_bytes(device)
        # After the peak is read: the oracles need more memory than the step.
        step.verify()
        return peak


class MemoryControl(Suite):
    """What a process needs that has only imported TensorFlow."""

    unit = "bytes"

    @pretty("Peak memory of the imports alone")
    def track_peak_memory_import(self):
        return memory.peak_rss_bytes()
