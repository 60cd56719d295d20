"""What a step consists of, in numbers that repeat bit for bit: no clock takes part.

Private interfaces of TensorFlow are used in this module only: ``op_callbacks``, the graph
collection of the eager context, and the protocol buffers of XLA and of the profiler.  They were
tried with TensorFlow 2.21.0; a version that lacks one raises an error, as does one that hands out
no graph, no program or no profile of a compilation.

Each function says what its count depends on.  None was seen to depend on the number of cores: one
core and two gave equal counts on both networks, from batch 1 to 32768, though XLA's program then
says otherwise how a kernel is divided among threads.
"""

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.compiler.xla.service import hlo_pb2
from tensorflow.python.eager import context
from tensorflow.python.framework import op_callbacks
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from manualbp.cases import Case
from manualbp.measuring import oracle
from manualbp.measuring.problem import find_device, make_problem
from manualbp.measuring.step import check_case, in_mode, step_function

COMPILED = re.compile(r"(Cpu|Gpu)Compiler::RunBackend")
"""The profiler's event of one compilation by XLA: once in each, after optimisation."""


class StructureError(Exception):
    """TensorFlow gave nothing to count where there must be something."""


def eager_operations(call: Callable[[], Any]) -> int:
    """Count the operations that a call dispatches from Python, reads of variables included.

    A ``tf.function`` called is one operation.  Depends on the TensorFlow version; on shapes only
    where the Python code asks for them (``fused`` leaves out a product at batch 1).
    """
    count = 0

    def note(
        op_type: Any, inputs: Any, attrs: Any, outputs: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        nonlocal count
        count += graph is None  # else an operation is being put into a graph, not dispatched

    op_callbacks.add_op_callback(note)
    try:
        call()
    finally:
        op_callbacks.remove_op_callback(note)
    return count


def graph_nodes(call: Callable[[], Any]) -> int:
    """Count the nodes that grappler leaves of the graph which this first call of it builds.

    Arguments, constants and returned values are nodes too.  Depends on the TensorFlow version, on
    shapes (the tape's step has 65 at batch 1, 71 at 512, 75 at 32768), and on whether oneDNN's
    operations are on (``TF_ENABLE_ONEDNN_OPTS``, on by default on x86-64).

    ``StructureError`` is raised when no graph was built, as by a function that was called before.
    """
    eager = context.context()
    eager.ensure_initialized()
    eager.enable_graph_collection()
    try:
        call()
        collected = eager.export_run_metadata()
    finally:
        eager.disable_graph_collection()
    if not collected.function_graphs:
        raise StructureError("no graph was built: give a tf.function that was not called before")
    return sum(len(each.post_optimization_graph.node) for each in collected.function_graphs)


def optimised_hlo(function: Any, *arguments: tf.Tensor) -> Any:
    """Compile a ``tf.function(jit_compile=True)`` and return XLA's program, an ``HloProto``.

    ``manualbp.measuring.hlo`` counts its ``hlo_module`` (instructions, fusions, kernels, FLOPs,
    bytes) and its ``buffer_assignment`` (temporary bytes).  It is compiled for the device of the
    first argument.  All of it depends on the TensorFlow version, on shapes (XLA decides by sizes
    what to fuse and how to sum) and on the kind of device.

    ``StructureError`` is raised when TensorFlow hands out a program without instructions or
    without buffers.
    """
    with tf.device(arguments[0].device):
        compiler_ir = function.experimental_get_compiler_ir(*arguments)
        # The one stage that has the buffers.  Its instructions are not to be relied on: with
        # XLA's dumps switched on (``XLA_FLAGS``) they are those from before the optimisation.
        buffers = hlo_pb2.HloProto.FromString(compiler_ir(stage="optimized_hlo_proto_serialized"))
        module = hlo_pb2.HloModuleProto.FromString(compiler_ir(stage="optimized_hlo_serialized"))
    program = hlo_pb2.HloProto(hlo_module=module, buffer_assignment=buffers.buffer_assignment)
    if not (program.hlo_module.computations and program.buffer_assignment.buffer_allocations):
        raise StructureError("TensorFlow gave a program without instructions or without buffers")
    return program


def compilations(call: Callable[[], Any]) -> int:
    """Count the programs that XLA compiles during a call, as the profiler sees them.

    Traces are another matter: a function traced once for any batch is still compiled for each.
    Depends on the TensorFlow version and on the shapes that the call meets, and would on XLA's
    persistent cache if ``TF_XLA_FLAGS`` switched it on.

    ``StructureError`` is raised when the profiler does not even see a compilation made on purpose.
    """
    probe = tf.function(lambda x: x + x, jit_compile=True, autograph=False)
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=1, device_tracer_level=0)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, options):
            probe(tf.zeros(()))
            call()
        events = [
            plane.event_metadata[event.metadata_id].name
            for file in Path(folder).rglob("*.xplane.pb")
            for plane in xplane_pb2.XSpace.FromString(file.read_bytes()).planes
            for line in plane.lines
            for event in line.events
        ]
    seen = sum(COMPILED.match(name) is not None for name in events)
    if not seen:
        raise StructureError(f"no {COMPILED.pattern} in the profile, though XLA compiled")
    return seen - 1


class BatchSequence:
    """One function in one mode, called with batches of several sizes in turn.

    Where a step has its batch size from outside, this function takes it from the shapes it is
    traced for, as a training function does that meets a shorter last batch.
    """

    def __init__(self, case: Case, batches: Sequence[int]) -> None:
        self.device = find_device(case.device)
        self.cases = [check_case(replace(case, batch=batch)) for batch in batches]
        sizes = {batch: make_problem(case.workload, batch, case.device) for batch in batches}
        variables = sizes[max(batches)].variables
        self.problems = [replace(sizes[batch], variables=variables) for batch in batches]
        with tf.device(self.device):
            self.gradient = self.problems[0].workload.gradients[case.gradient](variables, None)
        self.function = in_mode(step_function(self.gradient), case.mode)

    def __call__(self) -> list[tuple[tf.Tensor, Any]]:
        """Do one call for each batch, and return each loss and gradients."""
        with tf.device(self.device):
            return [self.function(*each.data) for each in self.problems]

    def verify(self) -> None:
        """Compare every call's loss and gradients, or raise ``VerificationError``."""
        for case, problem, outputs in zip(self.cases, self.problems, self(), strict=True):
            loss, gradients = outputs
            oracle.verify(case, problem, loss, self.gradient.as_written(gradients))

    @property
    def traces(self) -> int:
        """How often TensorFlow traced the function: once for each new size.

        Depends on the TensorFlow version and on the sizes.
        """
        return int(self.function.experimental_get_tracing_count())
