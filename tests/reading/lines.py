"""Tables in the shape of ``load_results`` over several commits, from values given by hand."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from manualbp.reading.frame import empty
from manualbp.reading.schema import COLUMNS

START = pd.Timestamp("2025-10-01", tz="UTC")


def hash_of(number: int) -> str:
    """A commit's hash that does not sort like its number."""
    return f"{(7 * number + 3) % 1009:08x}{'0' * 32}"


def cell(number: int, value: float | Sequence[float], **columns: Any) -> dict[str, Any]:
    """One row: the ``number``-th commit of a line, its value or the values of its processes."""
    samples = tuple(value) if isinstance(value, Sequence) else ()
    if samples:
        value = math.exp(math.fsum(map(math.log, samples)) / len(samples))
    date = START + pd.Timedelta(days=number)
    row = dict.fromkeys(COLUMNS)
    row |= {"machine": "laptop", "cpu": "A CPU", "cores": 2, "python": "3.11"}
    row |= {"environment": "py3.11-tf2.20", "tensorflow": "2.20", "commit": hash_of(number)}
    row |= {"date": date, "started": date + pd.Timedelta(hours=1)}
    row |= {"benchmark": "ratios.Step.ratio_to_tape", "version": "1", "quantity": "ratio_to_tape"}
    row |= {"kind": "ratio", "unit": "ratio", "workload": "exercise", "gradient": "chain"}
    row |= {"mode": "eager", "device": "CPU:0", "batch": 8, "status": "ok", "value": value}
    row |= {"low": math.nan, "high": math.nan, "processes": len(samples), "samples": samples}
    row["discarded"] = 0
    return row | columns


def line(values: Sequence[float | Sequence[float]], **columns: Any) -> list[dict[str, Any]]:
    """The rows of one line, a commit for each value."""
    return [cell(number, value, **columns) for number, value in enumerate(values)]


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    """The table with these rows in this order, the columns typed as ``load_results`` does."""
    return pd.DataFrame(list(rows), columns=COLUMNS).astype(empty().dtypes.to_dict())


def count(**columns: Any) -> dict[str, Any]:
    """The columns of a counted quantity, for ``line``."""
    quantity = {"benchmark": "tracked.track_error_ulp", "quantity": "track_error_ulp"}
    return {**quantity, "kind": "track", "unit": "ulp", **columns}
