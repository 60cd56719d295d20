"""Looks: the number of a gradient's colour and marker, the same in every figure of a run."""

from collections import Counter

import pandas as pd

from manualbp.cases import BASELINE
from manualbp.reading.frame import distinct

LOOKS = 7
"""How many looks there are, the tape's included, which is 0."""


def looks_of(frame: pd.DataFrame) -> dict[str, int]:
    """Return the look of every gradient in a table, whatever its name.

    Gradients take a look that none has, in the order in which they appear.  Where there are more
    gradients than looks, those of different workloads share one; those of one workload, which
    stand in one figure, do so only where that workload alone has more gradients than looks.
    """
    found = {BASELINE: 0}
    uses: Counter[int] = Counter()
    pairs = frame[["workload", "gradient"]].drop_duplicates()
    workloads = {name: set(mine["workload"]) for name, mine in pairs.groupby("gradient")}
    for gradient in distinct(frame["gradient"]):
        if gradient in found:
            continue
        mine = workloads[gradient]
        beside = {look for name, look in found.items() if workloads.get(name, set()) & mine}
        free = [look for look in range(1, LOOKS) if look not in beside] or range(1, LOOKS)
        found[gradient] = min(free, key=lambda look: (uses[look], look))
        uses[found[gradient]] += 1
    return found
