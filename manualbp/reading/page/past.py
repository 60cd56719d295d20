"""History: every commit measured on the run's machine, and where levels changed.

A line is the geometric mean over the batches of a gradient's speedup in one mode.  It has no point
at a commit where a cell of it is missing, for a mean over other cells is another number, nor where
the benchmark had another version, which measured something else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from scipy.special import stdtrit

from manualbp.reading.frame import distinct, records
from manualbp.reading.history import MARKS
from manualbp.reading.intervals import LEVEL
from manualbp.reading.page import axes, words
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
from manualbp.reading.page.svg import Axis, Event, Line, Panel, Point
from manualbp.reading.schema import OK, SKIPPED

_MARKED = 30
"""How many points of a long line have markers and words; they are spread evenly."""

_LISTED = 150
"""How many changes the page lists, the largest first; the CSV has all."""

_CELL = ["gradient", "mode", "batch"]


@dataclass(frozen=True)
class Change:
    """A change of a cell's level: where, from what to what, and the cell's history as a picture."""

    quantity: str
    case: str
    mode: str | None
    commit: str
    before: str
    after: str
    ratio: float
    interval: str
    worse: bool
    marks: str
    spark: Markup


@dataclass(frozen=True)
class Past:
    """The history of one place."""

    name: str
    place: Place
    commits: int
    figure: Figure | None
    changes: tuple[Change, ...]
    more: int
    csv: str


def past(place: Place) -> Past | None:
    """Return the history of a place, or nothing where one commit is all there is."""
    lines = place.run.lines
    here = lines[(lines["workload"] == place.workload) & (lines["device"] == place.device)]
    here = here[here["status"] != SKIPPED]
    commits = here.drop_duplicates("place").sort_values("place")
    if len(commits) < 2:
        return None
    changes = place.run.changes
    changes = changes[(changes["workload"] == place.workload) & (changes["device"] == place.device)]
    size = (changes["after"] / changes["before"]).apply(
        lambda ratio: abs(math.log(ratio)) if ratio > 0 and math.isfinite(ratio) else math.inf
    )
    listed = records(changes.loc[size.sort_values(ascending=False, kind="stable").index[:_LISTED]])
    series = {
        number: line
        for number, line in here.groupby("series", sort=False)
        if any(change["series"] == number for change in listed)
    }
    return Past(
        place.name("history"),
        place,
        len(commits),
        _figure(place, here, commits, changes),
        tuple(_change(change, series[change["series"]]) for change in listed),
        len(changes) - len(listed),
        to_csv(changes, [column for column in changes.columns if column != "series"]),
    )


# ---------------------------------------------------------------- the figure


def _figure(
    place: Place, here: pd.DataFrame, commits: pd.DataFrame, changes: pd.DataFrame
) -> Figure | None:
    ratios = here[here["quantity"] == "ratio_to_tape"]
    if ratios.empty:
        return None
    newest = ratios.sort_values("place")["version"].iloc[-1]
    ratios = ratios[(ratios["version"] == newest) | ratios["version"].isna()]
    means = _means(ratios)
    modes = modes_of(ratios)
    if means.empty:
        return None
    order = {number: float(i) for i, number in enumerate(commits["place"])}
    x = axes.count_axis(_labels(commits), "commit")
    by_commit = dict(zip(commits["commit"], (order[p] for p in commits["place"]), strict=True))
    marks = _marks(here, order)
    gradients = distinct(ratios["gradient"])
    panels = []
    for mode in modes:
        mine = means[means["mode"] == mode]
        y = axes.speedup_axis(mine["speedup"], [*mine["low"], *mine["high"]])
        drawn_lines = tuple(_line(place, mine, gradient, order) for gradient in gradients)
        events = _events(changes[changes["mode"] == mode], by_commit)
        panels.append(
            Panel(
                MODE_TITLES.get(mode, mode), _finding(mode, drawn_lines, len(events)),
                drawn_lines, x, y, mode, parity=True, events=(*marks, *events),
            )
        )  # fmt: skip
    keys = [Key(gradient, place.run.looks[gradient]) for gradient in gradients]
    keys.append(Key("parity: as fast as the tape", style="parity"))
    if len(changes):
        keys.append(Key("▲ on the axis: a cell changed its level", style="none"))
    if marks:
        keys.append(Key("◆ and a line: TensorFlow, environment or processor changed", style="none"))
    table = means.assign(workload=place.workload, device=place.device)
    columns = ["workload", "device", "mode", "gradient", "commit", "date", "speedup", "low", "high"]
    rounded = table.assign(**{end: table[end].round(7) for end in ("speedup", "low", "high")})
    return Figure(
        place.name("history-speedup"), place, "Speedup over commits, mean over the batches",
        "speedup: tape ÷ gradient", drawn(panels), tuple(keys), to_csv(rounded, columns),
        "Each mode has a scale of its own.",
    )  # fmt: skip


def _means(ratios: pd.DataFrame) -> pd.DataFrame:
    """Return the geometric mean over the batches for each mode, gradient and commit.

    The whole table at once: what ``intervals.product`` does, for some hundred thousand cells.
    """
    good = ratios[ratios["status"] == OK]
    freedom = good["processes"] - 1
    half = np.log(good["high"]) - np.log(good["value"])
    error = half / stdtrit(freedom.where(freedom > 0).to_numpy(float), (1 + LEVEL) / 2)
    good = good.assign(
        log=-np.log(good["value"]), variance=error**2, welch=error**4 / freedom.where(freedom > 0)
    )
    keys = ["mode", "gradient", "place"]
    table = good.groupby(keys, sort=False, as_index=False).agg(
        commit=("commit", "first"), date=("date", "first"), tensorflow=("tensorflow", "first"),
        cells=("batch", "nunique"), log=("log", "mean"),
        # without an interval of every cell there is none of their mean
        known=("variance", "count"), variance=("variance", "sum"), welch=("welch", "sum"),
    )  # fmt: skip
    table = table[table["cells"] == table.groupby(["mode", "gradient"])["cells"].transform("max")]
    table = table.assign(
        error=(np.sqrt(table["variance"]) / table["cells"]).where(table["known"] == table["cells"]),
        freedom=table["variance"] ** 2 / table["welch"],
    )
    half = stdtrit(table["freedom"].to_numpy(float), (1 + LEVEL) / 2) * table["error"]
    return table.assign(
        speedup=np.exp(table["log"]),
        low=np.exp(table["log"] - half),
        high=np.exp(table["log"] + half),
    ).sort_values("place", kind="stable")


def _labels(commits: pd.DataFrame) -> list[str]:
    dates = commits["date"]
    if len(commits) <= 5 or dates.isna().any():
        return [words.short(commit) for commit in commits["commit"]]
    return list(dates.dt.strftime("%Y-%m-%d"))


def _line(place: Place, means: pd.DataFrame, gradient: str, order: dict[int, float]) -> Line:
    mine = records(means[means["gradient"] == gradient])
    every = max(1, math.ceil(len(mine) / _MARKED))
    points = tuple(
        Point(
            order[row["place"]], row["speedup"], row["low"], row["high"],
            _tip(gradient, row) if (len(mine) - 1 - number) % every == 0 else "",
        )
        for number, row in enumerate(mine)
    )  # fmt: skip
    return Line(gradient, place.run.looks[gradient], points)


def _tip(gradient: str, row: Row) -> str:
    known = f"{words.speedup(row['speedup'])} ({words.between(row['low'], row['high'])})"
    date: str = "" if pd.isna(row["date"]) else f", {row['date']:%Y-%m-%d}"
    return f"{gradient}, {row['mode']}, {words.short(row['commit'])}{date}: {known}"


def _marks(here: pd.DataFrame, order: dict[int, float]) -> tuple[Event, ...]:
    """Return where TensorFlow, the environment or the processor changed."""
    found: dict[float, list[str]] = {}
    for mark in MARKS:
        column = mark.removesuffix("_changed")
        for row in records(here[here[mark]].drop_duplicates("place")):
            name = "TensorFlow" if column == "tensorflow" else column
            found.setdefault(order[row["place"]], []).append(f"{name} is now {row[column]}")
    return tuple(Event("mark", x, "; ".join(texts)) for x, texts in sorted(found.items()))


def _events(changes: pd.DataFrame, by_commit: dict[str, float]) -> tuple[Event, ...]:
    found: dict[str, list[str]] = {}
    for row in records(changes):
        found.setdefault(row["commit"], []).append(_case(row))
    return tuple(
        Event(
            "change", by_commit[commit],
            f"{words.short(commit)}: {words.counted(len(cases), 'cell')} changed: "
            + "; ".join(cases[:3]) + (" …" if len(cases) > 3 else ""),
        )
        for commit, cases in found.items()
        if commit in by_commit
    )  # fmt: skip


def _finding(mode: str, lines: Sequence[Line], events: int) -> str:
    said = [
        f"{line.name} from {words.speedup(line.points[0].y)} to {words.speedup(line.points[-1].y)}"
        for line in lines
        if line.points
    ]
    changed = words.counted(events, "commit") if events else "no commit"
    return f"{mode}, first to last commit: {'; '.join(said)}; {changed} with a change of level."


# ---------------------------------------------------------------- changes


def _case(row: Row) -> str:
    parts = [row["quantity"], row["peer"], row["gradient"], row["mode"]]
    named = [str(part) for part in parts if not pd.isna(part)]
    return " ".join(named) + ("" if pd.isna(row["batch"]) else f" batch {row['batch']}")


def _change(row: Row, line: pd.DataFrame) -> Change:
    ratio = row["after"] / row["before"] if row["before"] else math.inf
    interval = "exact" if row["exact"] else words.between(row["low"], row["high"])
    marks = [mark.removesuffix("_changed") for mark in MARKS if row[mark]]
    return Change(
        row["quantity"], _case({**row, "quantity": None}), _text(row["mode"]), row["commit"],
        words.number(row["before"], row["unit"]), words.number(row["after"], row["unit"]),
        ratio, interval, ratio > 1, ", ".join(marks), _spark(line, row),
    )  # fmt: skip


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _spark(line: pd.DataFrame, change: Row) -> Markup:
    """Draw a cell's history, small, with a tick where it changed: it has two levels at least."""
    good = line[line["status"] == OK]
    values = good["value"].tolist()
    x = Axis(0, len(values) - 1, (), "", counts=True)
    y = Axis(min(values), max(values), (), "", counts=True)
    # No more points than pixels: the extremes of every stretch stay.
    places = [
        (120 * x.place(number), 22 - 20 * y.place(value)) for number, value in _thinned(values, 120)
    ]
    path = "L".join(f"{a:.0f} {b:.1f}" for a, b in places)
    at = good["commit"].tolist().index(change["commit"])
    return Markup(
        f'<svg class="spark" viewBox="0 0 120 24" aria-hidden="true"><path d="M{path}"/>'
        f'<path class="at" d="M{120 * x.place(at):.0f} 0V24"/></svg>'
    )


def _thinned(values: Sequence[float], most: int) -> list[tuple[int, float]]:
    if len(values) <= most:
        return list(enumerate(values))
    width = math.ceil(2 * len(values) / most)
    kept = []
    for start in range(0, len(values), width):
        stretch = range(start, min(start + width, len(values)))
        ends = {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
        kept += [(place, values[place]) for place in sorted(ends)]
    return kept
