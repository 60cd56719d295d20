"""The matrix in plain data: gradient × batch, a panel for each workload, mode and device."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from manualbp.cases import MODES
from manualbp.reading.frame import check_one_run, distinct, only, places, records
from manualbp.reading.schema import OK, SKIPPED, ResultsError
from manualbp.reading.speedups import SEPARATE, speedups
from manualbp.reading.summary import Cell as Row

FAST, SLOW, LEVEL, ALONE, NONE = "fast", "slow", "level", "alone", "none"
"""Kinds of cells besides ``failed``, ``skipped`` and ``disturbed``.

The interval lies above 1, below 1, or holds it; there is no interval, for one process stands behind
the number; the suite has no such cell.
"""


@dataclass(frozen=True)
class Cell:
    """A cell's kind, and where it was measured the speedup (tape's time ÷ gradient's time).

    ``separate`` tells that the speedup comes from times of different processes.
    """

    kind: str
    speedup: float | None = None
    separate: bool = False


@dataclass(frozen=True)
class Panel:
    """One workload, mode and device: a line of cells for each gradient, one for each batch."""

    workload: str
    mode: str
    device: str
    batches: tuple[int, ...]
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]

    @property
    def best(self) -> tuple[tuple[str, float], ...]:
        """The fastest gradient and its speedup over the tape at each batch that has one."""
        found = []
        for place in range(len(self.batches)):
            known = [
                (speedup, gradient)
                for gradient, cells in self.lines
                if (speedup := cells[place].speedup)
            ]
            if known:
                speedup, gradient = max(known)
                found.append((gradient, speedup))
        return tuple(found)


def panels(
    frame: pd.DataFrame,
    workloads: Sequence[str] | None = None,
    modes: Sequence[str] | None = None,
    devices: Sequence[str] | None = None,
) -> list[Panel]:
    """Return the panels of a run, all of them or those of the workloads, modes and devices named.

    A panel in which every cell was skipped is left out unless its device was named.
    ``ResultsError`` is raised for a name without results, and when no speedup was tried at all.
    ``frame`` holds one run; ``ValueError`` is raised for more.
    """
    check_one_run(frame)
    cells = speedups(frame)
    if cells.empty:
        raise ResultsError(
            "expected ratio_to_tape or steady_step for more gradients than the tape, found neither "
            f"among {len(distinct(frame['benchmark']))} benchmarks; `manualbp export` has the rest"
        )
    for column, names in (("workload", workloads), ("mode", modes), ("device", devices)):
        cells = only(cells, column, names)
    found = []
    for workload, device in places(cells):
        here = cells[(cells["workload"] == workload) & (cells["device"] == device)]
        for mode in distinct(here["mode"], MODES):
            mine = here[here["mode"] == mode]
            if devices or (mine["status"] != SKIPPED).any():
                found.append(_panel(workload, mode, device, mine))
    return found


def _panel(workload: str, mode: str, device: str, cells: pd.DataFrame) -> Panel:
    batches = tuple(sorted(distinct(cells["batch"])))
    lines: dict[str, dict[int, Cell]] = {}
    for row in records(cells):
        lines.setdefault(row["gradient"], {})[row["batch"]] = _cell(row)
    return Panel(
        workload,
        mode,
        device,
        batches,
        tuple(
            (gradient, tuple(known.get(batch, Cell(NONE)) for batch in batches))
            for gradient, known in lines.items()
        ),
    )


def _cell(row: Row) -> Cell:
    if row["status"] != OK:
        return Cell(str(row["status"]))
    if math.isnan(row["low"]):
        kind = ALONE
    else:
        kind = FAST if row["low"] > 1 else SLOW if row["high"] < 1 else LEVEL
    return Cell(kind, row["speedup"], row["source"] == SEPARATE)
