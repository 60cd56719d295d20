"""Which batches are named on an axis: as many as can be read."""

import math
from collections.abc import Sequence


def labelled(batches: Sequence[int], characters: float, beyond: float) -> list[int]:
    """Return the batches, in order, whose labels stand clear of one another on a logarithmic axis.

    The largest is always among them.  ``characters`` is the axis' length in digits; it extends
    beyond the smallest and the largest batch by the factor ``beyond``.
    """
    ordered = sorted(set(batches))
    last = ordered[-1]
    unit = characters / math.log(last / ordered[0] * beyond**2)

    def clear(one: int, other: int) -> bool:
        length = (len(str(one)) + len(str(other))) / 2
        return math.log(other / one) * unit > length + 1

    kept: list[int] = []
    for batch in ordered[:-1]:
        if clear(batch, last) and (not kept or clear(kept[-1], batch)):
            kept.append(batch)
    return [*kept, last]
