"""Two stored runs to compare, with ratios that a test chooses, by way of asv's files."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from asvfiles import write_benchmarks, write_machine

from manualbp.reading.frame import load_results
from manualbp.reading.schema import QUANTITIES

BASE, HEAD = "b" * 40, "a" * 40
CASE = ("workload", "gradient", "mode", "device", "batch")
SUITE = {
    "ratio_to_tape": ("ratio", "ratio", CASE),
    "ratio_tape_to_tape": ("ratio", "ratio", ("workload", "mode", "device", "batch")),
    "track_graph_nodes": QUANTITIES["track_graph_nodes"][:3],
}
CELLS = 36
"""The exercise's workload has as many ratios to the tape on one device."""

Change = Callable[[str, dict[str, Any]], Any]


def nothing(quantity: str, case: dict[str, Any]) -> Any:
    """Change nothing."""
    return 1.0


def write_runs(
    path: Path,
    *,
    change: Change = nothing,
    deviation: float = 0.005,
    processes: int = 8,
    seed: int = 0,
    **options: Any,
) -> Path:
    """Write a base and a head; ``change`` gives the head's factor: None failed, NaN skipped."""
    generator = np.random.default_rng(seed)
    write_benchmarks(path, SUITE)
    for commit, factor in ((BASE, nothing), (HEAD, change)):

        def model(quantity: str, case: dict[str, Any], factor: Change = factor) -> Any:
            if case["workload"] != "exercise" or case["device"] != "CPU:0":
                return math.nan
            changed = factor(quantity, case)
            if changed is None or math.isnan(changed):
                return changed
            if quantity.startswith("track_"):
                return round(40 * changed)
            return list(0.8 * changed * np.exp(deviation * generator.normal(size=processes)))

        write_machine(path, commit=commit, model=model, suite=SUITE, **options)
    return path


def load_runs(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what ``write_runs`` wrote: base and head."""
    frame = load_results(path)
    return frame[frame["commit"] == BASE], frame[frame["commit"] == HEAD]


def margins(value: float = 0.02, *, controls: bool = True) -> dict[tuple[Any, ...], float]:
    """One margin for every cell that ``write_runs`` measures."""
    modes, batches = ("eager", "graph", "xla"), (1, 8, 64, 512, 4096, 32768)
    cells = {
        ("ratio_to_tape", "exercise", gradient, mode, "CPU:0", batch): value
        for gradient, mode, batch in itertools.product(("chain", "fused"), modes, batches)
    }
    if controls:
        cells |= {
            ("ratio_tape_to_tape", "exercise", None, mode, "CPU:0", batch): value
            for mode, batch in itertools.product(modes, batches)
        }
    return cells


def only(factor: Any, **case: Any) -> Change:
    """Change the ratio to the tape in the cells of this case alone."""

    def change(quantity: str, found: dict[str, Any]) -> Any:
        here = quantity == "ratio_to_tape" and all(found[key] == case[key] for key in case)
        return factor if here else 1.0

    return change
