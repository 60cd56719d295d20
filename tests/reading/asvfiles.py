"""Results directories in the shape of asv 0.6, written from a model instead of measured."""

import itertools
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from manualbp.cases import DEVICES, MODES

WORKLOADS = {"exercise": (1, 8, 64, 512, 4096, 32768), "wide": (1, 64, 512)}
"""The batches of each; in a benchmark over both asv stores the others as skipped."""
GRADIENTS = ("tape", "chain", "fused")
BATCHES = (1, 8, 64, 512, 4096, 32768)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DATE = 1_760_000_000_000  # 2025-10-09, in ms as asv stores it
RESULT_COLUMNS = [
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile"),
]
VALUES = {
    "workload": tuple(WORKLOADS),
    "gradient": GRADIENTS,
    "mode": MODES,
    "device": DEVICES,
    "batch": BATCHES,
    "steps_per_call": (1, 100),
    "peer": ("jax", "torch", "keras", "numba"),
}
CASE = ("workload", "gradient", "mode", "device", "batch")
NO_GRADIENT = ("workload", "mode", "device", "batch")
SUITE = {
    "steady_step": ("time", "seconds", CASE),
    "steady_backward": ("time", "seconds", ("workload", "gradient", "device", "batch")),
    "steady_numpy": ("time", "seconds", ("workload", "batch")),
    "steady_empty": ("time", "seconds", NO_GRADIENT),
    "steady_sgd": ("time", "seconds", (*CASE, "steps_per_call")),
    "first_call": ("time", "seconds", CASE),
    "first_trace": ("time", "seconds", CASE),
    "ratio_to_tape": ("ratio", "ratio", CASE),
    "ratio_tape_to_tape": ("ratio", "ratio", NO_GRADIENT),
    "track_error_ulp": ("track", "ulp", CASE),
    "track_peak_memory": ("track", "bytes", CASE),
    "track_peak_memory_import": ("track", "bytes", ()),
    "track_graph_nodes": ("track", "nodes", ("workload", "gradient", "device", "batch")),
    "track_xla_bytes": ("track", "bytes", ("workload", "gradient", "device", "batch")),
    "track_traces": ("track", "traces", ("workload", "gradient", "mode", "device")),
}

# A cell is a number, a list of samples, None (failed) or NaN (skipped).
Cell = float | list[float] | None
Model = Callable[[str, dict[str, Any]], Cell]
Values = dict[str, tuple[Any, ...]]

SKIP = math.nan


def parameters(
    quantity: str, names: Sequence[str], values: Values = VALUES
) -> list[tuple[Any, ...]]:
    """The values of each parameter; the ratio of the tape to itself is another quantity."""
    if quantity == "ratio_to_tape":
        values = {**values, "gradient": GRADIENTS[1:]}
    return [values[name] for name in names]


def seconds(case: dict[str, Any]) -> float:
    """A step's time: a call, and work that grows with the batch."""
    wide = case["workload"] == "wide"
    call = {"eager": 1.4e-3, "graph": 2.6e-4, "xla": 1.6e-4}[case["mode"]]
    work = {"eager": 3.0e-7, "graph": 1.6e-7, "xla": 0.9e-7}[case["mode"]] * (60 if wide else 1)
    call /= {"eager": {"tape": 1, "chain": 1.8, "fused": 5.5}}.get(
        case["mode"], {"tape": 1, "chain": 0.98, "fused": 1.04}
    )[case["gradient"]]
    work /= {"tape": 1, "chain": 0.9, "fused": 1.15}[case["gradient"]]
    return call + work * case["batch"]


def model(quantity: str, case: dict[str, Any], processes: int = 8) -> Cell:
    """A plausible laptop without a GPU, the same numbers at every call."""
    noise = random.Random(f"{quantity}{sorted(case.items())}")

    def spread(value: float, sigma: float) -> list[float]:
        return [value * math.exp(noise.gauss(0, sigma)) for _ in range(processes)]

    if quantity == "track_peak_memory_import":
        return 412.0 * 2**20
    if case.get("device") == "GPU:0":
        return SKIP
    if quantity == "track_traces":
        return 3
    if case["batch"] not in WORKLOADS[case["workload"]]:
        return SKIP
    case = {"mode": "eager", "gradient": "tape", **case}
    if quantity in ("steady_step", "steady_backward"):
        return spread(seconds(case), 0.08)
    if quantity == "steady_numpy":
        return spread(2.4e-5 + 6e-8 * case["batch"], 0.05)
    if quantity == "steady_empty":
        return spread({"eager": 2e-6, "graph": 9e-5, "xla": 7e-5}[case["mode"]], 0.05)
    if quantity == "steady_sgd":
        return spread(seconds(case) / case["steps_per_call"], 0.05)
    if quantity == "first_call":
        return spread({"eager": 0.02, "graph": 0.11, "xla": 0.62}[case["mode"]], 0.1)
    if quantity == "first_trace":
        return SKIP if case["mode"] == "eager" else spread(0.07, 0.05)
    if quantity == "ratio_to_tape":
        return spread(seconds(case) / seconds({**case, "gradient": "tape"}), 0.02)
    if quantity == "ratio_tape_to_tape":
        return spread(1.0, 0.02)
    if quantity == "track_graph_nodes":
        return {"tape": 71, "chain": 72, "fused": 50}[case["gradient"]]
    if quantity == "track_xla_bytes":
        return 14008 + 1900 * case["batch"]
    if quantity == "track_error_ulp":
        return round(0.6 + noise.random() * 3, 2)
    return (520 + case["batch"] / 300) * 2.0**20


def row(params: Sequence[Sequence[Any]], cells: Sequence[Cell], started: int = DATE) -> list[Any]:
    """One row of a result file as asv writes it: lists of nothing shortened, the end cut off."""
    results = [sorted(c)[len(c) // 2] if isinstance(c, list) else c for c in cells]
    samples = [c if isinstance(c, list) else None for c in cells]
    stats = [1e-9 if isinstance(c, list) else None for c in cells]
    columns: list[Any] = [results, [[repr(v) for v in values] for values in params], "v1", started]
    columns += [12.5, *[stats] * 6, samples, None]
    for place, column in enumerate(columns):
        if place != 1 and isinstance(column, list) and all(entry is None for entry in column):
            columns[place] = None
    while columns[-1] is None:
        columns.pop()
    return columns


def write_machine(
    results: Path,
    *,
    machine: str = "laptop",
    commit: str = COMMIT,
    model: Model = model,
    suite: dict[str, tuple[str, str, tuple[str, ...]]] = SUITE,
    values: Values = VALUES,
    started: int = DATE,
    cores: str = "2",
    extra: dict[str, list[Any]] | None = None,
) -> Path:
    """Write one machine's folder with one result file, and return the file's path."""
    folder = results / machine
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "machine": machine,
        "os": "Linux 6.8",
        "cpu": "An imagined CPU @ 2.50GHz",
        "ram": "16384000",
        "num_cpu": cores,
        "arch": "x86_64",
    }
    (folder / "machine.json").write_text(json.dumps({**facts, "version": 1}))
    rows = {}
    for quantity, (_, _, names) in suite.items():
        params = parameters(quantity, names, values)
        cells = [
            model(quantity, dict(zip(names, combination, strict=True)))
            for combination in itertools.product(*params)
        ]
        rows[f"bench_{quantity.split('_')[0]}.{quantity}"] = row(params, cells, started)
    content = {
        "commit_hash": commit,
        "env_name": "virtualenv-py3.11-tensorflow2.21.0",
        "date": started - 1000,
        "params": {**facts, "python": "3.11", "tensorflow": "2.21.0"},
        "python": "3.11",
        "requirements": {"tensorflow": "2.21.0"},
        "env_vars": {},
        "result_columns": RESULT_COLUMNS,
        "results": {**rows, **(extra or {})},
        "durations": {},
        "version": 2,
    }
    file = folder / f"{commit[:8]}-virtualenv-py3.11-tensorflow2.21.0.json"
    file.write_text(json.dumps(content))
    return file


def write_benchmarks(
    results: Path,
    suite: dict[str, tuple[str, str, tuple[str, ...]]] = SUITE,
    values: Values = VALUES,
) -> None:
    """Write ``benchmarks.json``."""
    entries: dict[str, Any] = {"version": 2}
    for quantity, (kind, unit, names) in suite.items():
        name = f"bench_{quantity.split('_')[0]}.{quantity}"
        entries[name] = {
            "name": name,
            "type": kind,
            "unit": unit,
            "param_names": list(names),
            "params": [[repr(v) for v in column] for column in parameters(quantity, names, values)],
            "version": "v1",
        }
    results.mkdir(parents=True, exist_ok=True)
    (results / "benchmarks.json").write_text(json.dumps(entries))


def write_results(results: Path, **options: Any) -> Path:
    """Write a whole results directory with one machine, and return it."""
    write_benchmarks(results, options.get("suite", SUITE), options.get("values", VALUES))
    write_machine(results, **options)
    return results


def process_line(quantity: str, case: dict[str, Any], status: str, **rest: Any) -> dict[str, Any]:
    """A line of the journal: what one process made of a cell of ``SUITE``."""
    names = SUITE[quantity][2] if quantity in SUITE else tuple(case)
    shares = {"switched": 0.01, "others": 0.02, "stalled": 0.0, "stolen": None}
    return {
        "kind": "process",
        "benchmark": f"bench_{quantity.split('_')[0]}.{quantity}",
        "parameters": [repr(case[name]) for name in names],
        "version": "v1",
        "status": status,
        "value": 0.31 if status in ("ok", "disturbed") else None,
        "reason": "",
        "started": "2026-11-24T21:49:15Z",
        "seconds": 0.9,
        "disturbance": shares if status in ("ok", "disturbed") else None,
        **rest,
    }


def write_journal(result_file: Path, *lines: dict[str, Any] | str) -> Path:
    """Append lines, objects or as they are, to the journal of a result file; return its path."""
    path = result_file.with_name(result_file.name.removesuffix(".json") + ".processes.jsonl")
    with path.open("a", encoding="utf-8") as file:
        for line in lines:
            file.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
    return path


def result_file_of(results: Path) -> Path:
    """The one result file of a results directory."""
    (file,) = (f for f in results.glob("*/*.json") if f.name != "machine.json")
    return file


BUSY = "other programs took 41 % of the cores"


def write_disturbed(results: Path) -> Path:
    """A whole results directory measured on a machine that was busy now and then.

    Under ``xla`` ``fused`` is disturbed at batch 4096 and has one process at 512; ``chain`` failed
    at 8; ``graph`` was not reached at 32768; the tape's time at batch 1 is disturbed in ``eager``.
    One of the values of ``fused`` in ``eager`` at batch 8 was discarded, too.
    """

    def busy(quantity: str, case: dict[str, Any]) -> Cell:
        if case.get("workload") != "exercise" or case.get("device") != "CPU:0":
            return model(quantity, case)
        if quantity == "steady_step":
            here = (case["gradient"], case["mode"], case["batch"])
            if here == ("tape", "eager", 1) or here[1:] == ("graph", 32768):
                return SKIP
        if quantity == "ratio_to_tape":
            here = (case["gradient"], case["mode"], case["batch"])
            if here == ("fused", "xla", 512):
                return [0.8]
            if here == ("fused", "xla", 4096) or here[1:] == ("graph", 32768):
                return SKIP
            if here == ("chain", "xla", 8):
                return None
        return model(quantity, case)

    write_results(results, model=busy)
    case = {"workload": "exercise", "device": "CPU:0", "gradient": "fused", "mode": "xla"}
    ratio = "ratio_to_tape"
    disturbed = {**case, "batch": 4096}
    eager = {**case, "mode": "eager"}
    write_journal(
        result_file_of(results),
        {"kind": "environment", "started": "2026-11-24T21:49:00Z", "facts": {"kernel": "6.8"}},
        *[process_line(ratio, disturbed, "disturbed", reason=BUSY)] * 3,
        process_line(ratio, {**eager, "batch": 8}, "ok"),
        process_line(ratio, {**eager, "batch": 8}, "disturbed", reason="switched out"),
        process_line(
            ratio,
            {**case, "gradient": "chain", "batch": 8},
            "failed",
            reason="<b>out of memory</b>",
        ),
        process_line(
            "steady_step", {**eager, "gradient": "tape", "batch": 1}, "disturbed", reason=BUSY
        ),
    )
    return results
