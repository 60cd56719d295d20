"""A cell over commits: its line, what changed beside the code, and where its level changed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from manualbp.reading.levels import Change, changes
from manualbp.reading.schema import CASE, COLUMNS, DISTURBED, FAILED, OK, QUANTITIES, RUN, SKIPPED

SERIES = [
    *("machine", *CASE, "peer", "steps_per_call", "parameters"),
    *("quantity", "benchmark", "version"),
]
"""The columns that tell one line from another.  TensorFlow is not among them: it is marked."""

_MARKED = {
    "tensorflow_changed": ("tensorflow",),
    "environment_changed": ("environment",),
    "cpu_changed": ("cpu", "cores"),
}

MARKS = list(_MARKED)
"""What is marked in a line: each says that its column differs from the last one recorded."""

HISTORY_COLUMNS = [*COLUMNS, "series", "place", *MARKS]
"""The columns of ``history``, in order."""

CHANGE_COLUMNS = [
    *("series", *SERIES, "kind", "unit"),
    *("commit", "previous", "date", "before", "after", "ratio", "low", "high"),
    *("commits_before", "commits_after", "exact", *MARKS),
]
"""The columns of ``change_points``, in order."""


def history(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table of ``load_results`` as lines over commits.

    A line is one case of one quantity on one machine (the columns in ``SERIES``) and has one row
    for each commit; a quantity of ours is one line in whichever benchmark a commit has it.  Rows
    stand line by line, and in a line by the commit's date; commits of one date by when they were
    measured.  Where a commit was measured in several environments, a line keeps the environment of
    the commit that follows, and at its end the one measured last.  Rows that the columns cannot
    tell apart are left out, for none is known to be the right one.  The columns are those of
    ``load_results`` and

    - ``series``: the line's number (int)
    - ``place``: the commit's place in the order of its machine's commits, from 0 (int)
    - ``tensorflow_changed``, ``environment_changed``, ``cpu_changed`` (the processor or the number
      of cores): whether it differs from what was last recorded in the line (bool)
    """
    foreign = frame["benchmark"].where(~frame["quantity"].isin(list(QUANTITIES)))
    told = frame.assign(benchmark=foreign)
    alike = told.duplicated([*SERIES, "commit", "environment"], keep=False)
    lines = frame[~alike].copy()
    lines["series"] = told[~alike].groupby(SERIES, sort=False, dropna=False).ngroup()
    lines = lines.merge(_places(frame), on=["machine", "commit"], how="left")
    lines = lines.sort_values(["series", "place"], kind="stable", ignore_index=True)
    lines = _in_one_environment(lines)
    for mark, columns in _MARKED.items():
        lines[mark] = pd.concat([_changes(lines, name) for name in columns], axis=1).any(axis=1)
    return lines[HISTORY_COLUMNS]


def change_points(lines: pd.DataFrame) -> pd.DataFrame:
    """Return where the lines of ``history`` change their level, a row for each change.

    The columns besides the line's own (``series`` and ``SERIES``, ``kind``, ``unit``):

    - ``commit``, ``date``: the first commit of the new level
    - ``previous``: the last measured commit of the old level
    - ``before``, ``after``: geometric means over the commits of the two levels, outliers pulled in
      (see ``levels``), in ``unit``
    - ``ratio``: after over before, and ``low`` and ``high``, its 95 % interval (NaN if exact)
    - ``commits_before``, ``commits_after``: how many measured commits the two levels have (int)
    - ``exact``: whether the number is counted, not measured (``Quantity.exact``, and lines with a
      0): any difference is a change, and ``before`` and ``after`` are the commits' own (bool)
    - ``tensorflow_changed``, ``environment_changed``, ``cpu_changed``: whether it differs between
      ``previous`` and ``commit`` (bool)

    A commit at which the cell has no value, or at which it is disturbed, is a gap: levels are those
    of the others.  Only quantities of this project's suite are looked at: of a foreign number it is
    not known whether it is counted or measured.
    """
    good = lines[(lines["status"] == OK) & lines["quantity"].isin(list(QUANTITIES))]
    rows: list[dict[str, Any]] = []
    for _, line in good.groupby("series", sort=False):
        rows += _changes_of_line(line)
    table = pd.DataFrame(rows, columns=CHANGE_COLUMNS)
    types = {"batch": "Int64", "steps_per_call": "Int64", "series": "int64"}
    types |= dict.fromkeys(["commits_before", "commits_after"], "int64")
    types |= dict.fromkeys(["before", "after", "ratio", "low", "high"], "float64")
    return table.astype(types | dict.fromkeys(["exact", *MARKS], "bool"))


def changes_between(frame: pd.DataFrame, base: str, head: str) -> pd.DataFrame:
    """Return the rows of ``change_points`` at commits after ``base`` and up to ``head``.

    ``frame`` is the table of ``load_results`` of one machine, ``base`` and ``head`` are full
    hashes; there are no rows when one of them is not among its commits.
    """
    lines = history(frame)
    places = dict(zip(lines["commit"], lines["place"], strict=True))
    found = change_points(lines)
    if base not in places or head not in places:
        return found.iloc[:0]
    at = found["commit"].map(places)
    between: pd.DataFrame = found[(at > places[base]) & (at <= places[head])]
    return between


def name_case(row: "Mapping[str, Any] | pd.Series[Any]") -> str:
    """Return a line's case in words: what is given of workload, peer, gradient, mode and so on."""
    workload, *rest = CASE[:-1]
    words = [str(row[name]) for name in (workload, "peer", *rest) if pd.notna(row[name])]
    numbers = [name for name in ("batch", "steps_per_call") if pd.notna(row[name])]
    words += [f"{name.replace('_', ' ')} {row[name]}" for name in numbers]
    return ", ".join([*words, row["parameters"]] if pd.notna(row["parameters"]) else words)


def apart(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without the environment's mark where TensorFlow's says it already.

    An environment's name holds TensorFlow's version, so they change together.
    """
    alone = table["environment_changed"] & ~table["tensorflow_changed"]
    return table.assign(environment_changed=alone)


# ---------------------------------------------------------------- lines


def _places(frame: pd.DataFrame) -> pd.DataFrame:
    """Count each machine's commits in the order of their dates; those without one come last."""
    commits = frame.groupby(["machine", "commit"], sort=False, as_index=False).agg(
        date=("date", "max"), started=("started", "min")
    )
    commits = commits.sort_values(["date", "started", "commit"])
    commits["place"] = commits.groupby("machine").cumcount()
    return commits[["machine", "commit", "place"]]


def _in_one_environment(lines: pd.DataFrame) -> pd.DataFrame:
    """Keep one row for each commit of a line, as ``history`` says."""
    crowded = lines.loc[lines.duplicated(["series", "place"]), "series"].unique()
    if not len(crowded):
        return lines
    started = lines.groupby(RUN, dropna=False)["started"].transform("max")
    rank = lines["status"].map({OK: 0, DISTURBED: 1, FAILED: 2, SKIPPED: 3})
    # The best candidate of a commit first: measured rather than not, then measured last.
    order = pd.DataFrame({"started": started, "rank": rank, **lines[["series", "place"]]})
    order = order.sort_values(
        ["series", "place", "rank", "started"], ascending=[True, False, True, False], kind="stable"
    )
    keep = []
    for _, line in order[order["series"].isin(crowded)].groupby("series", sort=False):
        following = None
        for _, commit in line.groupby("place", sort=False):
            best = commit.index[commit["rank"] == commit["rank"].iloc[0]]
            environments = lines.loc[best, "environment"]
            same = environments.index[environments == following]
            keep.append(same[0] if len(same) else best[0])
            following = lines.loc[keep[-1], "environment"]
    kept = ~lines["series"].isin(crowded)
    kept.loc[keep] = True
    return lines[kept].reset_index(drop=True)


def _changes(lines: pd.DataFrame, column: str) -> "pd.Series[bool]":
    """Say in which rows a column differs from the last value recorded earlier in the line."""
    earlier = lines.groupby("series")[column].ffill().groupby(lines["series"]).shift()
    known = lines[column].notna() & earlier.notna()
    return known & (lines[column] != earlier).fillna(False).astype("bool")


# ---------------------------------------------------------------- changes


def _changes_of_line(line: pd.DataFrame) -> list[dict[str, Any]]:
    first = line.iloc[0]
    values = line["value"].tolist()
    # A number that can be 0 has no logarithm, so no level is estimated.
    exact = QUANTITIES[first["quantity"]].exact or min(values) <= 0
    found = _differences(values) if exact else changes(values)
    rows = []
    for change in found:
        new, old = line.iloc[change.place], line.iloc[change.place - 1]
        row = {column: first[column] for column in ["series", *SERIES, "kind", "unit"]}
        row |= {"commit": new["commit"], "previous": old["commit"], "date": new["date"]}
        row |= {column: getattr(change, column) for column in ("before", "after", "ratio")}
        row |= {"low": change.low, "high": change.high, "exact": exact}
        row |= {"commits_before": change.place - change.start}
        row |= {"commits_after": change.stop - change.place}
        row |= {mark: _differ(old, new, columns) for mark, columns in _MARKED.items()}
        rows.append(row)
    return rows


def _differences(values: Sequence[float]) -> list[Change]:
    """Return every difference between two neighbours, for a number that is counted."""
    places = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    edges = [0, *places, len(values)]
    return [
        Change(start, place, stop, values[start], values[place], math.nan, math.nan)
        for start, place, stop in zip(edges, edges[1:], edges[2:], strict=False)
    ]


def _differ(old: "pd.Series[Any]", new: "pd.Series[Any]", columns: Sequence[str]) -> bool:
    """Say whether any of the columns was recorded in both rows and differs."""
    return any(
        pd.notna(old[name]) and pd.notna(new[name]) and bool(old[name] != new[name])
        for name in columns
    )
