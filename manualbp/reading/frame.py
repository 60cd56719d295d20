"""asv's result files as one table, a row for each cell; its runs and what is chosen of them."""

import warnings
from collections.abc import Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd

from manualbp.cases import EXERCISE
from manualbp.reading import journal
from manualbp.reading.cells import cells_of, quantity_of, run_columns, stored_rows
from manualbp.reading.files import load_benchmarks, load_result, result_files
from manualbp.reading.machines import Facts, tell_apart
from manualbp.reading.schema import (
    COLUMNS,
    DISTURBED,
    FAILED,
    OK,
    QUANTITIES,
    RUN,
    SKIPPED,
    ResultsError,
)


def load_results(path: Path | str) -> pd.DataFrame:
    """Read asv's results into one table, a row for each cell.

    ``path`` is a results directory, one machine's folder in it, or one result file;
    ``benchmarks.json`` is looked for in the folder itself and in the one above, a file's journal
    (``manualbp.reading.journal``) beside it.  What older files call otherwise has the names of
    today (``manualbp.reading.renamed``).  asv stores the full product of a benchmark's parameters:
    in one over several workloads, gradients and batches of which a workload has no value at all
    are taken for combinations that the suite never had, and are left out.

    The columns (text unless a type is given; missing where a benchmark has no such parameter):

    - ``machine``, ``cpu``, ``python``: the machine's name, its processor, the Python version;
      machines of one name that are not one machine are told apart (``machines.tell_apart``)
    - ``cores``, ``memory``: how many cores and bytes the machine has, as asv stored it; missing
      where it stored none (Int64)
    - ``system``: the operating system and its release
    - ``flags``: environment variables that asv set; missing where there were none
    - ``environment``: asv's name of the environment, which holds the versions of requirements
    - ``tensorflow``: the version required of TensorFlow, missing where asv recorded none
    - ``commit``: full hash
    - ``date``, ``started``: when the commit was made and the benchmark started (UTC timestamps)
    - ``benchmark``, ``quantity``: asv's full name, and its last component
    - ``version``: of the benchmark; numbers of two versions are not to be compared
    - ``kind``: asv's type of benchmark, among others ``time``, ``ratio`` and ``track``
    - ``unit``: of ``value``, ``low``, ``high`` and ``samples``; ``seconds`` for times
    - ``workload``, ``gradient``, ``mode``, ``device``: the case's names
    - ``batch``: examples in a step (Int64)
    - ``peer``: the step in another library, for the ratios of those
    - ``steps_per_call``: SGD steps in one call, for ``steady_sgd`` (Int64)
    - ``parameters``: those of another suite's benchmark that have no column here, as asv wrote
      them: ``size=10, dtype='float'``
    - ``bench``: the regular expression that selects this cell alone, for ``manualbp run --bench``
    - ``status``: ``ok``, ``failed``, ``skipped`` or ``disturbed``: no sample, for the journal has
      values that were discarded because the machine was busy, and no later failure
    - ``value``: of times and ratios with samples, their geometric mean, which is what the interval
      is about; otherwise the number asv stored.  NaN unless ``ok`` (float)
    - ``low``, ``high``: the 95 % interval; NaN with fewer than two samples, and for tracked
      numbers (float)
    - ``processes``: how many samples there are, one for each process (int)
    - ``samples``: one value for each process (tuple of floats, perhaps empty)
    - ``discarded``: how many further values the journal has that were discarded as disturbed; 0
      where there is no journal (int)
    - ``reason``: why the cell failed, was skipped or is disturbed, by the newest line of the
      journal that says so of this version; missing if unknown

    ``ResultsError`` is raised when there is no such path, no result in it, a file that is broken or
    not asv's, or two files of one run.
    """
    path = Path(path)
    if not path.exists():
        raise ResultsError(
            f"{path}: expected asv's results, found no such path; run `asv run` or correct the path"
        )
    folder = path if path.is_dir() else path.parent
    benchmarks = load_benchmarks(folder)
    rows: list[tuple[Any, ...]] = []  # a long history would not fit as dicts
    as_row = itemgetter(*COLUMNS)
    unnamed: set[str] = set()
    files: dict[tuple[Any, ...], Path] = {}
    for file in result_files(path):
        result = load_result(file)
        facts = run_columns(result, file)
        other = files.setdefault(tuple(facts[column] for column in (*RUN, *Facts._fields)), file)
        if other != file:
            raise ResultsError(
                f"{file}: expected one file of a run, but {other} is of the same commit, machine "
                "and environment; remove the one that is a copy"
            )
        told = journal.told(file)
        for name, stored in stored_rows(result, told, benchmarks):
            named = name in benchmarks or quantity_of(name) in QUANTITIES
            if stored["params"] and not named:
                unnamed.add(name)
            described = benchmarks.get(name, {})
            rows += map(as_row, cells_of(f"{file}: {name}", facts, name, stored, described, told))
    if not rows:
        raise ResultsError(f"{path}: expected measured benchmarks, found none; run `asv run` first")
    if unnamed:
        warnings.warn(
            f"{path}: no benchmarks.json names the parameters of {', '.join(sorted(unnamed))}; "
            "the table calls them param1, param2, …",
            stacklevel=2,
        )
    return tell_apart([_as_frame(rows)])[0]


def empty() -> pd.DataFrame:
    """Return ``load_results``'s table without a row: a run of which nothing was measured."""
    return _as_frame([])


def runs(frame: pd.DataFrame) -> pd.DataFrame:
    """List the runs of ``load_results``'s table, the newest first.

    Columns: ``machine``, ``environment``, ``commit``, ``tensorflow``, ``date``, ``started`` (of
    the benchmark started last), and the numbers of cells ``ok``, ``failed``, ``skipped`` and
    ``disturbed``.
    """
    table = frame.groupby(RUN, sort=False, as_index=False).agg(
        tensorflow=("tensorflow", "first"),
        date=("date", "max"),
        started=("started", "max"),
        ok=("status", lambda status: int((status == OK).sum())),
        failed=("status", lambda status: int((status == FAILED).sum())),
        skipped=("status", lambda status: int((status == SKIPPED).sum())),
        disturbed=("status", lambda status: int((status == DISTURBED).sum())),
    )
    # A stable sort: runs without timestamps keep the order of their files.
    return table.sort_values(["started", "date"], ascending=False, kind="stable", ignore_index=True)


def latest_run(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the run (machine, environment, commit) that started a benchmark last."""
    if frame.empty:
        return frame
    newest = runs(frame).iloc[0]
    mask = pd.Series(True, index=frame.index)
    for column in RUN:
        mask &= frame[column] == newest[column]
    return frame[mask]


def only(frame: pd.DataFrame, column: str, names: Sequence[str] | None) -> pd.DataFrame:
    """Return the rows whose ``column`` holds one of ``names``; all rows when there are no names.

    ``ResultsError`` is raised for a name that is not in the column, and says which are.
    """
    if not names:
        return frame
    known = distinct(frame[column])
    for name in names:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there are none"
            raise ResultsError(f"no results of {column} {name!r}; {there}")
    return frame[frame[column].isin(names)]


def of_commit(frame: pd.DataFrame, commit: str | None) -> pd.DataFrame:
    """Return the rows of the commit whose hash begins with ``commit``; all rows for ``None``.

    ``ResultsError`` is raised unless there is exactly one such commit.
    """
    if commit is None:
        return frame
    hashes = distinct(runs(frame)["commit"])
    found = [full for full in hashes if full.startswith(commit)] if commit else []
    if len(found) != 1:
        what = "several commits" if found else "no results of a commit"
        raise ResultsError(
            f"{what} beginning with {commit!r}; there are {', '.join(h[:8] for h in hashes)}"
        )
    return frame[frame["commit"].isin(found)]


def check_one_run(frame: pd.DataFrame) -> None:
    """Raise ``ValueError`` when the table holds more runs than one: they must not be mixed."""
    count = len(frame[RUN].drop_duplicates())
    if count > 1:
        raise ValueError(f"expected the rows of one run, got {count} runs; see latest_run and runs")


def select(frame: pd.DataFrame, workload: str, device: str) -> pd.DataFrame:
    """Return a workload's rows on a device, those that concern no device (NumPy's) included."""
    here = (frame["device"] == device) | frame["device"].isna()
    return frame[(frame["workload"] == workload) & here]


def places(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the workloads and devices of a table together: the exercise, then as they appear."""
    pairs = frame[["workload", "device"]].dropna().drop_duplicates()
    found = pairs.itertuples(index=False, name=None)
    return sorted(found, key=lambda place: place[0] != EXERCISE)


def distinct(column: Iterable[Any], first: Sequence[Any] = ()) -> list[Any]:
    """Return a column's distinct values: those in ``first`` in its order, then as they appear."""
    found = [value for value in dict.fromkeys(column) if not pd.isna(value)]
    return [v for v in first if v in found] + [v for v in found if v not in first]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dicts from column to value, numbers as Python's own."""
    columns = [frame[column].tolist() for column in frame.columns]  # as Python's own numbers
    names = list(map(str, frame.columns))
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _as_frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame.from_records(rows, columns=COLUMNS)
    for column in ("date", "started"):
        frame[column] = pd.to_datetime(frame[column], unit="ms", utc=True, errors="coerce")
    types = dict.fromkeys(["cores", "memory", "batch", "steps_per_call"], "Int64")
    types |= dict.fromkeys(["processes", "discarded"], "int64")
    return frame.astype({**types, "value": "float64", "low": "float64", "high": "float64"})
