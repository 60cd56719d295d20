"""The matrix: gradient × batch, a panel for each mode, every cell's speedup as text."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from manualbp.reading.frame import distinct, records
from manualbp.reading.gaps import with_reason
from manualbp.reading.page import words
from manualbp.reading.page.model import MODE_TITLES, Place, Row, modes_of, processes, to_csv
from manualbp.reading.schema import OK, SKIPPED
from manualbp.reading.speedups import SEPARATE

CLIP = 3.0
"""The colours saturate at this speedup, and at its reciprocal: symmetric on a log scale."""

GLYPHS = {
    "failed": "✕ failed",
    "disturbed": "≈ disturbed",
    "skipped": "· skipped",
    "none": "",
}
"""What stands in a cell without a number: none of them is a colour, so none looks slow."""

_COLUMNS = ("workload", "gradient", "mode", "device", "batch", "status", "speedup", "low", "high",
            "source", "processes", "discarded", "reason")  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A cell: its kind (``fast``, ``slow``, ``level`` or a key of ``GLYPHS``), tint and words.

    ``tint`` runs from 0 at parity to 100 where the colours saturate; ``level`` is a speedup whose
    interval holds 1, or that has none: no difference is shown.
    """

    kind: str
    text: str
    tint: int = 0
    interval: str = ""
    tip: str = ""
    row: int | None = None
    value: float | None = None


@dataclass(frozen=True)
class Panel:
    """One mode's table: batches across, a line of cells for each gradient."""

    mode: str
    title: str
    batches: tuple[int, ...]
    lines: tuple[tuple[str, int, tuple[Cell, ...]], ...]
    finding: str


@dataclass(frozen=True)
class Matrix:
    """The matrix of one place."""

    name: str
    place: Place
    panels: tuple[Panel, ...]
    csv: str


def matrix(place: Place) -> Matrix | None:
    """Return the matrix of a place, or nothing where no speedup was tried."""
    cells = place.cells
    modes = modes_of(cells)
    if not modes:
        return None
    batches = sorted(distinct(cells.loc[cells["status"] != SKIPPED, "batch"]))
    panels = []
    for mode in modes:
        lines = []
        here = records(cells[cells["mode"] == mode])
        for gradient in distinct(cells["gradient"]):
            known = {row["batch"]: row for row in here if row["gradient"] == gradient}
            line = tuple(_cell(place, known.get(batch)) for batch in batches)
            lines.append((gradient, place.run.looks[gradient], line))
        panels.append(
            Panel(mode, MODE_TITLES.get(mode, mode), tuple(batches), tuple(lines), _finding(lines))
        )
    return Matrix(place.name("matrix"), place, tuple(panels), to_csv(cells, _COLUMNS))


def tint_rules(matrices: Iterable[Matrix]) -> str:
    """Return a rule of the style sheet for every tint: the page's policy allows no other styles."""
    cells = (
        cell for made in matrices for panel in made.panels for *_, line in panel.lines
        for cell in line
    )  # fmt: skip
    tints = sorted({cell.tint for cell in cells} - {0})
    return "".join(f'[data-tint="{tint}"] {{ --tint: {tint / 100:g}; }}\n' for tint in tints)


def _cell(place: Place, row: Row | None) -> Cell:
    if row is None:
        return Cell("none", GLYPHS["none"])
    case = f"{row['gradient']}, {row['mode']}, batch {row['batch']:,}"
    if row["status"] != OK:
        kind = str(row["status"])
        # A skipped cell has nothing to show; a case may be what only its tape is.
        number = None if kind == SKIPPED else place.run.row_of(row)
        if number is not None and place.run.frame.at[number, "status"] != kind:
            number = None
        return Cell(kind, GLYPHS[kind], tip=with_reason(f"{case}: {kind}", row), row=number)
    value, low, high = row["speedup"], row["low"], row["high"]
    kind = "fast" if low > 1 else "slow" if high < 1 else "level"
    tint = min(abs(math.log(value)) / math.log(CLIP), 1.0)
    apart = " †" if row["source"] == SEPARATE else ""
    verdict = {
        "fast": "faster than the tape", "slow": "slower than the tape",
        "level": "no difference shown",
    }[kind]  # fmt: skip
    interval = words.between(low, high)
    tip = f"{case}: {words.speedup(value)} ({interval}), {verdict}, {processes(row)}"
    text = f"{value:.2f}{apart}"
    return Cell(kind, text, round(100 * tint), interval, tip, place.run.row_of(row), value)


def _finding(lines: list[tuple[str, int, tuple[Cell, ...]]]) -> str:
    """Say of every gradient at how many batches it wins, loses and shows no difference."""
    kinds = (
        ("faster", "fast"),
        ("slower", "slow"),
        ("no difference shown", "level"),
        ("failed", "failed"),
        ("disturbed", "disturbed"),
    )
    said = []
    for gradient, _, cells in lines:
        counts = [(what, sum(cell.kind == kind for cell in cells)) for what, kind in kinds]
        known = [f"{what} at {count}" for what, count in counts if count]
        said.append(f"{gradient}: {', '.join(known) or 'nothing measured'}")
    return f"{'; '.join(said)} of {words.counted(len(lines[0][2]), 'batch', 'batches')}."
