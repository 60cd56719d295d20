"""From a checked result file to the cells of the table: case, status and numbers of each."""

import ast
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from manualbp.reading import journal, renamed
from manualbp.reading.again import bench_of
from manualbp.reading.intervals import estimate
from manualbp.reading.machines import whole
from manualbp.reading.schema import (
    DISTURBED,
    FAILED,
    IMPLIED_DEVICES,
    IMPLIED_MODES,
    OK,
    QUANTITIES,
    SKIPPED,
    Quantity,
    ResultsError,
)

LARGEST_TIME = 8.64e15
"""Milliseconds since the epoch, of the last moment that a calendar has."""


def run_columns(result: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return the columns that all cells of a result file share."""
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
        "date": _moment(result.get("date")),
    }


def _flags(variables: object) -> str | None:
    """Return the environment variables that asv set as ``NAME=value``, separated by spaces."""
    if not isinstance(variables, dict):
        return None
    return _text(" ".join(f"{name}={value}" for name, value in sorted(variables.items())))


def _text(fact: object) -> str | None:
    """Return a fact as text, for a column has one type; asv writes what is unknown as empty."""
    return str(fact) if fact else None


def _moment(stored: object) -> int | None:
    """Return milliseconds since the epoch; nothing for what is no such number."""
    number = _number(stored)
    return int(number) if abs(number) < LARGEST_TIME else None


def quantity_of(name: str) -> str:
    """Return what a benchmark measures, the last component of its name."""
    return name.rpartition(".")[2]


def stored_rows(
    result: Mapping[str, Any],
    told: Mapping[journal.Key, journal.Told],
    benchmarks: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the benchmarks of a result file: each name, and its row by column.

    Of benchmarks that only the journal knows, for none had a sample, each cell has a row.
    """
    yield from result["results"].items()
    for name in dict.fromkeys(name for name, _, _ in told):
        known = QUANTITIES.get(quantity_of(name))
        names = benchmarks.get(name, {}).get("param_names") or (known.parameters if known else None)
        if name in result["results"] or names is None:
            continue
        version, cells = journal.newest_of(told, name)
        for parameters, cell in cells.items():
            if len(parameters) == len(names):
                value = None if cell.last == FAILED else math.nan
                yield (
                    name,
                    {
                        "params": [[parameter] for parameter in parameters],
                        "version": version,
                        "result": [value],
                        "samples": [None],
                    },
                )


def cells_of(
    origin: str,
    facts: Mapping[str, Any],
    name: str,
    stored: Mapping[str, Any],
    benchmark: Mapping[str, Any],
    told: Mapping[journal.Key, journal.Told],
) -> Iterator[dict[str, Any]]:
    """Yield a benchmark's cells, one for each combination of its parameters."""
    quantity = quantity_of(name)
    known = QUANTITIES.get(quantity)
    params = [list(map(str, values)) for values in stored["params"]]
    combinations = itertools.product(*params)
    shared = {
        **facts,
        "started": _moment(stored.get("started_at")),
        "benchmark": name,
        "version": _text(stored.get("version")),
        "quantity": quantity,
        "kind": benchmark.get("type") or (known.kind if known else None),
        "unit": benchmark.get("unit") or (known.unit if known else None),
    }
    names = _parameter_names(len(params), benchmark, known)
    cells = []
    measured = zip(combinations, stored["result"], stored["samples"], strict=True)
    for combination, result, values in measured:
        case = _case(dict(zip(names, combination, strict=True)), quantity)
        try:
            outcome = _outcome(result, values, shared["kind"], ours=known is not None)
        except ValueError as error:
            raise ResultsError(
                f"{origin}({', '.join(combination)}): {error}; measure it again"
            ) from error
        key = (name, str(shared["version"]), combination)
        outcome |= _explained(outcome["status"], told.get(key))
        bench = _bench(name, combination)
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
        fits = type(value) is int and 0 < value < 2**63  # a bool is not a batch
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
        estimate([outcome["value"]])  # refuses what is not positive, beside good samples as well
        if values:
            known = estimate(values)
            outcome |= {"value": known.value, "low": known.low, "high": known.high}
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
