"""Verdicts: which cells are slower at one commit than at another, and which cannot be told.

What is compared is the *change*, the ratio of two ratios: a step's time over its yardstick's (the
tape, or NumPy), interleaved in one process, at the head over the same at the base.  Times
of different processes wander by tens of percent and are not judged.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from manualbp.reading.frame import check_one_run, records
from manualbp.reading.intervals import Estimate
from manualbp.reading.schema import CASE, CONTEXT, OK, QUANTITIES, SKIPPED
from manualbp.reading.settling import change_of, explain

SLOWER, FASTER, SAME = "slower", "faster", "same"
INCONCLUSIVE, NOT_MEASURED = "inconclusive", "not measured"
VERDICTS = (SLOWER, NOT_MEASURED, INCONCLUSIVE, FASTER, SAME)
"""The verdicts on a cell, the most pressing first."""

ANOTHER_VERSION = "another version of the benchmark"
"""Why a cell is *not measured* although both sides have a number."""

CONTROLS = ("ratio_tape_to_tape", "ratio_numpy_to_numpy")
"""Ratios that no commit can change.  Where one moves, the machine did, or the harness."""

ALPHA = 0.05
"""Family-wise level of *slower* and *faster*: Holm's step-down over the cells of a family."""

CELL = ["benchmark", "quantity", *CASE]
"""The columns that tell one compared cell from another."""

COLUMNS = [
    *CELL,
    *("base", "head", "base_processes", "head_processes", "base_discarded", "head_discarded"),
    *("change", "low", "high", "p", "margin", "gated", "verdict", "reason"),
    *("remedy", "more_processes", "minutes", "bench"),
]

Margins = Mapping[tuple[Any, ...], float]
"""For a cell's values in the columns ``CELL[1:]``: the change in it that equal commits show."""

Cells = dict[tuple[Any, ...], dict[str, Any]]
"""The rows of a run by their cell (:data:`CELL`)."""


def compare(
    base: pd.DataFrame,
    head: pd.DataFrame,
    margins: Margins,
    *,
    paired: bool = False,
    seconds: Mapping[str, float] = MappingProxyType({}),
) -> pd.DataFrame:
    """Judge every ratio of two runs, a row for each cell in either.

    Ratios that other libraries have a part in (``Quantity.context``) are not judged.

    ``base`` and ``head`` are tables of ``load_results`` with one run each; ``margins`` are
    fractions (0.02 is 2 %).  With ``paired``, the sides were measured by turns, so that their
    values of one round share the state the machine was in then.  ``seconds`` says how long a
    process takes, by the cell's ``bench``.  Columns besides those of the cell (``CELL``):

    - ``base``, ``head``: geometric means of the process values (float, NaN if not measured)
    - ``base_processes``, ``head_processes``: how many values (int)
    - ``base_discarded``, ``head_discarded``: how many more were discarded as disturbed (int)
    - ``change``: ``head`` over ``base``; above 1 is slower (float)
    - ``low``, ``high``: its 95 % interval, on the logarithms of the values: Welch's, or Student's
      on the rounds' differences if ``paired`` (float)
    - ``p``: of no change, two-sided, Holm-adjusted in its family: the gated cells, those without
      a margin, the controls (float)
    - ``margin``: the cell's margin (float, NaN if unknown)
    - ``gated``: whether the verdict counts: a cell with a margin that is no control (bool)
    - ``verdict``: *slower* and *faster* when ``p`` is below :data:`ALPHA` and the change
      beyond the margin; *same* when the interval lies inside the margin; *not measured* when
      either side failed, was skipped, is disturbed or is missing, or another version of the
      benchmark was run; else *inconclusive*
    - ``reason``: why a cell is *not measured* or *inconclusive* (text)
    - ``remedy``: what would settle an *inconclusive* cell, else nothing (text)
    - ``more_processes``: how many more on each side that takes (``settling.more_processes``);
      missing where it is not known, or more than a hundred (Int64)
    - ``minutes``: how long these take on both sides together (float, NaN if unknown)
    - ``bench``: the regular expression that measures this cell again (``again.bench_of``), missing
      where neither run has the cell

    ``ValueError`` is raised when either table holds more runs than one.
    """
    check_one_run(base)
    check_one_run(head)
    right = _ratios(head)
    sides = named_alike(_ratios(base), right), right
    rows = [
        _row(cell, sides[0].get(cell), sides[1].get(cell), margins, paired=paired)
        for cell in dict.fromkeys([*sides[1], *sides[0]])
        # An absent device, or not chosen, in both: no cell of this comparison.
        if cell[1:] in margins or any(_tried(side.get(cell)) for side in sides)
    ]
    # A cell with a margin was measured here once: if it is in neither run, that is no good news.
    known = {cell[1:] for side in sides for cell in side}
    rows += [
        _row(("", *cell), None, None, margins, paired=paired)
        for cell in margins
        if cell not in known
    ]
    _adjust(rows)
    for row in rows:
        row |= _verdict(row, seconds)
    table = pd.DataFrame(rows, columns=COLUMNS)
    types = {"batch": "Int64"}
    for side in ("base", "head"):
        types |= {f"{side}_processes": "int64", f"{side}_discarded": "int64"}
    types |= {"more_processes": "Int64", "minutes": "float64"}
    return table.astype({**types, "gated": "bool"})


def unsettled_cells(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return the cells (``CELL``) that call for a second measurement before they are judged.

    They are the gated ones that are *slower* or *inconclusive*, and the controls that moved.
    """
    open_ = table["gated"] & table["verdict"].isin([SLOWER, INCONCLUSIVE])
    moved = table["quantity"].isin(CONTROLS) & table["verdict"].isin([SLOWER, FASTER])
    return [_key(row) for row in records(table[open_ | moved])]


def confirmed(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return ``first`` with the cells of ``second`` in place of its own.

    A cell that was measured a second time because of what the first time showed is judged by the
    second alone: the first was selected for being extreme.
    """
    again = {_key(row) for row in records(second)}
    kept = [_key(row) not in again for row in records(first)]
    return pd.concat([first[kept], second], ignore_index=True)


def uniform(margin: float, *frames: pd.DataFrame) -> Margins:
    """Return one margin for every ratio that any of the runs measured."""
    return {cell[1:]: margin for frame in frames for cell in ratio_cells(frame)}


def ratio_cells(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return the cells (``CELL``) of the ratios that a run tried to measure."""
    return [cell for cell, row in _ratios(frame).items() if _tried(row)]


def moved_controls(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of controls that moved: with any, no verdict is to be trusted."""
    moved = table["verdict"].isin([SLOWER, FASTER])
    return table[table["quantity"].isin(CONTROLS) & moved]


def is_controlled(table: pd.DataFrame) -> bool:
    """Tell whether a control was measured on both sides.

    Without one, nothing shows that it was the commit that changed, or stayed, and not the machine.
    """
    measured = table["verdict"] != NOT_MEASURED
    return bool((table["quantity"].isin(CONTROLS) & measured).any())


def by_cell(frame: pd.DataFrame) -> Cells:
    """Return the rows of a run by their cell (``CELL``)."""
    return {_key(row): row for row in records(frame)}


def named_alike(base: Cells, head: Cells) -> Cells:
    """Return the base's cells by the benchmarks' names in the head, where they differ.

    A quantity of ours is the same in whichever benchmark a suite measures it.
    """
    names = {cell[1:]: cell for cell in head if cell[1] in QUANTITIES}
    moved = {cell: names.get(cell[1:], cell) for cell in base if cell not in head}
    return {moved.get(cell, cell): row for cell, row in base.items()}


def value_of(row: Mapping[str, Any] | None) -> float:
    """Return a row's value; NaN where nothing was measured."""
    return math.nan if row is None or row["status"] != OK else float(row["value"])


def holm(values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979); NaN stays NaN and is not counted."""
    p = np.asarray(values, dtype=np.float64)
    adjusted = np.full(len(p), math.nan)
    order = [index for index in np.argsort(p, kind="stable") if not math.isnan(p[index])]
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, (len(order) - rank) * p[index])
        adjusted[index] = min(largest, 1.0)
    return adjusted.tolist()


def p_value(change: Estimate) -> float:
    """Return the two-sided p-value of no change at all, by Student's t; NaN without an interval."""
    if math.isnan(change.error):
        return math.nan
    if change.error == 0:
        return 1.0 if change.log == 0 else 0.0
    return float(2 * stdtr(change.freedom, -abs(change.log) / change.error))


# ---------------------------------------------------------------- from runs to rows

_Cell = tuple[Any, ...]


def _key(row: Mapping[str, Any]) -> _Cell:
    return tuple(_plain(row[column]) for column in CELL)


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value


def _ratios(frame: pd.DataFrame) -> Cells:
    return by_cell(frame[(frame["kind"] == "ratio") & ~frame["quantity"].isin(CONTEXT)])


def _tried(row: Mapping[str, Any] | None) -> bool:
    return row is not None and row["status"] != SKIPPED


def _row(
    cell: _Cell,
    base: Mapping[str, Any] | None,
    head: Mapping[str, Any] | None,
    margins: Margins,
    *,
    paired: bool,
) -> dict[str, Any]:
    """Return a cell's row but for what depends on the other cells: adjusted p and verdict."""
    margin = margins.get(cell[1:], math.nan)
    quantity = cell[CELL.index("quantity")]
    row = dict(zip(CELL, cell, strict=True)) | {
        "base": value_of(base),
        "head": value_of(head),
        "base_processes": base["processes"] if base else 0,
        "head_processes": head["processes"] if head else 0,
        "base_discarded": base["discarded"] if base else 0,
        "head_discarded": head["discarded"] if head else 0,
        "margin": margin,
        "gated": quantity not in CONTROLS and not math.isnan(margin),
        "reason": _obstacle(base, head),
        "bench": next((side["bench"] for side in (head, base) if side is not None), None),
    }
    numbers = dict.fromkeys(("change", "low", "high", "p"), math.nan)
    if base is not None and head is not None and not row["reason"]:
        values = [side["samples"] or (side["value"],) for side in (head, base)]
        row["_change"] = change_of(*values, paired=paired)
        change = row["_change"].estimate
        numbers = {
            "change": change.value,
            "low": change.low,
            "high": change.high,
            "p": p_value(change),
        }
    return row | numbers


def _obstacle(base: Mapping[str, Any] | None, head: Mapping[str, Any] | None) -> str:
    """Say why a cell cannot be compared; nothing if it can.

    That one side failed comes first: a gate then does not measure the other.
    """
    sides = (("base", base), ("head", head))
    for name, side in sides:
        if side is not None and side["status"] != OK:
            return f"{side['status']} in the {name}"
    for name, side in sides:
        if side is None:
            return f"not in the {name}"
    if base is not None and head is not None and base["version"] != head["version"]:
        return ANOTHER_VERSION
    return ""


def _adjust(rows: Sequence[dict[str, Any]]) -> None:
    """Replace each row's p-value by the one adjusted in its family."""
    families: dict[tuple[bool, bool], list[dict[str, Any]]] = {}
    for row in rows:
        families.setdefault((row["gated"], row["quantity"] in CONTROLS), []).append(row)
    for family in families.values():
        adjusted = holm([row["p"] for row in family])
        known = sum(not math.isnan(p) for p in adjusted)
        rejected = sum(p < ALPHA for p in adjusted)
        for row, p in zip(family, adjusted, strict=True):
            # Of the cells that are left, the next one is rejected at this level.
            row |= {"p": p, "_cells": known, "_level": ALPHA / max(known - rejected, 1)}


def _verdict(row: Mapping[str, Any], seconds: Mapping[str, float]) -> dict[str, Any]:
    """Judge one row: the verdict, its reason where one is needed, and what would settle it."""
    judged = {"remedy": "", "more_processes": None, "minutes": math.nan}
    verdict = _judge(row)
    if verdict != INCONCLUSIVE:
        return judged | {"verdict": verdict}
    found = explain(row["_change"], row["margin"], row["_level"], row["_cells"])
    if found.more is not None and row["bench"] in seconds:
        judged["minutes"] = 2 * found.more * seconds[row["bench"]] / 60
    told = {"reason": found.why, "remedy": found.remedy, "more_processes": found.more}
    return judged | {"verdict": verdict} | told


def _judge(row: Mapping[str, Any]) -> str:
    if row["reason"]:
        return NOT_MEASURED
    if math.isnan(row["p"]):
        return INCONCLUSIVE
    margin = 0.0 if math.isnan(row["margin"]) else row["margin"]
    if row["p"] < ALPHA and abs(math.log(row["change"])) > math.log1p(margin):
        return SLOWER if row["change"] > 1 else FASTER
    # Symmetric on logarithms: 2 % slower and as much faster are equally far from 1.
    inside = 1 / (1 + margin) < row["low"] and row["high"] < 1 + margin
    return SAME if inside else INCONCLUSIVE
