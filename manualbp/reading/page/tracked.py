"""Numbers that a step has besides its time: accuracy, memory, and what it is made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from manualbp.cases import BASELINE, MODES
from manualbp.reading.frame import distinct, records
from manualbp.reading.gaps import with_reason
from manualbp.reading.page import axes, words
from manualbp.reading.page.matrix import GLYPHS
from manualbp.reading.page.model import (
    MODE_TITLES,
    Figure,
    Key,
    Place,
    Row,
    drawn,
    modes_of,
    to_csv,
)
from manualbp.reading.page.svg import Line, Panel, Point
from manualbp.reading.schema import FAILED, OK, QUANTITIES, SKIPPED

_COLUMNS = ("quantity", "workload", "gradient", "mode", "device", "batch", "status", "value")


@dataclass(frozen=True)
class Entry:
    """An entry of a grid: its kind (``ok`` or a key of ``GLYPHS``), its words, its number."""

    kind: str
    text: str
    value: float | None = None
    row: int | None = None
    tip: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of one quantity: a line for each mode and gradient, a column for each batch."""

    name: str
    place: Place
    title: str
    unit: str
    batches: tuple[int, ...]
    lines: tuple[tuple[str, str, int, tuple[Entry, ...]], ...]
    finding: str
    csv: str


def grid(place: Place, quantity: str, title: str) -> Grid | None:
    """Return a tracked quantity's table, or nothing where it was not tried."""
    rows = place.of(quantity)
    rows = rows[rows["gradient"].notna() & rows["mode"].notna()]
    if not modes_of(rows):
        return None
    batches = sorted(distinct(rows.loc[rows["status"] != SKIPPED, "batch"]))
    unit = str(rows["unit"].iloc[0])
    lines = []
    for mode in distinct(rows.loc[rows["status"] != SKIPPED, "mode"], MODES):
        here = records(rows[rows["mode"] == mode])
        for gradient in distinct(rows["gradient"]):
            known = {row["batch"]: row for row in here if row["gradient"] == gradient}
            entries = tuple(_entry(place, known.get(batch), unit) for batch in batches)
            if any(entry.kind != "none" for entry in entries):
                lines.append((mode, gradient, place.run.looks[gradient], entries))
    return Grid(
        place.name(quantity.removeprefix("track_").replace("_", "-")), place, title, unit,
        tuple(batches), tuple(lines), _finding(rows, title, unit), to_csv(rows, _COLUMNS),
    )  # fmt: skip


@dataclass(frozen=True)
class Structure:
    """What a step is made of: a line for each count and batch, a column for each gradient."""

    name: str
    place: Place
    gradients: tuple[tuple[str, int], ...]
    lines: tuple[tuple[str, str, int | None, tuple[Entry, ...]], ...]
    finding: str
    csv: str


def structure(place: Place) -> Structure | None:
    """Return the counts of operations, nodes, instructions and bytes, where they were tracked."""
    exact = [name for name, quantity in QUANTITIES.items() if quantity.exact]
    rows = place.frame[place.frame["quantity"].isin(exact)]
    rows = rows[(rows["status"] != SKIPPED) & rows["gradient"].notna()]
    if rows.empty:
        return None
    gradients = distinct(rows["gradient"])
    lines = []
    said = []
    groups: dict[tuple[str, str, int | None], list[Row]] = {}
    for row in records(rows):
        batch = None if pd.isna(row["batch"]) else int(row["batch"])
        groups.setdefault((row["quantity"], str(row["mode"]), batch), []).append(row)
    for (quantity, mode, batch), mine in groups.items():
        known = {row["gradient"]: row for row in mine}
        entries = tuple(_count(known.get(name), known.get(BASELINE)) for name in gradients)
        title = quantity.removeprefix("track_").replace("_", " ")
        title = title.removeprefix(f"{mode} ")
        lines.append((title, mode, batch, entries))
        fewest = min(
            (row for row in known.values() if row["status"] == OK),
            key=lambda row: float(row["value"]),
            default=None,
        )
        if fewest is not None and title in ("operations", "nodes", "instructions"):
            said.append(f"{mode} {title}: fewest {fewest['value']:,.0f} ({fewest['gradient']})")
    return Structure(
        place.name("structure"), place,
        tuple((gradient, place.run.looks[gradient]) for gradient in gradients),
        tuple(lines), f"{'; '.join(dict.fromkeys(said))}." if said else "",
        to_csv(rows, (*_COLUMNS, "unit")),
    )  # fmt: skip


def _count(row: Row | None, base: Row | None) -> Entry:
    """Return a count, and its ratio to the tape's."""
    if row is None:
        return Entry("none", "")
    if row["status"] != OK:
        return Entry(str(row["status"]), GLYPHS[row["status"]])
    text = f"{row['value']:,.0f}"
    if base is not None and base is not row and base["status"] == OK and base["value"]:
        text += f" ({row['value'] / base['value']:.2f}{words.TIMES})"
    return Entry("ok", text, row["value"])


def not_finite(place: Place) -> list[str]:
    """Name the cases whose loss or gradients are not finite, or were refused as wrong."""
    rows = place.of("track_error_ulp")
    found = []
    for row in records(rows[rows["status"].isin([OK, FAILED])]):
        case = f"{row['gradient']}, {row['mode']}, batch {row['batch']:,}"
        if row["status"] == FAILED:
            found.append(with_reason(f"{case}: refused, its check failed", row))
        elif not math.isfinite(row["value"]):
            found.append(f"{case}: not finite")
    return found


def beside_speed(place: Place) -> Figure | None:
    """Return every case's error against its speedup: what speed costs in accuracy."""
    errors = {
        (row["gradient"], row["mode"], row["batch"]): row
        for row in records(place.of("track_error_ulp"))
        if row["status"] == OK and math.isfinite(row["value"]) and row["value"] > 0
    }
    cells = place.cells
    cells = cells[cells["status"] == OK]
    pairs = [
        (row, errors[key])
        for row in records(cells)
        if (key := (row["gradient"], row["mode"], row["batch"])) in errors
    ]
    if not pairs:
        return None
    x = axes.plain_axis([error["value"] for _, error in pairs], "error against float64 (ulp)")
    y = axes.speedup_axis(
        [row["speedup"] for row, _ in pairs],
        [row[end] for row, _ in pairs for end in ("low", "high")],
    )
    gradients = distinct(row["gradient"] for row, _ in pairs)
    panels = []
    for mode in distinct((row["mode"] for row, _ in pairs), MODES):
        lines = tuple(
            Line(
                gradient,
                place.run.looks[gradient],
                tuple(
                    _pair_point(place, row, error)
                    for row, error in pairs
                    if row["gradient"] == gradient and row["mode"] == mode
                ),
                joined=False,
            )
            for gradient in gradients
        )
        worst = max((p for line in lines for p in line.points), key=lambda point: point.x)
        finding = f"{mode}: the largest error is {worst.x:.3g} ulp ({worst.tip.split(':')[0]})."
        panels.append(Panel(MODE_TITLES.get(mode, mode), finding, lines, x, y, mode, True))
    table = pd.DataFrame(
        [
            {
                **{name: row[name] for name in ("workload", "gradient", "mode", "device", "batch")},
                "error_ulp": error["value"],
                **{name: row[name] for name in ("speedup", "low", "high")},
            }
            for row, error in pairs
        ]
    )
    keys = [Key(gradient, place.run.looks[gradient]) for gradient in gradients]
    keys.append(Key("parity: as fast as the tape", style="parity"))
    return Figure(
        place.name("accuracy-speed"), place, "Speedup against error", "speedup: tape ÷ gradient",
        drawn(panels), tuple(keys), to_csv(table, list(table.columns)),
    )  # fmt: skip


def imports_alone(place: Place) -> Row | None:
    """Return the peak memory of a process that has only imported TensorFlow."""
    rows = place.run.frame
    rows = rows[(rows["quantity"] == "track_peak_memory_import") & (rows["status"] == OK)]
    return records(rows)[0] if len(rows) else None


def _entry(place: Place, row: Row | None, unit: str) -> Entry:
    if row is None:
        return Entry("none", "")
    case = f"{row['gradient']}, {row['mode']}, batch {row['batch']:,}"
    if row["status"] != OK:
        kind = str(row["status"])
        return Entry(kind, GLYPHS[kind], tip=with_reason(f"{case}: {kind}", row))
    text = words.number(row["value"], unit)
    tip = f"{case}: {text}"
    key = (row["quantity"], *(row[n] for n in ("workload", "gradient", "mode", "device", "batch")))
    return Entry("ok", text.removesuffix(f" {unit}"), row["value"], place.run.rows.get(key), tip)


def _finding(rows: pd.DataFrame, title: str, unit: str) -> str:
    good = records(rows[rows["status"] == OK])
    if not good:
        return f"{title}: nothing measured."
    low = min(good, key=lambda row: float(row["value"]))
    high = max(good, key=lambda row: float(row["value"]))

    def where(row: Row) -> str:
        return f"{words.number(row['value'], unit)} ({_case(row, ('gradient', 'mode', 'batch'))})"

    return f"{title}: from {where(low)} to {where(high)}."


def _case(row: Row, names: Sequence[str]) -> str:
    return ", ".join(f"batch {row[n]:,}" if n == "batch" else str(row[n]) for n in names)


def _pair_point(place: Place, row: Row, error: Row) -> Point:
    tip = (
        f"{_case(row, ('gradient', 'mode', 'batch'))}: {error['value']:.3g} ulp, "
        f"{words.speedup(row['speedup'])} ({words.between(row['low'], row['high'])})"
    )
    return Point(
        error["value"], row["speedup"], row["low"], row["high"], tip, place.run.row_of(row)
    )
