"""Exact numbers: what a step consists of.  They are compared by equality, no clock takes part."""

import functools

from manualbp.cases import Case
from manualbp.measuring import hlo, structure
from manualbp.measuring.asv_types import absent_devices_skip
from manualbp.measuring.step import build_step
from manualbp.measuring.suite import Suite, over, pretty

from .parameters import cases

SIZES = (8, 64, 8, 512)
"""The batches of a sequence: three sizes, of which one comes back and should cost nothing."""

BATCHES_SAID = ", ".join(map(str, SIZES))


class Exact(Suite):
    """What these classes share: one process tells all."""

    rounds = 1
    process = "counts"


@over(**cases("workload", "gradient", "device", "batch", batch=[512]))
class Eager(Exact):
    """The operations that Python dispatches, the bulk of an eager step at small batches."""

    unit = "operations"

    @pretty("Eager operations of a step")
    def track_eager_operations(self, workload, gradient, device, batch):
        with absent_devices_skip():
            step = build_step(Case(workload, gradient, "eager", device, batch))
        return structure.eager_operations(step)


@over(**cases("workload", "gradient", "device", "batch", batch=[512]))
class Graph(Exact):
    """The graph that is run under ``tf.function``."""

    unit = "nodes"

    @pretty("Graph nodes of a step, after grappler")
    def track_graph_nodes(self, workload, gradient, device, batch):
        with absent_devices_skip():
            step = build_step(Case(workload, gradient, "graph", device, batch), verify=False)
        nodes = structure.graph_nodes(step)
        step.verify()
        return nodes


@over(**cases("workload", "gradient", "device", "batch", batch=[64, 4096]))
class Program(Exact):
    """The program that XLA makes; between these batches it changes how it sums."""

    @pretty("XLA instructions of a step")
    def track_xla_instructions(self, workload, gradient, device, batch):
        return hlo.instructions(compiled(workload, gradient, device, batch).hlo_module)

    @pretty("XLA fusions of a step")
    def track_xla_fusions(self, workload, gradient, device, batch):
        return hlo.fusions(compiled(workload, gradient, device, batch).hlo_module)

    @pretty("XLA kernels of a step")
    def track_xla_kernels(self, workload, gradient, device, batch):
        return hlo.kernels(compiled(workload, gradient, device, batch).hlo_module)

    @pretty("XLA's temporary buffers of a step")
    def track_xla_temporary_bytes(self, workload, gradient, device, batch):
        return hlo.temporary_bytes(compiled(workload, gradient, device, batch))

    track_xla_instructions.unit = "instructions"
    track_xla_fusions.unit = "fusions"
    track_xla_kernels.unit = "kernels"
    track_xla_temporary_bytes.unit = "bytes"


@over(**cases("workload", "gradient", "device", "batch", batch=[4096]))
class Work(Exact):
    """What the program does in one run; both grow with the batch, so that one batch says it."""

    @pretty("FLOPs of a step under XLA")
    def track_xla_flops(self, workload, gradient, device, batch):
        return hlo.flops(compiled(workload, gradient, device, batch).hlo_module)

    @pretty("Bytes that a step's XLA kernels access")
    def track_xla_bytes(self, workload, gradient, device, batch):
        return hlo.bytes_accessed(compiled(workload, gradient, device, batch).hlo_module)

    track_xla_flops.unit = "flops"
    track_xla_bytes.unit = "bytes"


@over(**cases("workload", "gradient", "mode", "device", mode=["graph", "xla"]))
class Traces(Exact):
    """How often a function is traced that meets several batch sizes."""

    unit = "traces"

    @pretty(f"Traces for batches of {BATCHES_SAID}")
    def track_traces(self, workload, gradient, mode, device):
        with absent_devices_skip():
            sequence = structure.BatchSequence(Case(workload, gradient, mode, device), SIZES)
        sequence.verify()
        return sequence.traces


@over(**cases("workload", "gradient", "device"))
class Compilations(Exact):
    """How often XLA compiles it, which need not be once a trace."""

    unit = "compilations"

    @pretty(f"XLA compilations for batches of {BATCHES_SAID}")
    def track_compilations(self, workload, gradient, device):
        with absent_devices_skip():
            sequence = structure.BatchSequence(Case(workload, gradient, "xla", device), SIZES)
        count = structure.compilations(sequence)
        sequence.verify()
        return count


@functools.cache
def compiled(workload, gradient, device, batch):
    """Return XLA's program of a verified step."""
    with absent_devices_skip():
        step = build_step(Case(workload, gradient, "xla", device, batch))
    return structure.optimised_hlo(step.function, *step.data)
