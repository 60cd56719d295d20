"""TensorFlow's steps beside those of other libraries: which cells stand in one table.

A table holds ratios over one yardstick, a row of cells for each step.  It is there only where a
cell that another library has a part in was tried.
"""

from typing import Any, NamedTuple

import pandas as pd

from manualbp.reading.frame import distinct, records
from manualbp.reading.schema import CONTEXT, SKIPPED

_TABLES = (
    ("Step over the step in NumPy", ("ratio_peer_to_numpy", "ratio_to_numpy")),
    ("Step over JAX's jit(value_and_grad)", ("ratio_to_jax",)),
    (
        "100 SGD steps in one call over the same in numba's loop",
        ("ratio_peer_sgd_to_floor", "ratio_sgd_to_floor"),
    ),
)
"""Titles, and the quantities that share a yardstick: other libraries' first, then TensorFlow's."""


class Table(NamedTuple):
    """Ratios over one yardstick: rows of ``load_results``, and ``step``, what they are called."""

    title: str
    rows: pd.DataFrame


def tables(here: pd.DataFrame) -> list[Table]:
    """Return the tables of one workload and device, without cells that were skipped."""
    tried = here[here["status"] != SKIPPED]
    found = []
    for title, quantities in _TABLES:
        rows = tried[tried["quantity"].isin(quantities)]
        if rows["quantity"].isin(CONTEXT).any():
            places = rows["quantity"].map(quantities.index).sort_values(kind="stable")
            rows = rows.loc[places.index]
            found.append(Table(title, rows.assign(step=list(map(_name, records(rows))))))
    return found


def skipped(here: pd.DataFrame) -> list[str]:
    """Name the other libraries' steps that were skipped altogether, in a place with tables."""
    peers = here[here["peer"].notna()]
    tried = set(peers.loc[peers["status"] != SKIPPED, "peer"])
    return [name for name in distinct(peers["peer"]) if name not in tried]


def _name(row: dict[str, Any]) -> str:
    if pd.notna(row["peer"]):
        return str(row["peer"])
    return f"TensorFlow: {row['gradient']}, {row['mode']}"
