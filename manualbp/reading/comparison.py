"""A comparison of two runs in words: one conclusion, one line that says it, and tables."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from manualbp.reading.figures import short_commit
from manualbp.reading.frame import records
from manualbp.reading.history import CHANGE_COLUMNS, name_case
from manualbp.reading.history_words import size_of_change
from manualbp.reading.remedies import Commits, again, settled_by
from manualbp.reading.schema import CASE
from manualbp.reading.text import code, in_markdown, markdown_table, visible
from manualbp.reading.text import markdown as as_markdown
from manualbp.reading.verdicts import (
    CONTROLS,
    FASTER,
    INCONCLUSIVE,
    NOT_MEASURED,
    SAME,
    SLOWER,
    VERDICTS,
    is_controlled,
    moved_controls,
)

VOID, UNGATED, UNCONTROLLED = "void", "nothing gated", "no control"
CHANGED, GOOD = "structure changed", "good"
"""Conclusions besides the verdicts *slower*, *not measured* and *inconclusive*."""

SHOWN_FILES = 5
"""So many files of the harness that differ are named."""

HOW_TO_READ = """\
The change is the step's time over its yardstick's (the tape's step, or NumPy's) at the head, over
the same at the base: +5 % is 5 % slower. Both steps are measured by turns in one process; the
interval is 95 %, Welch's, from one value for each process. *Slower* and *faster* are beyond the
cell's margin and significant at 5 % over all gated cells together (Holm); *same* has its whole
interval inside the margin; *inconclusive* is neither, and says why and what would settle it. Cells
without a margin are shown, but not gated."""


@dataclass(frozen=True)
class Comparison:
    """Two runs compared: who they are, the verdicts, and the exact counts that differ."""

    base: str
    head: str
    cells: pd.DataFrame
    structure: pd.DataFrame
    counts: int
    """How many exact counts were compared."""
    changes: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CHANGE_COLUMNS))
    """Where the cells changed their level at commits between the two (``changes_between``)."""
    environment: tuple[str, ...] = ()
    """How the sides' environments differ, a line each (``environment.differences``)."""
    harness: tuple[str, ...] = ()
    """The files in which the sides differ that measure and verify: each side's own have judged."""
    commits: Commits | None = None
    """The two as a gate takes them, where it could measure this comparison again."""


def describe(frame: pd.DataFrame) -> str:
    """Name a run: its commit, machine and TensorFlow."""
    if frame.empty:
        return "nothing measured"
    run = frame.iloc[0]
    commit = run["commit"] if "-" in run["commit"] else run["commit"][:8]
    version = f", TensorFlow {run['tensorflow']}" if pd.notna(run["tensorflow"]) else ""
    return f"{commit} on {run['machine']}{version}"


def conclude(comparison: Comparison) -> str:
    """Return the one conclusion: the most pressing of what the cells and counts say.

    ``void`` when a control moved; else *slower*, *not measured*, ``nothing gated``,
    *inconclusive*, ``no control``, ``structure changed``; and ``good`` only when every gated cell
    is *same* or *faster*, controls were measured beside, and every count that was compared is
    equal.
    """
    if len(moved_controls(comparison.cells)):
        return VOID
    found = set(_gated(comparison.cells)["verdict"])
    if SLOWER in found:
        return SLOWER
    if NOT_MEASURED in found or (comparison.structure["outcome"] == NOT_MEASURED).any():
        return NOT_MEASURED
    if not found:
        return UNGATED
    if INCONCLUSIVE in found:
        return INCONCLUSIVE
    if not is_controlled(comparison.cells):
        return UNCONTROLLED
    return CHANGED if (comparison.structure["outcome"] == "changed").any() else GOOD


def headline(comparison: Comparison) -> str:
    """Say the conclusion in one line, with the worst cell and its interval."""
    cells = _gated(comparison.cells)
    conclusion = conclude(comparison)
    if conclusion == VOID:
        moved = records(moved_controls(comparison.cells))
        return (
            f"Void: {_worst(moved)} in the control {name(moved[0])}, which no commit can change; "
            "measure both again, by turns (manualbp gate)."
        )
    if conclusion == SLOWER:
        slower = records(cells[cells["verdict"] == SLOWER])
        worst = max(slower, key=lambda row: float(row["change"]))
        text = f"Slower: {len(slower)} of {_cells(len(cells))}, at worst {name(worst)} {_of(worst)}"
        return text + _also(cells, (NOT_MEASURED, INCONCLUSIVE)) + _structure(comparison)
    if conclusion == NOT_MEASURED:
        missing = records(cells[cells["verdict"] == NOT_MEASURED])
        reasons = ", ".join(dict.fromkeys(row["reason"] for row in missing))
        what = f"{len(missing)} of {_cells(len(cells))} ({reasons})" if missing else "exact counts"
        return f"Not measured: {what}" + _also(cells, (INCONCLUSIVE,)) + _structure(comparison)
    if conclusion == UNGATED:
        shown = comparison.cells[~comparison.cells["quantity"].isin(CONTROLS)]
        if shown.empty:
            return "Nothing to compare: neither run has interleaved ratios."
        return (
            f"Report only: no margin is known for any of {len(shown)} cells on this machine; "
            "'manualbp calibrate' measures them, --margin sets one."
        )
    if conclusion == INCONCLUSIVE:
        open_ = int((cells["verdict"] == INCONCLUSIVE).sum())
        text = f"Inconclusive: {open_} of {_cells(len(cells))}, and no cell is slower"
        return text + _structure(comparison)
    if conclusion == UNCONTROLLED:
        return (
            f"No control was measured on both sides, so nothing shows whether the machine changed: "
            f"none of {_cells(len(cells))} is called the same; measure the controls beside "
            f"({', '.join(CONTROLS)})" + _structure(comparison)
        )
    return _good(cells) + _structure(comparison)


def reservations(comparison: Comparison, shown: Callable[[str], str] = visible) -> list[str]:
    """Return what a reader must know before the verdict, a sentence each.

    ``shown`` makes the name of a file harmless where it is shown.
    """
    said = []
    if files := comparison.harness:
        named = ", ".join(map(shown, files[:SHOWN_FILES]))
        more = f" and {len(files) - SHOWN_FILES} more files" if len(files) > SHOWN_FILES else ""
        said.append(
            "The sides differ in what measures and verifies, and each was judged by its own: "
            f"{named}{more}."
        )
    if discarded(comparison):
        said.append(discarded(comparison))
    return said


def discarded(comparison: Comparison) -> str:
    """Say how many values of each side were discarded as disturbed; nothing where none were."""
    sides = []
    for side in ("base", "head"):
        count, kept = (
            int(comparison.cells[f"{side}_{n}"].sum()) for n in ("discarded", "processes")
        )
        sides.append((side, count, count + kept))
    if not any(count for _, count, _ in sides):
        return ""
    said = ", ".join(f"{count} of {total} in the {side}" for side, count, total in sides)
    return f"Values discarded because the machine was busy: {said}."


def text_rows(cells: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return a row of words for each cell: cell, change, interval, margin, processes, verdict."""
    return [
        (
            name(row),
            _percent(row["change"]),
            _interval(row),
            "unknown" if math.isnan(row["margin"]) else f"±{100 * row['margin']:.1f} %",
            f"{row['base_processes']}/{row['head_processes']}",
            _with_reason(row),
        )
        for row in records(ordered(cells))
    ]


HEADS = ("cell", "change", "95 % interval", "margin", "processes", "verdict")


def structure_rows(structure: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return a row of words for each exact count that differs."""
    return [
        (name(row), row["unit"], _number(row["base"]), _number(row["head"]), row["outcome"])
        for row in records(structure)
    ]


STRUCTURE_HEADS = ("count", "unit", "base", "head", "outcome")


CHANGE_HEADS = ("commit", "cell", "change of level")


def change_rows(changes: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return a row of words for each change of level between the two commits."""
    return [
        (short_commit(row["commit"]), name_case(row), size_of_change(row))
        for row in records(changes)
    ]


def ordered(cells: pd.DataFrame) -> pd.DataFrame:
    """Sort the cells by verdict, the most pressing first, and by the size of the change."""
    places = cells["verdict"].map(VERDICTS.index)
    size = -cells["change"].fillna(1.0)
    return cells.assign(_place=places, _size=size).sort_values(["_place", "_size"], kind="stable")


def markdown(comparison: Comparison) -> str:
    """Return the comparison for a job summary or a pull request: headline, tables, how to read."""
    cells, structure, changes = map(
        in_markdown, (comparison.cells, comparison.structure, comparison.changes)
    )
    comparison = replace(comparison, cells=cells, structure=structure)
    quiet = cells["verdict"] == SAME
    parts = [f"> {said}" for said in reservations(comparison, as_markdown)]
    parts += [
        f"## {headline(comparison)}",
        f"Base: {as_markdown(comparison.base)}. Head: {as_markdown(comparison.head)}.",
        environment_markdown(comparison.environment),
        f"{_tally(cells)}; {comparison.counts} exact counts compared, {len(structure)} differ.",
    ]
    if (~quiet).any():
        parts.append(markdown_table(text_rows(cells[~quiet]), HEADS))
    if len(structure):
        table = markdown_table(structure_rows(structure), STRUCTURE_HEADS)
        parts += ["### Structure", table]
    if len(changes):
        rows = [(as_markdown(commit), *rest) for commit, *rest in change_rows(changes)]
        parts += ["### Where levels changed between them", markdown_table(rows, CHANGE_HEADS)]
    if quiet.any():
        parts.append(f"<details><summary>{int(quiet.sum())} cells are the same</summary>")
        parts.append(markdown_table(text_rows(cells[quiet]), HEADS))
        parts.append("</details>")
    if commands := again(cells, comparison.commits):
        parts.append("<details><summary>Measure again what that may settle</summary>")
        parts.append("\n".join(["```sh", *commands, "```"]))
        parts.append("</details>")
    parts.append(HOW_TO_READ)
    return "\n\n".join(filter(None, parts)) + "\n"


def environment_markdown(lines: Sequence[str]) -> str:
    """Return the differences of the environments as a list, each as code: it may be anybody's."""
    if not lines:
        return ""
    if len(lines) == 1:
        return f"Environment: {code(lines[0])}."
    return "\n".join(["Environment:", "", *(f"- {code(line)}" for line in lines)])


def name(row: dict[str, Any]) -> str:
    """Name a cell: its quantity, where it is not the step over the tape's, and its case."""
    case = "/".join(str(row[column]) for column in CASE if pd.notna(row[column]))
    quantity = str(row["quantity"])
    if quantity == "ratio_to_tape":
        return case
    words = quantity.removeprefix("ratio_").removeprefix("track_").replace("_", " ")
    return f"{words} {case}" if case else words


# ---------------------------------------------------------------- words


def _gated(cells: pd.DataFrame) -> pd.DataFrame:
    return cells[cells["gated"]]


def _cells(number: int) -> str:
    return f"{number} gated cell" if number == 1 else f"{number} gated cells"


def _percent(change: float) -> str:
    return "–" if math.isnan(change) else f"{100 * (change - 1):+.1f} %"


def _interval(row: dict[str, Any]) -> str:
    if math.isnan(row["low"]):
        return "–"
    return f"{_percent(row['low'])[:-2]} to {_percent(row['high'])}"


def _of(row: dict[str, Any]) -> str:
    return f"{_percent(row['change'])} (95 % {_interval(row)})"


def _worst(rows: Sequence[dict[str, Any]]) -> str:
    return _of(max(rows, key=lambda row: abs(math.log(row["change"]))))


def _also(cells: pd.DataFrame, verdicts: Sequence[str]) -> str:
    counts = {verdict: int((cells["verdict"] == verdict).sum()) for verdict in verdicts}
    words = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    return f"; also {', '.join(words)}" if words else ""


def _good(cells: pd.DataFrame) -> str:
    faster = records(cells[cells["verdict"] == FASTER])
    if not faster:
        return f"Same: all of {_cells(len(cells))} are within their margins"
    best = min(faster, key=lambda row: float(row["change"]))
    same = len(cells) - len(faster)
    return f"Faster: {len(faster)} of {_cells(len(cells))}, at best {name(best)} {_of(best)}" + (
        f"; {same} same" if same else ""
    )


def _structure(comparison: Comparison) -> str:
    changed = comparison.structure[comparison.structure["outcome"] == "changed"]
    if changed.empty:
        return "."
    row = records(changed)[0]
    return (
        f". Structure changed in {len(changed)} of {comparison.counts} counts: "
        f"{name(row)} {_number(row['base'])} → {_number(row['head'])}"
        + (", …" if len(changed) > 1 else "")
        + "."
    )


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.0f}"


def _with_reason(row: dict[str, Any]) -> str:
    role = " (control)" if row["quantity"] in CONTROLS else "" if row["gated"] else " (not gated)"
    why = f": {row['reason']}" if row["reason"] else ""
    return f"{row['verdict']}{role}{why}" + (f"; {settled_by(row)}" if row["remedy"] else "")


def _tally(cells: pd.DataFrame) -> str:
    counts = {verdict: int((cells["verdict"] == verdict).sum()) for verdict in VERDICTS}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "none"
