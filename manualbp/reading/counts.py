"""Exact counts of two runs, compared by equality: a change of kind, whatever the clock says."""

import math

import pandas as pd

from manualbp.reading.frame import check_one_run
from manualbp.reading.schema import QUANTITIES
from manualbp.reading.verdicts import CELL, NOT_MEASURED, Cells, by_cell, named_alike, value_of


def structure(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """List the exact counts of two runs that differ, or that cannot be compared.

    A changed count is a change of kind: another program is run, whatever the clock says.
    Columns: ``CELL``, ``unit``, ``base`` and ``head`` (float, NaN if not measured), and
    ``outcome``: ``changed``, ``not measured`` (on one side only), or ``not comparable`` (another
    TensorFlow version or number of cores, on which counts depend).
    """
    check_one_run(base)
    check_one_run(head)
    right = _exact(head)
    left = named_alike(_exact(base), right)
    alike = all(set(base[column].dropna()) == set(head[column].dropna()) for column in _SETTING)
    rows = []
    for cell in dict.fromkeys([*right, *left]):
        before, after = left.get(cell), right.get(cell)
        values = [value_of(before), value_of(after)]
        # Measured on neither side (an absent device), or equal.
        if values[0] == values[1] or all(map(math.isnan, values)):
            continue
        outcome = "changed" if alike else "not comparable"
        if any(map(math.isnan, values)):
            outcome = NOT_MEASURED
        unit = next(row["unit"] for row in (after, before) if row is not None)
        rows.append((*cell, unit, *values, outcome))
    table = pd.DataFrame(rows, columns=[*CELL, "unit", "base", "head", "outcome"])
    return table.astype({"batch": "Int64"})


def counted(frame: pd.DataFrame) -> int:
    """Return how many exact counts a run holds."""
    return sum(not math.isnan(value_of(row)) for row in _exact(frame).values())


# ---------------------------------------------------------------- from runs to counts

_SETTING = ("tensorflow", "cores")


def _exact(frame: pd.DataFrame) -> Cells:
    names = [name for name, quantity in QUANTITIES.items() if quantity.exact]
    return by_cell(frame[frame["quantity"].isin(names)])
