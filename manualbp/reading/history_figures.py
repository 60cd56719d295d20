"""The figure of a history: a few lines over commits, their levels, and what changed beside."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from manualbp.reading.drawing import PlainFigure
from manualbp.reading.figures import (
    DISTURBED_MARK,
    GREY,
    LINES,
    RED,
    NothingToDrawError,
    disturbed_handle,
    mark_of,
    short_commit,
)
from manualbp.reading.frame import distinct, records
from manualbp.reading.history import MARKS, apart, name_case
from manualbp.reading.looks import looks_of
from manualbp.reading.schema import DISTURBED, FAILED, OK, SKIPPED

PANELS = 6
"""At most so many lines in one figure."""

_TICKS = 8  # hashes under a panel that can still be read

_BESIDE = {"tensorflow_changed": "-", "environment_changed": ":", "cpu_changed": "--"}
_NAMES = {
    "tensorflow_changed": "another TensorFlow",
    "environment_changed": "another environment",
    "cpu_changed": "other processor or cores",
}

_UNITS = {
    "seconds": (1e3, "time (ms)"),
    "bytes": (2.0**-20, "memory (MiB)"),
    "ratio": (1.0, "ratio (below 1 is faster)"),
}


def pick_lines(lines: pd.DataFrame, found: pd.DataFrame) -> list[int]:
    """Return the numbers of at most ``PANELS`` lines worth drawing.

    ``lines`` is ``history``'s table and ``found`` that of ``change_points``.  The lines that
    changed most come first, then the ratios to the tape, those at the smallest batches first.
    """
    sizes = found["ratio"].map(lambda ratio: abs(math.log(ratio)) if ratio > 0 else math.inf)
    changed = found.loc[sizes.sort_values(ascending=False, kind="stable").index, "series"]
    ratios = lines[(lines["quantity"] == "ratio_to_tape") & (lines["status"] != SKIPPED)]
    ratios = ratios.sort_values(["batch", "series"], kind="stable")
    return distinct([*changed, *ratios["series"]])[:PANELS]


def history_figure(
    lines: pd.DataFrame, found: pd.DataFrame, series: Sequence[int] | None = None
) -> Figure:
    """Draw a few lines over the commits of one machine, a panel for each, with their changes.

    Points have their 95 % intervals, failed cells are crosses at the bottom, disturbed ones
    gaps in the line over a mark at the bottom; grey bars are the
    levels between the changes, and vertical lines what changed beside the code.  Times are in
    ms, memory in MiB.  ``lines`` is the table of ``history`` and ``found`` that of
    ``change_points``; ``series`` are the numbers of the lines to draw, those of ``pick_lines``
    where not given.  ``ValueError`` is raised for several machines, for more lines than
    ``PANELS``, and when nothing of them was measured.
    """
    machines = distinct(lines["machine"])
    if len(machines) > 1:
        raise ValueError(f"expected the lines of one machine, got {', '.join(machines)}")
    chosen = pick_lines(lines, found) if series is None else list(series)
    if len(chosen) > PANELS:
        raise ValueError(f"expected at most {PANELS} lines, got {len(chosen)}; see pick_lines")
    drawn = apart(lines[lines["series"].isin(chosen)])
    if not drawn["status"].isin([OK, FAILED, DISTURBED]).any():
        raise NothingToDrawError("nothing to draw: no cell was measured")
    across = min(len(chosen), 3)
    down = math.ceil(len(chosen) / across)
    figure = PlainFigure(figsize=(3.4 * across + 1.8, 2.5 * down + 0.6), layout="constrained")
    panels = list(figure.subplots(down, across, sharex=True, squeeze=False).flat)
    known = looks_of(lines)
    looks = {name: mark_of(known[name]) for name in distinct(drawn["gradient"])}
    for axes, number in zip(panels, chosen, strict=False):
        line = drawn[drawn["series"] == number]
        _draw_line(axes, line, looks)
        _draw_levels(axes, line, found[found["series"] == number])
        _draw_marks(axes, line)
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    for axes in panels[len(chosen) - across : len(chosen)]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
    _commit_axis(figure, drawn)
    figure.suptitle(f"History on {machines[0]}", x=0.01, ha="left", fontsize=11)
    figure.legend(
        handles=_legend(drawn, looks, levels=bool(found["series"].isin(chosen).any())),
        loc="outside right center", frameon=False, fontsize=8,
    )  # fmt: skip
    return figure


def _scale(line: pd.DataFrame) -> tuple[float, str]:
    unit = line["unit"].iloc[0]
    return _UNITS.get(unit, (1.0, str(unit) if pd.notna(unit) else "value"))


def _draw_line(axes: Axes, line: pd.DataFrame, looks: Mapping[str, tuple[str, str]]) -> None:
    scale, label = _scale(line)
    first = line.iloc[0]
    colour, marker = looks.get(first["gradient"], (GREY, "o"))
    good = line[line["status"] == OK]
    joined = line[line["status"].isin([OK, DISTURBED])]  # without a value the line is broken
    axes.plot(
        joined["place"], joined["value"] * scale, color=colour, marker=marker, ms=3.5, lw=0.8,
        ls=LINES.get(first["mode"], "-"), zorder=3,
    )  # fmt: skip
    axes.vlines(good["place"], good["low"] * scale, good["high"] * scale, color=colour, lw=0.8)
    marks = ((FAILED, {"color": RED, "marker": "x", "mew": 1.6}), (DISTURBED, DISTURBED_MARK))
    for status, mark in marks:
        places = line.loc[line["status"] == status, "place"]
        axes.plot(
            places, [0.04] * len(places), ls="none", zorder=4,
            transform=axes.get_xaxis_transform(), **mark,
        )  # fmt: skip
    quantity = str(first["quantity"]).replace("_", " ")
    axes.set_title(f"{quantity}: {name_case(first)}", fontsize=8, loc="left", wrap=True)
    axes.set_ylabel(label, fontsize=8)
    axes.grid(color="#E5E5E5", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)


def _draw_levels(axes: Axes, line: pd.DataFrame, changes: pd.DataFrame) -> None:
    """Draw the levels as bars, and the size of each change at its commit."""
    scale, _ = _scale(line)
    places = dict(zip(line["commit"], line["place"], strict=True))
    measured = line.loc[line["status"] == OK, "place"]
    steps = records(changes)
    starts = [measured.min(), *(places[step["commit"]] for step in steps)]
    ends = [*(places[step["previous"]] for step in steps), measured.max()]
    levels = [step["before"] for step in steps[:1]] + [step["after"] for step in steps]
    for start, end, level in zip(starts, ends, levels, strict=False):
        axes.plot([start, end], [level * scale] * 2, color=GREY, lw=4, alpha=0.5, zorder=2)
    middle = (measured.min() + measured.max()) / 2
    for step in steps:
        place = places[step["commit"]]
        axes.annotate(
            _size(step), (place, 0.97), fontsize=7, va="top",
            ha="left" if place < middle else "right", xycoords=axes.get_xaxis_transform(),
            xytext=(4 if place < middle else -8, 0), textcoords="offset points",
        )  # fmt: skip


def _size(step: dict[str, Any]) -> str:
    if step["exact"]:
        return f"{step['after'] - step['before']:+g}"
    return f"{100 * (step['ratio'] - 1):+.1f} %"


def _draw_marks(axes: Axes, line: pd.DataFrame) -> None:
    for mark in MARKS:
        for place in line.loc[line[mark], "place"]:
            axes.axvline(place - 0.5, color=GREY, lw=0.9, ls=_BESIDE[mark], zorder=1)


def _commit_axis(figure: Figure, lines: pd.DataFrame) -> None:
    """Label some of the commits with their hashes, evenly, the last one always."""
    commits = lines.drop_duplicates("place").sort_values("place")
    stride = math.ceil(len(commits) / _TICKS)
    shown = commits.iloc[::-1].iloc[::stride].iloc[::-1]
    for axes in figure.axes:
        axes.xaxis.set_major_locator(FixedLocator(shown["place"].tolist()))
        axes.set_xticklabels(map(short_commit, shown["commit"]), rotation=90, fontsize=7)


def _legend(
    drawn: pd.DataFrame, looks: Mapping[str, tuple[str, str]], *, levels: bool
) -> list[Line2D]:
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=4, label=name)
        for name, (colour, marker) in looks.items()
    ]
    if levels:
        handles.append(Line2D([], [], color=GREY, lw=4, alpha=0.5, label="level"))
    if (drawn["status"] == FAILED).any():
        handles.append(Line2D([], [], color=RED, marker="x", ls="none", mew=1.6, label="failed"))
    if (drawn["status"] == DISTURBED).any():
        handles.append(disturbed_handle())
    handles += [
        Line2D([], [], color=GREY, lw=0.9, ls=_BESIDE[mark], label=_NAMES[mark])
        for mark in MARKS
        if drawn[mark].any()
    ]
    return handles
