"""Speedups: how many times as fast as the tape, from ratios or from separate times."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from manualbp.cases import BASELINE
from manualbp.reading.frame import records
from manualbp.reading.intervals import Estimate, estimate, product, ratio
from manualbp.reading.schema import CASE, DISTURBED, FAILED, OK, RUN, SKIPPED

INTERLEAVED, SEPARATE = "interleaved", "separate"
"""Where a speedup comes from: both gradients in one process by turns, or each in its own."""


def speedups(frame: pd.DataFrame) -> pd.DataFrame:
    """Return how many times as fast as the tape every other gradient is, a row for each case.

    Columns besides those of the run (``machine``, ``environment``, ``commit``) and of the case
    (``workload``, ``gradient``, ``mode``, ``device``, ``batch``):

    - ``status``: ``ok``, ``failed``, ``skipped`` or ``disturbed``; a failed or disturbed
      interleaved ratio makes the case so, even if separate times exist
    - ``speedup``: the tape's time over the gradient's; above 1 is faster (float, NaN unless ok)
    - ``low``, ``high``: its 95 % interval (float)
    - ``error``, ``freedom``: standard error of the speedup's natural logarithm and its degrees of
      freedom, which is what it takes to combine cases (float)
    - ``source``: ``interleaved`` from ``ratio_to_tape``, or ``separate`` from the times of
      ``steady_step`` in different processes, which are far noisier
    - ``processes``: values behind it; of the gradient with fewer when separate (int)
    - ``discarded``: values discarded as disturbed, of both gradients when separate (int)
    - ``reason``: why it is not ``ok``, where that is known (text)

    A case of which nothing was tried, or the tape's side was not, has no row.
    """
    rows = []
    for run, cells in frame.groupby(RUN, sort=False):
        ratios = _by_case(cells, "ratio_to_tape")
        steps = _by_case(cells, "steady_step")
        for case in dict.fromkeys([*ratios, *steps]):
            workload, gradient, *rest = case
            if gradient == BASELINE:
                continue
            outcome = _interleaved(ratios.get(case))
            if outcome is None or outcome.status == SKIPPED:
                tape = steps.get((workload, BASELINE, *rest))
                outcome = _separate(steps.get(case), tape) or outcome
            if outcome is not None:
                rows.append((*run, *case, *_speedup_columns(outcome)))
    columns = ["status", "speedup", "low", "high", "error", "freedom", "source", "processes"]
    columns += ["discarded", "reason"]
    table = pd.DataFrame(rows, columns=[*RUN, *CASE, *columns])
    types = {"batch": "Int64", "processes": "int64", "discarded": "int64"}
    types |= dict.fromkeys(["speedup", "low", "high", "error", "freedom"], "float64")
    return table.astype(types)


_Case = tuple[Any, ...]


class _Outcome(NamedTuple):
    status: str
    estimate: Estimate | None
    source: str
    processes: int
    discarded: int
    reason: str | None = None


def _by_case(cells: pd.DataFrame, quantity: str) -> dict[_Case, dict[str, Any]]:
    chosen = cells[(cells["quantity"] == quantity) & cells[CASE].notna().all(axis="columns")]
    return {tuple(row[column] for column in CASE): row for row in records(chosen)}


def _estimate(row: Mapping[str, Any]) -> Estimate:
    return estimate(row["samples"] or (row["value"],))


def _interleaved(row: Mapping[str, Any] | None) -> _Outcome | None:
    if row is None:
        return None
    if row["status"] != OK:
        return _Outcome(row["status"], None, INTERLEAVED, 0, row["discarded"], row["reason"])
    known = product((_estimate(row),), (-1,))
    return _Outcome(OK, known, INTERLEAVED, row["processes"], row["discarded"])


def _separate(row: Mapping[str, Any] | None, tape: Mapping[str, Any] | None) -> _Outcome | None:
    if row is None or tape is None:
        return None
    discarded = row["discarded"] + tape["discarded"]
    for status in (FAILED, DISTURBED, SKIPPED):
        for side in (row, tape):
            if side["status"] == status:
                return _Outcome(status, None, SEPARATE, 0, discarded, side["reason"])
    known = ratio(tape["samples"] or (tape["value"],), row["samples"] or (row["value"],))
    processes = min(row["processes"], tape["processes"])
    return _Outcome(OK, known, SEPARATE, processes, discarded)


def _speedup_columns(outcome: _Outcome) -> tuple[Any, ...]:
    known = outcome.estimate
    numbers = [math.nan] * 5
    if known is not None:
        numbers = [known.value, known.low, known.high, known.error, known.freedom]
    return (
        *(outcome.status, *numbers, outcome.source, outcome.processes),
        *(outcome.discarded, outcome.reason),
    )
