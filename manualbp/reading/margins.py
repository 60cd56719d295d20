"""Margins: for each cell, the change that equal commits show on a machine."""

from pathlib import Path

import pandas as pd

from manualbp.reading import renamed
from manualbp.reading.frame import records
from manualbp.reading.schema import CASE, ResultsError
from manualbp.reading.staging import staged
from manualbp.reading.verdicts import Margins

FILE = "margins.csv"
"""Beside a machine's results; not JSON, which asv would take for a result."""

CEILING = 0.1
"""A cell that would need a wider margin has none, and is shown without being gated."""

COLUMNS = ["quantity", *CASE, "margin", "within", "deviation", "processes"]
"""``deviation`` is the standard deviation between processes, ``within`` that within a round, and
``processes`` how many they are from."""


def load_margins(path: Path) -> Margins:
    """Read a machine's margins, fractions by cell; none at all where there is no such file.

    ``ResultsError`` is raised for a file that is no table of margins, or has one that is not
    positive or above :data:`CEILING`: whoever may edit the file could let anything pass with it.
    """
    if not path.is_file():
        return {}
    try:
        table = renamed.table(pd.read_csv(path)).astype({"batch": "Int64", "margin": "float64"})
        rows = records(table[["quantity", *CASE, "margin"]])
    except (ValueError, TypeError, KeyError, OverflowError, OSError) as error:
        raise ResultsError(
            f"{path}: expected a table with {', '.join(COLUMNS)} ({error}); calibrate again"
        ) from error
    margins = {}
    for row in rows:
        margin = row["margin"]
        if not 0 < margin <= CEILING:
            raise ResultsError(
                f"{path}: a margin must be positive and at most {CEILING:g}, got "
                f"{row['margin']!r}; --margin sets a wider one for all cells"
            )
        cell = (row["quantity"], *(row[column] for column in CASE))
        margins[tuple(None if pd.isna(value) else value for value in cell)] = margin
    return margins


def save_margins(margins: pd.DataFrame, path: Path) -> None:
    """Write a machine's margins, a row for each cell with the columns :data:`COLUMNS`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged(path.parent, path.name) as new:
        margins[COLUMNS].to_csv(
            new / path.name, index=False, float_format="%.6g", lineterminator="\n"
        )
