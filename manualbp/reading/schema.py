"""The words of the table that asv's results are read into: columns, statuses, quantities."""

from typing import NamedTuple

OK, FAILED, SKIPPED, DISTURBED = "ok", "failed", "skipped", "disturbed"
"""A cell's status: a number, an error or a timeout, not applicable on that machine, or values that
were all discarded because the machine was busy."""

RUN = ["machine", "environment", "commit"]
"""The columns that tell one run from another."""

CASE = ["workload", "gradient", "mode", "device", "batch"]
"""The columns that tell one case from another."""

COLUMNS = [
    *("machine", "cpu", "cores", "memory", "system"),
    *("python", "environment", "tensorflow", "flags"),
    *("commit", "date", "started"),
    *("benchmark", "version", "quantity", "kind", "unit"),
    *(*CASE, "peer", "steps_per_call", "parameters", "bench"),
    *("status", "value", "low", "high", "processes", "samples", "discarded", "reason"),
]
"""The columns of ``load_results``, in order."""


class ResultsError(ValueError):
    """Results that cannot be read, or that are not there; the message says what to do."""


class Quantity(NamedTuple):
    """What a benchmark of this project's suite measures: asv's kind, its unit, its parameters.

    ``exact`` is a number that repeats bit for bit: compared by equality, never by statistics.
    ``context`` is one that other libraries have a part in: shown, never judged, for their releases
    move it as well as a commit here.
    """

    kind: str
    unit: str
    parameters: tuple[str, ...]
    exact: bool = False
    context: bool = False


_NO_GRADIENT = ("workload", "mode", "device", "batch")
_NO_MODE = ("workload", "gradient", "device", "batch")
_NO_DEVICE = ("workload", "gradient", "mode", "batch")
_NO_BATCH = ("workload", "gradient", "mode", "device")

QUANTITIES = {
    "steady_step": Quantity("time", "seconds", tuple(CASE)),
    "steady_forward": Quantity("time", "seconds", tuple(CASE)),
    "steady_backward": Quantity("time", "seconds", _NO_MODE),
    "steady_numpy": Quantity("time", "seconds", ("workload", "batch")),
    "steady_empty": Quantity("time", "seconds", _NO_GRADIENT),
    "steady_sgd": Quantity("time", "seconds", (*CASE, "steps_per_call")),
    "first_call": Quantity("time", "seconds", tuple(CASE)),
    "first_trace": Quantity("time", "seconds", tuple(CASE)),
    "first_execution": Quantity("time", "seconds", tuple(CASE)),
    "ratio_to_tape": Quantity("ratio", "ratio", tuple(CASE)),
    "ratio_to_tape_one_thread": Quantity("ratio", "ratio", tuple(CASE)),
    "ratio_to_numpy": Quantity("ratio", "ratio", tuple(CASE)),
    "ratio_concrete_to_call": Quantity("ratio", "ratio", tuple(CASE)),
    "ratio_tape_to_tape": Quantity("ratio", "ratio", _NO_GRADIENT),
    "ratio_numpy_to_numpy": Quantity("ratio", "ratio", ("workload",)),
    "ratio_peer_to_numpy": Quantity("ratio", "ratio", ("workload", "peer", "batch"), context=True),
    "ratio_to_jax": Quantity("ratio", "ratio", _NO_DEVICE, context=True),
    "ratio_sgd_to_floor": Quantity("ratio", "ratio", _NO_DEVICE, context=True),
    "ratio_peer_sgd_to_floor": Quantity(
        "ratio", "ratio", ("workload", "peer", "batch"), context=True
    ),
    "track_error_ulp": Quantity("track", "ulp", tuple(CASE)),
    "track_peak_memory": Quantity("track", "bytes", tuple(CASE)),
    "track_peak_memory_import": Quantity("track", "bytes", ()),
    "track_eager_operations": Quantity("track", "operations", _NO_MODE, exact=True),
    "track_graph_nodes": Quantity("track", "nodes", _NO_MODE, exact=True),
    "track_xla_instructions": Quantity("track", "instructions", _NO_MODE, exact=True),
    "track_xla_fusions": Quantity("track", "fusions", _NO_MODE, exact=True),
    "track_xla_kernels": Quantity("track", "kernels", _NO_MODE, exact=True),
    "track_xla_flops": Quantity("track", "flops", _NO_MODE, exact=True),
    "track_xla_bytes": Quantity("track", "bytes", _NO_MODE, exact=True),
    "track_xla_temporary_bytes": Quantity("track", "bytes", _NO_MODE, exact=True),
    "track_traces": Quantity("track", "traces", _NO_BATCH, exact=True),
    "track_compilations": Quantity(
        "track", "compilations", ("workload", "gradient", "device"), exact=True
    ),
}
"""The suite's benchmarks by the last component of their names.

``benchmarks.json`` has the last word; this table stands in where that file is missing, and says
which benchmarks are ours.
"""

IMPLIED_MODES = {
    "steady_backward": "eager",  # the tape's pass alone has a time only in eager mode
    "track_eager_operations": "eager",
    "track_graph_nodes": "graph",
    "track_compilations": "xla",
    **dict.fromkeys((name for name in QUANTITIES if name.startswith("track_xla_")), "xla"),
}
"""The mode of a benchmark that exists in one only and therefore has no such parameter."""

CONTEXT = [name for name, quantity in QUANTITIES.items() if quantity.context]
"""The quantities that other libraries have a part in."""

IMPLIED_DEVICES = dict.fromkeys(CONTEXT, "CPU:0")
"""The device of a benchmark that is measured on one only and therefore has no such parameter."""
