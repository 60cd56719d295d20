"""Finding the runs that a comparison is about: by commit, by file, by directory."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from manualbp.reading.frame import latest_run, load_results, runs
from manualbp.reading.machines import tell_apart
from manualbp.reading.schema import RUN, ResultsError

Resolve = Callable[[str], str | None]
"""Returns the full hash of what a person calls a commit (``HEAD^``), or None."""


def find_runs(
    base: str, head: str, results: Path, machine: str | None, resolve: Resolve
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of two runs, each named by a path or by a commit in ``results``.

    A path is a result file, or a folder, of which the newest run is taken.  A commit is a hash,
    its first digits, or whatever ``resolve`` knows.  Two commits are looked for on the same
    machine and in the same environment.  ``ResultsError`` is raised when there is no such run, or
    more than one pair of them.  Two machines of one name are told apart
    (``machines.tell_apart``).
    """
    if Path(base).exists() or Path(head).exists():
        sides = [_one(side, results, machine, resolve) for side in (base, head)]
        left, right = tell_apart(sides)
        return left, right
    frame = _of_machine(load_results(results), machine)
    left, right = (_of_commit(frame, side, results, resolve) for side in (base, head))
    shared = [run for run in _runs(left) if run in _runs(right)]
    if not shared:
        raise ResultsError(
            f"{base} and {head} were not measured on the same machine in the same environment; "
            "name two result files to compare across them"
        )
    if len(shared) > 1:
        places = ", ".join("/".join(run) for run in shared)
        raise ResultsError(f"both were measured in {places}; give --machine or two result files")
    return _of_run(left, shared[0]), _of_run(right, shared[0])


def _one(side: str, results: Path, machine: str | None, resolve: Resolve) -> pd.DataFrame:
    if Path(side).exists():
        return latest_run(_of_machine(load_results(side), machine))
    frame = _of_machine(load_results(results), machine)
    return latest_run(_of_commit(frame, side, results, resolve))


def _of_machine(frame: pd.DataFrame, machine: str | None) -> pd.DataFrame:
    if machine is None:
        return frame
    chosen = frame[frame["machine"] == machine]
    if chosen.empty:
        known = ", ".join(sorted(set(frame["machine"])))
        raise ResultsError(f"no results of machine {machine!r}; there are {known}")
    return chosen


def _of_commit(frame: pd.DataFrame, name: str, results: Path, resolve: Resolve) -> pd.DataFrame:
    """Return the rows of the commit that ``name`` stands for."""
    commit = resolve(name) or name
    known = list(dict.fromkeys(frame["commit"]))
    found = [full for full in known if full.startswith(commit)]
    if len(found) != 1:
        what = "several commits" if found else "no results of a commit"
        resolved = f" ({name})" if commit != name else ""
        raise ResultsError(
            f"{results}: {what} {commit[:12]}{resolved}; there are "
            f"{', '.join(full[:8] for full in known)}; measure it with 'manualbp run'"
        )
    chosen: pd.DataFrame = frame[frame["commit"] == found[0]]
    return chosen


def _runs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    table = runs(frame)
    return list(zip(table["machine"], table["environment"], strict=True))


def _of_run(frame: pd.DataFrame, run: tuple[str, str]) -> pd.DataFrame:
    machine, environment = RUN[:2]
    return frame[(frame[machine] == run[0]) & (frame[environment] == run[1])]
