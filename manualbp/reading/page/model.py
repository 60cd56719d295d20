"""What the sections share: runs, the places in them, and a figure as plain data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from markupsafe import Markup

from manualbp.cases import MODES, describe_workload
from manualbp.reading.frame import distinct, places, records, select
from manualbp.reading.history import change_points, history
from manualbp.reading.looks import looks_of
from manualbp.reading.page import svg, words
from manualbp.reading.schema import CASE, OK, SKIPPED
from manualbp.reading.speedups import speedups
from manualbp.reading.text import file_name, in_cells

MODE_TITLES = {
    "eager": "eager",
    "graph": "graph: tf.function",
    "xla": "xla: tf.function(jit_compile=True)",
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run on the page.

    ``frame`` holds its rows, whose index is their place in the page's table of cells; ``past`` the
    rows of every commit measured on the same machine.
    """

    key: str
    label: str
    frame: pd.DataFrame
    past: pd.DataFrame

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The run's speedups."""
        return speedups(self.frame)

    @cached_property
    def lines(self) -> pd.DataFrame:
        """The history of every cell over the commits of the run's machine."""
        return history(self.past)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """Where the level of a cell changed."""
        return change_points(self.lines)

    @cached_property
    def rows(self) -> dict[tuple[Any, ...], int]:
        """The place in the table of cells of every quantity and case."""
        table = self.frame[self.frame[CASE].notna().all(axis="columns")]
        keys = table[["quantity", *CASE]].itertuples(index=False, name=None)
        return dict(zip(keys, map(int, table.index), strict=True))

    @cached_property
    def looks(self) -> dict[str, int]:
        """The look of every gradient."""
        return looks_of(self.frame)

    @cached_property
    def places(self) -> list["Place"]:
        """The workloads and devices of which anything was tried, the exercise first."""
        tried = self.frame[self.frame["status"] != SKIPPED]
        return [Place(self, *place) for place in places(tried)]

    def row_of(self, cell: Row) -> int | None:
        """Return the place in the table of cells of what stands behind a speedup."""
        case = tuple(cell[column] for column in CASE)
        quantity = "ratio_to_tape" if cell["source"] == "interleaved" else "steady_step"
        return self.rows.get((quantity, *case))


@dataclass(frozen=True)
class Place:
    """A workload on a device in a run: what one figure is about."""

    run: Run
    workload: str
    device: str

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows of this place, those that concern no device included."""
        return select(self.run.frame, self.workload, self.device)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The speedups of this place."""
        return select(self.run.cells, self.workload, self.device)

    def of(self, quantity: str) -> pd.DataFrame:
        """Return the rows of a quantity."""
        return self.frame[self.frame["quantity"] == quantity]

    @property
    def title(self) -> str:
        """The place in words."""
        return f"{self.workload} on {self.device}"

    @property
    def description(self) -> str:
        """What the workload is, where it is one of ours."""
        return describe_workload(self.workload)

    def name(self, what: str) -> str:
        """Return a name for a file or an anchor."""
        parts = (what, file_name(self.workload), file_name(self.device), self.run.key)
        return "-".join(part for part in parts if part)


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    text: str
    look: int | None = None
    style: str = ""


@dataclass(frozen=True)
class Drawn:
    """A panel that has been drawn; ``mode`` is what the page filters it by."""

    title: str
    mode: str | None
    picture: Markup
    finding: str


@dataclass(frozen=True)
class Figure:
    """A figure of one place: its panels, its legend, and its numbers as CSV."""

    name: str
    place: Place
    title: str
    ylabel: str
    panels: tuple[Drawn, ...]
    legend: tuple[Key, ...]
    csv: str
    note: str = ""


def drawn(panels: Iterable[svg.Panel]) -> tuple[Drawn, ...]:
    """Draw panels."""
    return tuple(Drawn(panel.title, panel.mode, svg.draw(panel), panel.finding) for panel in panels)


def modes_of(rows: pd.DataFrame) -> list[str]:
    """Return the modes in which anything was tried, in the project's order."""
    return distinct(rows.loc[rows["status"] != SKIPPED, "mode"], MODES)


def measured(rows: pd.DataFrame) -> list[Row]:
    """Return the rows with a number, by batch."""
    return records(rows[rows["status"] == OK].sort_values("batch", kind="stable"))


def to_csv(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """Return columns of a table as CSV, numbers in full, text that no spreadsheet runs."""
    return str(in_cells(frame[list(columns)]).to_csv(index=False, lineterminator="\n"))


def processes(row: Row) -> str:
    """Say how many processes stand behind a value, and how many further ones were discarded."""
    if row["processes"] == 0:
        return "asv kept no samples"
    text = words.counted(row["processes"], "process", "processes")
    count = row["discarded"]
    return f"{text}, {words.counted(count, 'further value')} discarded" if count else text
