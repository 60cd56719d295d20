"""What the oracles say of a problem, kept in a folder for the further processes of a run.

It depends on nothing but the problem's values and the code, and takes longer than some steps are
timed.  :data:`folder` is set by the process that is given one; without it nothing is kept.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.measuring.problem import Problem

folder: Path | None = None

Named = dict[str, Any]
"""Arrays, numbers and lists of them, or of texts, by name."""


def load(problem: Problem) -> Named | None:
    """Return what was kept of a problem of these very values, or ``None``."""
    if folder is None:
        return None
    try:
        with np.load(folder / name_of(problem), allow_pickle=False) as stored:
            return dict(stored)
    except FileNotFoundError:
        return None


def save(problem: Problem, named: Named) -> None:
    """Keep it, whole at any moment; nothing is done where there is no folder."""
    if folder is None:
        return
    file = folder / name_of(problem)
    unfinished = file.with_name(f"{os.getpid()}-{file.name}")
    np.savez(unfinished, **named)
    unfinished.replace(file)


def name_of(problem: Problem) -> str:
    """Name a file after the code, the workload and every value of its variables and data."""
    code = (__file__, problem.workload.loss.__module__)
    known = (*code, problem.workload.name, problem.device, problem.batch)
    digest = hashlib.sha256(repr(known).encode())
    for tensor in (*tf.nest.flatten(problem.variables), *problem.data):
        array = np.ascontiguousarray(tensor.numpy())
        digest.update(repr((array.shape, str(array.dtype))).encode())
        digest.update(array.tobytes())
    return f"{digest.hexdigest()}.npz"
