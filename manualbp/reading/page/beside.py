"""Beside other libraries: TensorFlow's steps and those of others over the same yardsticks."""

import math
from dataclasses import dataclass

import pandas as pd

from manualbp.reading import beside as stored
from manualbp.reading.frame import distinct, records
from manualbp.reading.gaps import with_reason
from manualbp.reading.page import words
from manualbp.reading.page.matrix import GLYPHS, Cell
from manualbp.reading.page.model import Place, Row, processes, to_csv
from manualbp.reading.schema import OK

_COLUMNS = ("quantity", "workload", "peer", "gradient", "mode", "device", "batch", "status",
            "value", "low", "high", "processes")  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A step's cells, one for each batch; another library's has neither a look nor a mode."""

    step: str
    look: int | None
    mode: str | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Ratios over one yardstick: a line for each step, a column for each batch."""

    title: str
    batches: tuple[int, ...]
    lines: tuple[Line, ...]
    finding: str


@dataclass(frozen=True)
class Beside:
    """What one place has beside other libraries; ``skipped`` names those that are missing."""

    name: str
    place: Place
    tables: tuple[Table, ...]
    skipped: tuple[str, ...]
    csv: str


def beside(place: Place) -> Beside | None:
    """Return the tables of a place, or nothing where no other library took part."""
    found = stored.tables(place.frame)
    if not found:
        return None
    rows = place.frame.loc[[number for table in found for number in table.rows.index]]
    return Beside(
        place.name("beside"),
        place,
        tuple(_table(place, table.title, table.rows) for table in found),
        tuple(stored.skipped(place.frame)),
        to_csv(rows, _COLUMNS),
    )


def _table(place: Place, title: str, rows: pd.DataFrame) -> Table:
    batches = sorted(distinct(rows["batch"]))
    # The index is the row's place in the page's table of cells.
    by_step: dict[str, list[Row]] = {}
    for row in records(rows.assign(row=rows.index)):
        by_step.setdefault(row["step"], []).append(row)
    return Table(
        title,
        tuple(batches),
        tuple(_line(place, step, mine, batches) for step, mine in by_step.items()),
        _finding(records(rows[rows["status"] == OK]), batches),
    )


def _line(place: Place, step: str, rows: list[Row], batches: list[int]) -> Line:
    known = {row["batch"]: row for row in rows}
    first = rows[0]
    ours = pd.isna(first["peer"])
    return Line(
        step,
        place.run.looks[first["gradient"]] if ours else None,
        first["mode"] if ours else None,
        tuple(_cell(step, known.get(batch)) for batch in batches),
    )


def _cell(step: str, row: Row | None) -> Cell:
    if row is None:
        return Cell("none", "")
    where = f"{step}, batch {row['batch']:,}"
    if row["status"] != OK:
        kind = str(row["status"])
        return Cell(kind, GLYPHS[kind], tip=with_reason(f"{where}: {kind}", row))
    text, interval = words.three_digits(row["value"]), _between(row)
    tip = f"{where}: {text} ({interval}, {processes(row)})"
    return Cell("ok", text, interval=interval, tip=tip, row=row["row"], value=row["value"])


def _between(row: Row) -> str:
    """Return the interval to three digits, for these ratios are far from 1."""
    if math.isnan(row["low"]):
        return "no interval"
    return f"{words.three_digits(row['low'])} to {words.three_digits(row['high'])}"


def _finding(rows: list[Row], batches: list[int]) -> str:
    """Name the fastest step elsewhere and in TensorFlow, at both ends of the batches."""
    said = []
    for batch in dict.fromkeys((batches[0], batches[-1])):
        here = [row for row in rows if row["batch"] == batch]
        peers = [row for row in here if not pd.isna(row["peer"])]
        ours = [row for row in here if pd.isna(row["peer"])]
        best = [min(side, key=lambda row: float(row["value"])) for side in (peers, ours) if side]
        if best:
            parts = [f"{row['step']} {words.three_digits(row['value'])}" for row in best]
            said.append(f"batch {batch:,}: {words.listed(parts)}")
    return f"The least time elsewhere and in TensorFlow, {'; '.join(said)}." if said else ""
