"""Tracked numbers: accuracy against the float64 tape, and peak memory."""

from manualbp.cases import Case
from manualbp.measuring import memory
from manualbp.measuring.asv_types import absent_devices_skip
from manualbp.measuring.suite import Suite, error_ulp, over, peak_memory, pretty

from .parameters import CASES


@over(**CASES)
class Accuracy(Suite):
    """The largest error of a gradient entry, in units in the last place of its tensor's largest."""

    unit = "ulp"
    process = "timing"

    @pretty("Error against float64")
    def track_error_ulp(self, *names):
        with absent_devices_skip():
            return error_ulp(Case(*names))


@over(**{**CASES, "batch": [1, 32768]})
class Memory(Suite):
    """The peak of a process that builds a step and runs it ten times."""

    unit = "bytes"

    @pretty("Peak memory of a step")
    def track_peak_memory(self, *names):
        return peak_memory(Case(*names))


class MemoryControl(Suite):
    """What a process needs that has only imported TensorFlow."""

    unit = "bytes"

    @pretty("Peak memory of the imports alone")
    def track_peak_memory_import(self):
        return memory.peak_rss_bytes()
