"""What a machine can tell apart: margins, false alarms and power, from values measured for it.

Equal arms measure the same commit, so every difference between them is an error; slower arms have
extra work of a known size in one of the two callables.  Verdicts on them are given by the same
code, in the same two stages, as those of ``manualbp gate``.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from manualbp.reading import renamed
from manualbp.reading.frame import empty, records
from manualbp.reading.intervals import estimate
from manualbp.reading.margins import CEILING
from manualbp.reading.schema import CASE, COLUMNS, DISTURBED, OK, RUN, ResultsError
from manualbp.reading.verdicts import (
    NOT_MEASURED,
    SLOWER,
    Margins,
    compare,
    confirmed,
    unsettled_cells,
)

FILE = "calibration.csv"
"""Beside a machine's results: every value that calibrating has measured."""

VALUES = ["series", "condition", "round", "arm", "benchmark", "quantity", *CASE, "value"]
"""Its columns.  ``series`` is when it began, ``condition`` idle or busy, ``arm`` equal-1 and so
on, slower-N (N percent of extra work) or alone-N (the slowed callable over itself)."""

EQUAL, SLOWED, ALONE = "equal-", "slower-", "alone-"

FLOOR, DEVIATIONS = 0.01, 2.5
"""A margin is this many standard deviations within a round, and no less than the floor.

With 8 processes on each side the standard error of a change is half a deviation and its interval
reaches 1.2 deviations to either side: equal commits are *same* unless the change is off by 1.3
deviations, more than two and a half standard errors.  Below 1 % no change of a step is worth a
red build.
"""

_CELL = ["benchmark", "quantity", *CASE]

ASV_FACTOR, ASV_P = 1.1, 0.002
"""asv's own rule: worse by this factor, and by Mann and Whitney's test at this level."""


def load_calibration(path: Path) -> pd.DataFrame:
    """Read the values (columns :data:`VALUES`), of each condition and cell the newest series.

    Rows whose further column ``status`` says *disturbed* are left out: the machine was busy with
    something else.  ``attrs["discarded"]`` of the table counts them for each condition.

    ``ResultsError`` is raised when there is no such file, or it is no table of such values.
    """
    if not path.is_file():
        raise ResultsError(f"{path}: no calibration of this machine; run 'manualbp calibrate'")
    try:
        table = _read(path)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ResultsError(f"{path}: expected the columns {', '.join(VALUES)} ({error})") from error
    disturbed = table.pop("status") == DISTURBED
    kept = _newest(table[~disturbed]).reset_index(drop=True)
    everything = _newest(table)
    left_out = everything[disturbed[everything.index]]
    kept.attrs["discarded"] = left_out.groupby("condition").size().to_dict()
    return kept


def _read(path: Path) -> pd.DataFrame:
    """Read the file with its column ``status``, which older rows, or its head, may lack."""
    head = list(pd.read_csv(path, nrows=0).columns)
    names = head if "status" in head else [*head, "status"]
    table = renamed.table(pd.read_csv(path, names=names, skiprows=1))[[*VALUES, "status"]]
    table = table.astype(
        {"batch": "Int64", "round": "int64", "value": "float64"}
        | dict.fromkeys(["series", "condition", "arm", "benchmark", "quantity"], "str")
    )
    values = table["value"][table["status"] != DISTURBED]
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError("a value is no ratio")
    return table


def _newest(table: pd.DataFrame) -> pd.DataFrame:
    newest = table.groupby(["condition", *_CELL], dropna=False)["series"].transform("max")
    return table[table["series"] == newest]


def deviations(values: pd.DataFrame) -> pd.DataFrame:
    """Return the standard deviation between processes for each condition and cell.

    Columns: ``condition``, the cell's, ``deviation`` (of the natural logarithm, over all values of
    equal arms), ``within`` (the same within a round, where the arms share the state of the
    machine; with one arm there is no telling, and it is ``deviation``) and ``processes``.
    """
    equal = values[values["arm"].str.startswith(EQUAL)]
    rows = []
    for key, mine in equal.groupby(["condition", *_CELL], dropna=False, sort=False):
        logs = np.log(mine["value"])
        deviation = float(logs.std())
        rounds = logs.groupby(mine["round"])
        freedom = int((rounds.size() - 1).sum())
        squares = float(((logs - rounds.transform("mean")) ** 2).sum())
        within = math.sqrt(squares / freedom) if freedom > 0 else deviation
        rows.append((*key, deviation, within, len(mine)))
    columns = ["condition", *_CELL, "deviation", "within", "processes"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"batch": "Int64"})


def margins_table(values: pd.DataFrame) -> pd.DataFrame:
    """Return each cell's margin on the idle machine, with the columns of ``margins.COLUMNS``.

    A cell of too few processes to tell, or whose margin would exceed :data:`CEILING`, has no row.
    """
    table = deviations(values)
    table = table[(table["condition"] == "idle") & table["deviation"].notna()]
    margin = np.expm1(DEVIATIONS * table["within"]).clip(lower=FLOOR)
    table = table.assign(margin=margin).drop(columns=["condition", "benchmark"])
    return table[table["margin"] <= CEILING]


def achieved(values: pd.DataFrame) -> pd.DataFrame:
    """Return what each slowdown came to, measured apart: geometric mean and 95 % interval.

    Columns: ``condition``, ``percent`` (asked for), ``cells``, and ``share``, ``low``, ``high``
    (fractions).
    """
    alone = values[values["arm"].str.startswith(ALONE)]
    rows = []
    for (condition, arm), mine in alone.groupby(["condition", "arm"], sort=False):
        known = estimate(tuple(mine["value"]))
        share = (known.value - 1, known.low - 1, known.high - 1)
        rows.append((condition, _percent(str(arm), ALONE), mine.groupby(_CELL).ngroups, *share))
    columns = ["condition", "percent", "cells", "share", "low", "high"]
    return pd.DataFrame(rows, columns=columns).sort_values(["condition", "percent"])


def judge(
    values: pd.DataFrame, margins: Margins, screening: int, confirmation: int
) -> pd.DataFrame:
    """Give a verdict in every try, a row each.

    A try is what ``manualbp gate`` does: ``screening`` processes on each side for every cell, and
    ``confirmation`` further ones for the unsettled cells, which those judge.  With equal arms
    every cell of a pair of arms is a try.  With slower arms one cell of one side is replaced by
    its slowed values, everything else stays equal, and that cell is the try.

    Columns: ``condition``, ``percent`` (0 for equal arms), the cell's, ``family`` (which tries
    were judged together), ``change``, ``verdict``, and ``asv``: whether asv's own rule calls the
    same values worse.
    """
    rows = []
    for condition, mine in values.groupby("condition", sort=False):
        sides = _by_arm(mine, screening + confirmation)
        equal = sorted(arm for arm in sides if arm.startswith(EQUAL))
        for one, other in itertools.combinations(equal, 2):
            family = f"{condition} {one} {other}"
            table = _two_stages(sides[one], sides[other], margins, screening)
            for row in records(table):
                cell = tuple(_plain(row[column]) for column in _CELL)
                if cell in sides[one] and cell in sides[other]:
                    rows.append(_try(condition, 0, cell, family, row, sides[one], sides[other]))
        for arm in sorted(arm for arm in sides if arm.startswith(SLOWED)):
            for (one, other), cell in itertools.product(_neighbours(equal), sides[arm]):
                head = {**sides[other], cell: sides[arm][cell]}
                table = _two_stages(sides[one], head, margins, screening)
                row = next(
                    row
                    for row in records(table)
                    if tuple(_plain(row[column]) for column in _CELL) == cell
                )
                family = f"{condition} {arm} {one} {other} {cell}"
                percent = _percent(arm, SLOWED)
                rows.append(_try(condition, percent, cell, family, row, sides[one], head))
    columns = ["condition", "percent", *_CELL, "family", "change", "verdict", "asv"]
    return pd.DataFrame(rows, columns=columns)


def rates(tries: pd.DataFrame) -> pd.DataFrame:
    """Count what was called slower, by condition and size, with 95 % Clopper-Pearson bounds.

    Columns: ``condition``, ``percent``, ``tries``, ``slower``, ``rate``, ``low``, ``high``,
    ``asv`` (how many by asv's rule), ``families`` and ``families_slower`` (with any cell slower).
    """
    judged = tries[tries["verdict"] != NOT_MEASURED]
    rows = []
    for (condition, percent), mine in judged.groupby(["condition", "percent"], sort=False):
        slower = mine["verdict"] == SLOWER
        low, high = clopper_pearson(int(slower.sum()), len(mine))
        families = slower.groupby(mine["family"]).any()
        counts = (len(mine), int(slower.sum()), slower.mean(), low, high, int(mine["asv"].sum()))
        rows.append((condition, percent, *counts, len(families), int(families.sum())))
    columns = ["condition", "percent", "tries", "slower", "rate", "low", "high", "asv"]
    table = pd.DataFrame(rows, columns=[*columns, "families", "families_slower"])
    return table.sort_values(["condition", "percent"], ascending=[False, True], ignore_index=True)


def clopper_pearson(successes: int, tries: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a probability (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(successes, tries - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, tries - successes, 1 - tail) if successes < tries else 1.0
    return float(low), float(high)


def asv_calls_worse(base: Sequence[float], head: Sequence[float]) -> bool:
    """Tell whether ``asv compare`` would call the head worse, from its samples.

    At least seven on a side are needed: with fewer asv compares intervals, not samples.
    """
    from scipy.stats import mannwhitneyu

    if np.median(head) <= ASV_FACTOR * np.median(base):
        return False
    return bool(mannwhitneyu(base, head).pvalue < ASV_P)


# ---------------------------------------------------------------- from values to verdicts

_Arm = dict[tuple[object, ...], list[float]]


def _percent(arm: str, prefix: str) -> float:
    return float(arm.removeprefix(prefix))


def _plain(value: object) -> object:
    return None if pd.isna(value) else value  # type: ignore[call-overload]


def _by_arm(values: pd.DataFrame, processes: int) -> dict[str, _Arm]:
    """Return each arm's values by cell, in order of rounds; cells with too few are left out."""
    arms: dict[str, _Arm] = {}
    ordered = values.sort_values("round", kind="stable")
    for (arm, *cell), mine in ordered.groupby(["arm", *_CELL], dropna=False, sort=False):
        if len(mine) >= processes:
            key = tuple(_plain(value) for value in cell)
            arms.setdefault(str(arm), {})[key] = mine["value"].tolist()[:processes]
    return arms


def _neighbours(arms: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each arm once as the base, the next one as the head."""
    return zip(arms, [*arms[1:], *arms[:1]], strict=True)


def _two_stages(base: _Arm, head: _Arm, margins: Margins, screening: int) -> pd.DataFrame:
    first = slice(0, screening)
    known = _of_cells(margins, base)
    table = compare(_frame(base, first), _frame(head, first), known, paired=True)
    unsettled = [cell for cell in unsettled_cells(table) if cell in base and cell in head]
    if not unsettled:
        return table
    rest = slice(screening, None)
    chosen = {cell: base[cell] for cell in unsettled}
    again = {cell: head[cell] for cell in unsettled}
    known = _of_cells(margins, chosen)
    second = compare(_frame(chosen, rest), _frame(again, rest), known, paired=True)
    return confirmed(table, second)


def _of_cells(margins: Margins, cells: _Arm) -> Margins:
    known = {cell[1:] for cell in cells}
    return {cell: margin for cell, margin in margins.items() if cell in known}


def _frame(arm: _Arm, part: slice) -> pd.DataFrame:
    """Return values as a run's table, as ``load_results`` would."""
    rows = []
    for cell, values in arm.items():
        samples = tuple(values[part])
        rows.append(
            dict.fromkeys(COLUMNS)
            | dict(zip(_CELL, cell, strict=True))
            | {"kind": "ratio", "status": OK, "version": "", **dict.fromkeys(RUN, "")}
            | {"value": estimate(samples).value, "processes": len(samples), "samples": samples}
            | {"discarded": 0}
        )
    return pd.DataFrame(rows, columns=COLUMNS) if rows else empty()


def _try(
    condition: object,
    percent: float,
    cell: tuple[object, ...],
    family: str,
    row: dict[str, object],
    base: _Arm,
    head: _Arm,
) -> tuple[object, ...]:
    worse = asv_calls_worse(base[cell], head[cell])
    return (condition, percent, *cell, family, row["change"], row["verdict"], worse)
