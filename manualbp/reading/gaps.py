"""What a run lacks, by name: values discarded, cells without an interval, cells not reached.

A reader sees such cells as hatching and dots; a headline that averages over the others says which
they are.  Cells are named compactly: ``xla batch 512, 4096 (fused, packed)``.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from manualbp.cases import MODES
from manualbp.reading.frame import distinct, records
from manualbp.reading.schema import DISTURBED, OK, SKIPPED

NAMED = 6
"""Groups of cells named in one sentence; the rest are counted, and listed elsewhere."""

_GROUP = ["workload", "device", "quantity", "peer", "steps_per_call", "parameters"]

_Row = Mapping[str, Any]


def discarded(frame: pd.DataFrame) -> str:
    """Say how many of a run's values were discarded as disturbed; nothing where none were."""
    count = int(frame["discarded"].sum())
    if not count:
        return ""
    total = count + int(frame["processes"].sum())
    return f"{count:,} of {total:,} values discarded: the machine was busy."


def never_quiet(frame: pd.DataFrame) -> str:
    """Name the cells all of whose values were discarded; nothing where there is none."""
    disturbed = frame[frame["status"] == DISTURBED]
    if disturbed.empty:
        return ""
    groups = frame.groupby(_GROUP, sort=False, dropna=False).ngroup()
    said = []
    answer = disturbed["quantity"] == "ratio_to_tape"  # what the headline is about comes first
    for number in distinct([*groups[disturbed.index[answer]], *groups[disturbed.index]]):
        among = frame[groups == number]
        first = records(among)[0]
        place = [
            str(first[name]) for name in _GROUP if name != "quantity" and pd.notna(first[name])
        ]
        named = f"{', '.join(place)}: {first['quantity']}" if place else str(first["quantity"])
        said.append(f"{named} {name_cells(among[among['status'] == DISTURBED], among)}".rstrip())
    noun = "cell" if len(disturbed) == 1 else "cells"
    return f"{len(disturbed):,} {noun} never found a quiet moment: {_some(said)}."


def gaps(cells: pd.DataFrame) -> str:
    """Say which speedups of one workload and device have no interval, and which were not reached.

    ``cells`` are rows of ``speedups``.  A cell that was skipped for a known reason was reached.
    Nothing is said where every cell has an interval.
    """
    alone = cells[(cells["status"] == OK) & cells["low"].isna()]
    unreached = cells[(cells["status"] == SKIPPED) & cells["reason"].isna()]
    parts = []
    if len(alone):
        parts.append(f"no interval at {name_cells(alone, cells)}")
    if len(unreached):
        parts.append(f"not reached or not chosen: {name_cells(unreached, cells)}")
    return "; ".join(parts)


def no_interval(cells: Sequence[_Row]) -> str:
    """Say why the mean over measured cells has no interval: which batches have one process."""
    short = [row for row in cells if math.isnan(row["low"])]
    if all(row["processes"] == 0 for row in short):
        return "no interval: asv kept no samples"
    if len(short) == len(cells):
        return "no interval: one process" + (" at each batch" if len(cells) > 1 else "")
    return f"no interval: one process at batch {_listed(row['batch'] for row in short)}"


def over_batches(measured: Sequence[_Row], tried: pd.DataFrame) -> str:
    """Say how many of a gradient's batches a mean is over, and which it lacks; perhaps nothing.

    ``tried`` are all rows of that gradient in that mode.
    """
    known = {row["batch"] for row in measured}
    lacking = [batch for batch in sorted(distinct(tried["batch"])) if batch not in known]
    if not lacking:
        return ""
    return f"{len(known)} of {len(known) + len(lacking)} batches measured, not {_listed(lacking)}"


def name_cells(cells: pd.DataFrame, among: pd.DataFrame) -> str:
    """Name cells by mode, batches and gradients; ``among`` are all that there are.

    A mode that lacks everything is named alone, a gradient that lacks every batch without them,
    and a batch that lacks every gradient without those.
    """
    said = []
    for mode in [*distinct(among["mode"], MODES), None]:
        here = [(row["gradient"], row["batch"]) for row in records(_in_mode(cells, mode))]
        there = [(row["gradient"], row["batch"]) for row in records(_in_mode(among, mode))]
        said += _in_one_mode(mode, _plain(here), _plain(there))
    return _some(said)


def reason_of(row: _Row) -> str:
    """Return why a cell has no value, where the journal says so."""
    reason = row.get("reason")
    return reason if isinstance(reason, str) else ""


def with_reason(text: str, row: _Row) -> str:
    """Return a cell's words with its reason behind them, where there is one."""
    reason = reason_of(row)
    return f"{text}: {reason}" if reason else text


# ---------------------------------------------------------------- names

_Pairs = list[tuple[Any, Any]]


def _in_mode(cells: pd.DataFrame, mode: str | None) -> pd.DataFrame:
    return cells[cells["mode"].isna() if mode is None else cells["mode"] == mode]


def _plain(pairs: _Pairs) -> _Pairs:
    cleaned = [
        (None if pd.isna(gradient) else gradient, None if pd.isna(batch) else batch)
        for gradient, batch in pairs
    ]
    return list(dict.fromkeys(cleaned))


def _in_one_mode(mode: str | None, here: _Pairs, there: _Pairs) -> list[str]:
    if not here:
        return []
    if mode is not None and set(here) >= set(there):
        return [mode]
    gradients: list[Any] = []
    for gradient in dict.fromkeys(name for name, _ in here):
        mine = {batch for name, batch in here if name == gradient}
        if gradient is not None and mine >= {batch for name, batch in there if name == gradient}:
            gradients.append(gradient)
    by_gradients: dict[tuple[Any, ...], list[Any]] = {}
    for batch in sorted({batch for _, batch in here if batch is not None}):
        names = tuple(name for name, other in here if other == batch and name not in gradients)
        if names:
            by_gradients.setdefault(names, []).append(batch)
    said = [_words(mode, (), gradients)] if gradients else []
    for names, batches in by_gradients.items():
        whole = all(
            {name for name, other in there if other == batch} <= {*names} for batch in batches
        )
        said.append(_words(mode, batches, () if whole else names))
    return [text for text in said if text]


def _words(mode: str | None, batches: Sequence[Any], gradients: Sequence[Any]) -> str:
    parts = [mode] if mode is not None else []
    parts += [f"batch {_listed(batches)}"] if batches else []
    named = [str(name) for name in gradients if name is not None]
    parts += [f"({', '.join(named)})"] if named else []
    return " ".join(parts)


def _listed(values: Any) -> str:
    return ", ".join(map(str, values))


def _some(said: Sequence[str]) -> str:
    more = len(said) - NAMED
    listed = "; ".join(said[:NAMED])
    return listed if more <= 0 else f"{listed}; and {more} more"
