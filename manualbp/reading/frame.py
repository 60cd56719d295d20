"""asv's result files as one table, a row for each cell, and what follows from it: speedups."""

import ast
import itertools
import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from manualbp.cases import BASELINE, EXERCISE
from manualbp.reading import journal, renamed
from manualbp.reading.again import bench_of
from manualbp.reading.intervals import Estimate, estimate, product, ratio
from manualbp.reading.machines import tell_apart, whole

OK, FAILED, SKIPPED, DISTURBED = "ok", "failed", "skipped", "disturbed"
"""A cell's status: a number, an error or a timeout, not applicable on that machine, or values that
were all discarded because the machine was busy."""

INTERLEAVED, SEPARATE = "interleaved", "separate"
"""Where a speedup comes from: both gradients in one process by turns, or each in its own."""

RUN = ["machine", "environment", "commit"]
"""The columns that tell one run from another."""

CASE = ["workload", "gradient", "mode", "device", "batch"]
"""The columns that tell one case from another."""

COLUMNS = [
    *("machine", "cpu", "cores", "memory", "system"),
    *("python", "environment", "tensorflow", "flags"),
    *("commit", "date", "started"),
    *("benchmark", "version", "quantity", "kind", "unit"),
    *(*CASE, "peer", "steps_per_call", "parameters", "bench"),
    *("status", "value", "low", "high", "processes", "samples", "discarded", "reason"),
]
"""The columns of ``load_results``, in order."""


class ResultsError(ValueError):
    """Results that cannot be read, or that are not there; the message says what to do."""


class Quantity(NamedTuple):
    """What a benchmark of this project's suite measures: asv's kind, its unit, its parameters.

    ``exact`` is a number that repeats bit for bit: compared by equality, never by statistics.
    ``context`` is one that other libraries have a part in: shown, never judged, for their releases
    move it as well as a commit here.
    """

    kind: str
    unit: str
    parameters: tuple[str, ...]
    exact: bool = False
    context: bool = False


_NO_GRADIENT = ("workload", "mode", "device", "batch")
_NO_MODE = ("workload", "gradient", "device", "batch")
_NO_DEVICE = ("workload", "gradient", "mode", "batch")
_NO_BATCH = ("workload", "gradient", "mode", "device")

QUANTITIES = {
    "steady_step": Quantity("time", "seconds", tuple(CASE)),
    "steady_forward": Quantity("time", "seconds", tuple(CASE)),
    "steady_backward": Quantity("time", "seconds", _NO_MODE),
    "steady_numpy": Quantity("time", "seconds", ("workload", "batch")),
    "steady_empty": Quantity("time", "seconds", _NO_GRADIENT),
    "steady_sgd": Quantity("time", "seconds", (*CASE, "steps_per_call")),
    "first_call": Quantity("time", "seconds", tuple(CASE)),
    "first_trace": Quantity("time", "seconds", tuple(CASE)),
    "first_execution": Quantity("time", "seconds", tuple(CASE)),
    "ratio_to_tape": Quantity("ratio", "ratio", tuple(CASE)),
    "ratio_to_tape_one_thread": Quantity("ratio", "ratio", tuple(CASE)),
    "ratio_to_numpy": Quantity("ratio", "ratio", tuple(CASE)),
    "ratio_concrete_to_call": Quantity("ratio", "ratio", tuple(CASE)),
    "ratio_tape_to_tape": Quantity("ratio", "ratio", _NO_GRADIENT),
    "ratio_numpy_to_numpy": Quantity("ratio", "ratio", ("workload",)),
    "ratio_peer_to_numpy": Quantity("ratio", "ratio", ("workload", "peer", "batch"), context=True),
    "ratio_to_jax": Quantity("ratio", "ratio", _NO_DEVICE, context=True),
    "ratio_sgd_to_floor": Quantity("ratio", "ratio", _NO_DEVICE, context=True),
    "ratio_peer_sgd_to_floor": Quantity(
        "ratio", "ratio", ("workload", "peer", "batch"), context=True
    ),
    "track_error_ulp": Quantity("track", "ulp", tuple(CASE)),
    "track_peak_memory": Quantity("track", "bytes", tuple(CASE)),
    "track_peak_memory_import": Quantity("track", "bytes", ()),
    "track_eager_operations": Quantity("track", "operations", _NO_MODE, exact=True),
    "track_graph_nodes": Quantity("track", "nodes", _NO_MODE, exact=True),
    "track_xla_instructions": Quantity("track", "instructions", _NO_MODE, exact=True),
    "track_xla_fusions": Quantity("track", "fusions", _NO_MODE, exact=True),
    "track_xla_kernels": Quantity("track", "kernels", _NO_MODE, exact=True),
    "track_xla_flops": Quantity("track", "flops", _NO_MODE, exact=True),
    "track_xla_bytes": Quantity("track", "bytes", _NO_MODE, exact=True),
    "track_xla_temporary_bytes": Quantity("track", "bytes", _NO_MODE, exact=True),
    "track_traces": Quantity("track", "traces", _NO_BATCH, exact=True),
    "track_compilations": Quantity(
        "track", "compilations", ("workload", "gradient", "device"), exact=True
    ),
}
"""The suite's benchmarks by the last component of their names.

``benchmarks.json`` has the last word; this table stands in where that file is missing, and says
which benchmarks are ours.
"""

IMPLIED_MODES = {
    "steady_backward": "eager",  # the tape's pass alone has a time only in eager mode
    "track_eager_operations": "eager",
    "track_graph_nodes": "graph",
    "track_compilations": "xla",
    **dict.fromkeys((name for name in QUANTITIES if name.startswith("track_xla_")), "xla"),
}
"""The mode of a benchmark that exists in one only and therefore has no such parameter."""

CONTEXT = [name for name, quantity in QUANTITIES.items() if quantity.context]
"""The quantities that other libraries have a part in."""

IMPLIED_DEVICES = dict.fromkeys(CONTEXT, "CPU:0")
"""The device of a benchmark that is measured on one only and therefore has no such parameter."""


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

    ``ResultsError`` is raised when there is no such path, no result in it, or a file that is
    broken or not asv's.
    """
    path = Path(path)
    if not path.exists():
        raise ResultsError(
            f"{path}: expected asv's results, found no such path; run `asv run` or correct the path"
        )
    folder = path if path.is_dir() else path.parent
    benchmarks = _load_benchmarks(folder)
    rows: list[tuple[Any, ...]] = []  # a long history would not fit as dicts
    as_row = itemgetter(*COLUMNS)
    unnamed: set[str] = set()
    for file in _result_files(path):
        result = _load_result(file)
        told = journal.told(file)
        for name, stored in (*_stored(result), *_unstored(result, told, benchmarks)):
            if (
                stored.get("params")
                and name not in benchmarks
                and _quantity(name) not in QUANTITIES
            ):
                unnamed.add(name)
            origin = f"{file}: {name}"
            described = benchmarks.get(name, {})
            cells = _cells(origin, _facts(result, file), name, stored, described, told)
            rows += map(as_row, cells)
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
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def speedups(frame: pd.DataFrame) -> pd.DataFrame:
    """Return how many times as fast as the tape every other gradient is, a row for each case.

    Columns besides those of the run (``machine``, ``environment``, ``commit``) and of the case
    (``workload``, ``gradient``, ``mode``, ``device``, ``batch``):

    - ``status``: ``ok``, ``failed``, ``skipped`` or ``disturbed``; a failed or disturbed
      interleaved ratio makes the case so, even if separate times exist
    - ``speedup``: the tape's time over the gradient's; above 1 is faster (float, NaN unless ok)
    - ``low``, ``high``: its 95 % interval (float)
    - ``error``, ``freedom``: standard error of the speedup's natural logarithm and its degrees of
      freedom, which is what it takes to combine cases (float)
    - ``source``: ``interleaved`` from ``ratio_to_tape``, or ``separate`` from the times of
      ``steady_step`` in different processes, which are far noisier
    - ``processes``: values behind it; of the gradient with fewer when separate (int)
    - ``discarded``: values discarded as disturbed, of both gradients when separate (int)
    - ``reason``: why it is not ``ok``, where that is known (text)

    A case of which nothing was tried, or the tape's side was not, has no row.
    """
    rows = []
    for run, cells in frame.groupby(RUN, sort=False):
        ratios = _by_case(cells, "ratio_to_tape")
        steps = _by_case(cells, "steady_step")
        for case in dict.fromkeys([*ratios, *steps]):
            workload, gradient, *rest = case
            if gradient == BASELINE:
                continue
            outcome = _interleaved(ratios.get(case))
            if outcome is None or outcome.status == SKIPPED:
                tape = steps.get((workload, BASELINE, *rest))
                outcome = _separate(steps.get(case), tape) or outcome
            if outcome is not None:
                rows.append((*run, *case, *_speedup_columns(outcome)))
    columns = ["status", "speedup", "low", "high", "error", "freedom", "source", "processes"]
    columns += ["discarded", "reason"]
    table = pd.DataFrame(rows, columns=[*RUN, *CASE, *columns])
    types = {"batch": "Int64", "processes": "int64", "discarded": "int64"}
    types |= dict.fromkeys(["speedup", "low", "high", "error", "freedom"], "float64")
    return table.astype(types)


# ---------------------------------------------------------------- from files to rows


def _result_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(
        file
        for pattern in ("*.json", "*/*.json")
        for file in path.glob(pattern)
        if file.name not in ("benchmarks.json", "machine.json")
    )
    if not files:
        raise ResultsError(
            f"{path}: expected asv result files (<machine>/<commit>-<environment>.json), "
            "found none; run `asv run` or give the results directory"
        )
    return files


def _load_json(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text)
        if "\\ud" in text.lower():  # half of a surrogate pair is JSON, but no text
            json.dumps(content, ensure_ascii=False).encode("utf-8")
        return content
    except OSError as error:
        raise ResultsError(f"{file}: cannot be read ({error.strerror}); check the file") from error
    except (ValueError, RecursionError) as error:  # broken JSON, not even text, too deep
        raise ResultsError(
            f"{file}: expected JSON, got something else ({error}); restore or remove the file"
        ) from error


def _load_benchmarks(folder: Path) -> dict[str, dict[str, Any]]:
    for file in (folder / "benchmarks.json", folder.parent / "benchmarks.json"):
        if file.is_file():
            content = _load_json(file)
            if not isinstance(content, dict):
                raise ResultsError(
                    f"{file}: expected an object of benchmarks, got {type(content).__name__}; "
                    "run `asv run --bench just-discover` to write it anew"
                )
            # The file's own "version" stands between the benchmarks.
            return {name: entry for name, entry in content.items() if isinstance(entry, dict)}
    return {}


def _load_result(file: Path) -> dict[str, Any]:
    content = _load_json(file)
    needed = {"commit_hash", "params", "result_columns", "results"}
    missing = needed - set(content) if isinstance(content, dict) else needed
    if missing:
        raise ResultsError(
            f"{file}: expected an asv result file, but it lacks {', '.join(sorted(missing))}; "
            "give asv's own results, or run `asv update` if they are old"
        )
    version = content.get("version", 2)
    if version != 2:
        raise ResultsError(
            f"{file}: expected asv's result format 2, got {version!r}; run `asv update`"
        )
    shapes = {"params": dict, "result_columns": list, "results": dict}
    for key, shape in shapes.items():
        if not isinstance(content[key], shape):
            raise ResultsError(
                f"{file}: expected {key!r} to be a {shape.__name__}, "
                f"got {type(content[key]).__name__}; restore or remove the file"
            )
    for name, row in content["results"].items():
        if not isinstance(row, list):
            raise ResultsError(
                f"{file}: expected the row of {name} to be a list, got {type(row).__name__}; "
                "restore or remove the file"
            )
    return dict(content)


def _facts(result: Mapping[str, Any], file: Path) -> dict[str, Any]:
    params, required = result["params"], result.get("requirements")
    required = required if isinstance(required, dict) else {}
    return {
        "machine": _text(params.get("machine")) or file.parent.name,
        "cpu": _text(params.get("cpu")),
        "cores": whole(params.get("num_cpu")),
        "memory": whole(params.get("ram")),
        "system": _text(params.get("os")),
        "python": _text(params.get("python") or result.get("python")),
        "environment": _text(result.get("env_name")) or "unknown",
        "tensorflow": _text(params.get("tensorflow") or required.get("tensorflow")),
        "flags": _flags(result.get("env_vars")),
        "commit": str(result["commit_hash"]),
        "date": result.get("date"),
    }


def _flags(variables: object) -> str | None:
    """Return the environment variables that asv set as ``NAME=value``, separated by spaces."""
    if not isinstance(variables, dict):
        return None
    return _text(" ".join(f"{name}={value}" for name, value in sorted(variables.items())))


def _text(fact: object) -> str | None:
    """Return a fact as text, for a column has one type; asv writes what is unknown as empty."""
    return str(fact) if fact else None


def _quantity(name: str) -> str:
    return name.rpartition(".")[2]


def _stored(result: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the benchmarks of a result file: each name, and its row by column."""
    for name, row in result["results"].items():
        yield name, dict(zip(result["result_columns"], row, strict=False))


def _unstored(
    result: Mapping[str, Any],
    told: Mapping[journal.Key, journal.Told],
    benchmarks: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the cells, a row each, of benchmarks that only the journal knows: none had a sample."""
    for name in dict.fromkeys(name for name, _, _ in told):
        known = QUANTITIES.get(_quantity(name))
        names = benchmarks.get(name, {}).get("param_names") or (known.parameters if known else None)
        if name in result["results"] or names is None:
            continue
        version, cells = journal.newest_of(told, name)
        for parameters, cell in cells.items():
            if len(parameters) == len(names):
                value = None if cell.last == FAILED else math.nan
                params = [[parameter] for parameter in parameters]
                yield name, {"params": params, "version": version, "result": [value]}


def _cells(
    origin: str,
    facts: Mapping[str, Any],
    name: str,
    stored: Mapping[str, Any],
    benchmark: Mapping[str, Any],
    told: Mapping[journal.Key, journal.Told],
) -> Iterator[dict[str, Any]]:
    """Yield a benchmark's cells, one for each combination of its parameters."""
    quantity = _quantity(name)
    known = QUANTITIES.get(quantity)
    params = stored.get("params") or []
    combinations = list(itertools.product(*params))
    results, samples = (
        _column(origin, key, stored.get(key), len(combinations)) for key in ("result", "samples")
    )
    if not len(results) == len(samples) == len(combinations):
        raise ResultsError(
            f"{origin}: expected {len(combinations)} results and samples, one for each combination "
            f"of parameters, got {len(results)} and {len(samples)}; measure again"
        )
    shared = {
        **facts,
        "started": stored.get("started_at"),
        "benchmark": name,
        "version": _text(stored.get("version")),
        "quantity": quantity,
        "kind": benchmark.get("type") or (known.kind if known else None),
        "unit": benchmark.get("unit") or (known.unit if known else None),
    }
    names = _parameter_names(len(params), benchmark, known)
    cells = []
    for combination, result, values in zip(combinations, results, samples, strict=True):
        case = _case(dict(zip(names, combination, strict=True)), quantity)
        try:
            outcome = _outcome(result, values, shared["kind"], ours=known is not None)
        except ValueError as error:
            raise ResultsError(
                f"{origin}({', '.join(map(str, combination))}): {error}; measure it again"
            ) from error
        key = (name, str(shared["version"]), tuple(map(str, combination)))
        outcome |= _explained(outcome["status"], told.get(key))
        bench = _bench(name, tuple(map(str, combination)))
        cells.append({**shared, **case, "bench": bench, **outcome})
    several = "workload" in names and len(params[names.index("workload")]) > 1
    yield from _of_the_suite(cells) if several else cells


def _of_the_suite(cells: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the cells whose workload has any value with their gradient, and any at their batch.

    Where nothing at all was tried, nothing tells which are cells, and all are.
    """
    columns = ("gradient", "batch")
    tried = {
        (cell["workload"], column, cell[column])
        for cell in cells
        for column in columns
        if cell["status"] != SKIPPED
    }
    for cell in cells:
        if not tried or all((cell["workload"], name, cell[name]) in tried for name in columns):
            yield cell


def _column(origin: str, key: str, stored: object, count: int) -> list[Any]:
    """Return a stored column with one entry for each of ``count`` combinations of parameters."""
    if not stored:  # asv shortens a list of nulls to one null: every cell failed
        return [None] * count
    if not isinstance(stored, list):
        raise ResultsError(
            f"{origin}: expected {key!r} to be a list, got {type(stored).__name__}; measure again"
        )
    if key == "samples" and count == 1 and not isinstance(stored[0], list | None):
        return [stored]  # `asv update` leaves samples of a benchmark without parameters so
    return stored


def _parameter_names(
    count: int, benchmark: Mapping[str, Any], known: Quantity | None
) -> Sequence[str]:
    """Name ``count`` parameters; the suite may have changed since they were stored."""
    for names in (benchmark.get("param_names"), known.parameters if known else None):
        if names is not None and len(names) == count:
            return renamed.parameters(names)
    return [f"param{number}" for number in range(1, count + 1)]


def _case(parameters: Mapping[str, str], quantity: str) -> dict[str, Any]:
    """Return the columns of a case from the reprs that asv stores."""
    names = ("workload", "gradient", "mode", "device", "peer")
    numbers = ("batch", "steps_per_call")
    values = {name: _literal(parameters[name]) for name in (*names, *numbers) if name in parameters}
    case: dict[str, Any] = {}
    for column in names:
        case[column] = str(values[column]) if column in values else None
    for column in numbers:
        value = values.get(column)
        fits = type(value) is int and abs(value) < 2**63  # a bool is not a batch
        case[column] = value if fits else None
    case["workload"], case["gradient"] = renamed.case(case["workload"], case["gradient"])
    # Another suite's batch may be a word, and then has no column either.
    rest = [f"{name}={text}" for name, text in parameters.items() if case.get(name) is None]
    case["parameters"] = ", ".join(rest) or None
    case["mode"] = case["mode"] or IMPLIED_MODES.get(quantity)
    case["device"] = case["device"] or IMPLIED_DEVICES.get(quantity)
    return case


_bench = lru_cache(maxsize=16384)(bench_of)  # a history has the same cells in every file


@lru_cache(maxsize=4096)  # a history has the same few texts in every file
def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text  # a repr that is no literal


def _outcome(
    result: Any, samples: Sequence[float] | None, kind: str | None, *, ours: bool
) -> dict[str, Any]:
    """Return a cell's status and numbers; ``ValueError`` for times that cannot be."""
    values = tuple(map(_number, samples)) if samples else ()
    outcome: dict[str, Any] = {"value": math.nan, "low": math.nan, "high": math.nan}
    outcome |= {"processes": 0, "samples": ()}
    if not isinstance(result, int | float):
        return {"status": FAILED, **outcome}
    if math.isnan(_number(result)):
        return {"status": SKIPPED, **outcome}
    outcome |= {"value": _number(result), "processes": len(values), "samples": values}
    # Only our own suite is known to store one positive value for each process.
    if ours and kind in ("time", "ratio"):
        if values:
            known = estimate(values)
            outcome |= {"value": known.value, "low": known.low, "high": known.high}
        else:
            estimate([outcome["value"]])  # refuses what is not positive
    return {"status": OK, **outcome}


def _explained(status: str, told: journal.Told | None) -> dict[str, Any]:
    """Return what the journal adds to a cell: its status, values discarded, and the reason."""
    if told is None:
        return {"discarded": 0, "reason": None}
    if status != OK and told.last == DISTURBED:
        status = DISTURBED
    return {"status": status, "discarded": told.discarded, "reason": told.reasons.get(status)}


def _number(stored: object) -> float:
    """Return a stored number as float; one that is no number is NaN, one too large infinite."""
    if not isinstance(stored, int | float):
        return math.nan
    try:
        return float(stored)
    except OverflowError:  # tracked whole numbers know no bound
        return math.inf if stored > 0 else -math.inf


def _as_frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame.from_records(rows, columns=COLUMNS)
    for column in ("date", "started"):
        frame[column] = pd.to_datetime(frame[column], unit="ms", utc=True, errors="coerce")
    types = dict.fromkeys(["cores", "memory", "batch", "steps_per_call"], "Int64")
    types |= dict.fromkeys(["processes", "discarded"], "int64")
    return frame.astype({**types, "value": "float64", "low": "float64", "high": "float64"})


# ---------------------------------------------------------------- from rows to speedups

_Case = tuple[Any, ...]


class _Outcome(NamedTuple):
    status: str
    estimate: Estimate | None
    source: str
    processes: int
    discarded: int
    reason: str | None = None


def _by_case(cells: pd.DataFrame, quantity: str) -> dict[_Case, dict[str, Any]]:
    chosen = cells[(cells["quantity"] == quantity) & cells[CASE].notna().all(axis="columns")]
    return {tuple(row[column] for column in CASE): row for row in records(chosen)}


def _estimate(row: Mapping[str, Any]) -> Estimate:
    return estimate(row["samples"] or (row["value"],))


def _interleaved(row: Mapping[str, Any] | None) -> _Outcome | None:
    if row is None:
        return None
    if row["status"] != OK:
        return _Outcome(row["status"], None, INTERLEAVED, 0, row["discarded"], row["reason"])
    known = product((_estimate(row),), (-1,))
    return _Outcome(OK, known, INTERLEAVED, row["processes"], row["discarded"])


def _separate(row: Mapping[str, Any] | None, tape: Mapping[str, Any] | None) -> _Outcome | None:
    if row is None or tape is None:
        return None
    discarded = row["discarded"] + tape["discarded"]
    for status in (FAILED, DISTURBED, SKIPPED):
        for side in (row, tape):
            if side["status"] == status:
                return _Outcome(status, None, SEPARATE, 0, discarded, side["reason"])
    known = ratio(tape["samples"] or (tape["value"],), row["samples"] or (row["value"],))
    processes = min(row["processes"], tape["processes"])
    return _Outcome(OK, known, SEPARATE, processes, discarded)


def _speedup_columns(outcome: _Outcome) -> tuple[Any, ...]:
    known = outcome.estimate
    numbers = [math.nan] * 5
    if known is not None:
        numbers = [known.value, known.low, known.high, known.error, known.freedom]
    return (
        *(outcome.status, *numbers, outcome.source, outcome.processes),
        *(outcome.discarded, outcome.reason),
    )
