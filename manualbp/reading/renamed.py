"""What older files call by another name, so that everything behind the readers knows one alone.

What is differentiated was called a *network*.  The exercise's other loss, from the logits, had no
workload of its own: its gradients stood among the exercise's, as ``stable`` and, for its tape,
``stable_tape``.
"""

from collections.abc import Sequence

import pandas as pd

_LOGITS = {"stable": "fused", "stable_tape": "tape"}


def parameters(names: Sequence[str]) -> list[str]:
    """Return the names of a benchmark's parameters, or of a table's columns, as they are today."""
    if "workload" in names:
        return list(names)
    return ["workload" if name == "network" else name for name in names]


def case(workload: str | None, gradient: str | None) -> tuple[str | None, str | None]:
    """Return a workload and a gradient as they are called today."""
    if workload == "exercise" and gradient in _LOGITS:
        return "exercise-logits", _LOGITS[gradient]
    return workload, gradient


def table(stored: pd.DataFrame) -> pd.DataFrame:
    """Return a stored table with today's columns, workloads and gradients."""
    renamed = stored.set_axis(parameters(list(stored.columns)), axis="columns")
    pairs = zip(renamed["workload"], renamed["gradient"], strict=True)
    known = [case(workload, gradient) for workload, gradient in pairs]
    columns = ["workload", "gradient"]
    return renamed.assign(**pd.DataFrame(known, renamed.index, columns, dtype=object))
