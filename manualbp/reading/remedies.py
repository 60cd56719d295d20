"""What to do about cells that are neither *same* nor *faster*: the commands that measure them."""

from typing import Any

import pandas as pd

from manualbp.reading.again import gate_command, run_command, together
from manualbp.reading.frame import records
from manualbp.reading.settling import NO_MARGIN
from manualbp.reading.verdicts import ANOTHER_VERSION, FASTER, SAME

SETTLED_OTHERWISE = (NO_MARGIN, ANOTHER_VERSION)
"""Reasons that a further measurement does not change."""

Commits = tuple[str, str]
"""Base and head, as ``manualbp gate`` takes them."""


def commits_of(base: pd.DataFrame, head: pd.DataFrame) -> Commits | None:
    """Return the commits of two runs, or nothing where a gate cannot measure what was compared.

    It measures two commits in one environment on one machine.
    """
    if base.empty or head.empty:
        return None
    one, other = base.iloc[0], head.iloc[0]
    alike = all(one[column] == other[column] for column in ("machine", "environment"))
    commits = (one["commit"], other["commit"])
    dirty = any("-" in commit for commit in commits)
    if dirty or not alike or commits[0] == commits[1]:
        return None
    return commits[0][:8], commits[1][:8]


def again(cells: pd.DataFrame, commits: Commits | None) -> list[str]:
    """Return the commands that measure again the cells that are neither *same* nor *faster*.

    Those that another measurement cannot settle are left out.  The commands are a gate's on
    ``commits``, with as many processes as settle a cell where that is known; without commits they
    are a run's, for the checkout of each side.
    """
    fine = cells["verdict"].isin([SAME, FASTER]) | cells["reason"].isin(SETTLED_OTHERWISE)
    rows = [
        row
        for row in records(cells[~fine])
        # A name with a line's end in it is nobody's benchmark.
        if isinstance(row["bench"], str) and row["bench"].isprintable()
    ]
    if commits is None:
        return [run_command(bench) for bench in together([row["bench"] for row in rows])]
    counted = [row for row in rows if not pd.isna(row["more_processes"])]
    others = [row for row in rows if pd.isna(row["more_processes"])]
    processes = max(map(_enough, counted), default=None)
    return [
        *(gate_command(*commits, bench) for bench in together([r["bench"] for r in others])),
        *(
            gate_command(*commits, bench, processes)
            for bench in together([r["bench"] for r in counted])
        ),
    ]


def settled_by(row: dict[str, Any]) -> str:
    """Return what would settle a cell, with the time that takes where it is known."""
    minutes = row["minutes"]
    if pd.isna(minutes):
        return str(row["remedy"])
    return f"{row['remedy']} (about {max(1, round(minutes))} min)"


def _enough(row: dict[str, Any]) -> int:
    """Return how many processes settle a cell that is measured afresh, as a gate does."""
    return int(max(row["base_processes"], row["head_processes"]) + row["more_processes"])
