"""Several cells measured in one process, each with a value of its own.

Cells of one workload, mode, device and batch share what is slow to make: the problem, what the
oracles say of it, the tape, the compiled programs.  Ratios over the same baseline are measured by
turns (``measure.ratios``).  A cell that fails is one failed cell beside the others.
"""

import importlib
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from asv_runner.benchmarks._base import Benchmark, _get_first_attr
from asv_runner.benchmarks.mark import SkipNotImplemented
from asv_runner.discovery import get_benchmark_from_name

from manualbp.measuring import kept
from manualbp.measuring.asv_types import XLA_CACHE, Prepared, Ratio, absent_devices_skip

Cell = dict[str, Any]
"""What the process made of a cell: its ``name`` (asv's, with the index of its parameters),
``status`` (ok, disturbed, failed, skipped), ``value``, ``reason``, ``seconds`` and
``disturbance``."""


def run_together(leader: Benchmark, names: Sequence[str]) -> dict[str, Any]:
    """Measure the cells named, ``leader`` the first; return asv's result with all in ``cells``.

    The suite's attribute ``compiled`` is a folder in which XLA keeps and finds its programs, and
    the oracles what they say, so that both are made once for several processes.  It is never given
    where compiling is measured.
    """
    compiled = _get_first_attr(leader._attr_sources, "compiled", None)
    if compiled:
        # Read when XLA is first used, which in this process is later.
        flags = os.environ.get("TF_XLA_FLAGS", "")
        os.environ["TF_XLA_FLAGS"] = f"{flags} {XLA_CACHE}={compiled}".strip()
        kept.folder = Path(compiled)
    own, *others = names
    listed = {own: leader} | {name: _benchmark(name, leader) for name in others}
    ratios = {name: one for name, one in listed.items() if isinstance(one, Ratio)}
    cells = _measure(ratios)
    for name, benchmark in listed.items():
        if name not in ratios:
            cells += _measure({name: benchmark})
    # asv's own protocol; whoever asked for the cells reads those.
    return {"samples": [None], "number": 1, "cells": cells}


def _benchmark(name: str, leader: Benchmark) -> Benchmark:
    """Find another benchmark of the leader's suite, and give it the leader's attributes."""
    # The last source of attributes is the suite's module; the method may be defined elsewhere.
    package, _, _ = leader._attr_sources[-1].__name__.partition(".")
    (root,) = importlib.import_module(package).__path__
    benchmark = get_benchmark_from_name(root, name)
    benchmark._attr_sources.insert(0, leader._attr_sources[0])
    return benchmark


def _measure(benchmarks: dict[str, Any]) -> list[Cell]:
    """Prepare each benchmark, then measure those that could be prepared."""
    cells: dict[str, dict[str, Any]] = {}
    prepared: dict[str, Any] = {}
    spent: dict[str, float] = {}
    for name, benchmark in benchmarks.items():
        started = perf_counter()
        try:
            with absent_devices_skip():
                prepared[name] = _prepare(benchmark)
        except Exception as error:
            cells[name] = _unmeasured(name, error)
        spent[name] = perf_counter() - started
    started = perf_counter()
    cells |= _values(benchmarks, prepared)
    for name in prepared:
        spent[name] += (perf_counter() - started) / len(prepared)
    return [{"name": name, **cells[name], "seconds": round(spent[name], 3)} for name in benchmarks]


def _values(benchmarks: dict[str, Any], prepared: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Measure what was prepared, by turns; one after the other if that fails."""
    if not prepared:
        return {}
    first = benchmarks[next(iter(prepared))]
    if not isinstance(first, Prepared):  # asv's own types return what they measured
        return {name: _tracked(value) for name, value in prepared.items()}
    try:
        with absent_devices_skip():  # a generator prepares when it is asked for the first time
            timings = first.measure(list(prepared.values()))
    except Exception as error:
        if len(prepared) == 1:
            return {name: _unmeasured(name, error) for name in prepared}
        alone = ({name: what} for name, what in prepared.items())
        return {name: cell for one in alone for name, cell in _values(benchmarks, one).items()}
    return {
        name: _cell(
            "disturbed" if timing.reason else "ok",
            timing.value,
            timing.reason,
            timing.disturbance,
        )
        for name, timing in zip(prepared, timings, strict=True)
    }


def _tracked(value: Any) -> dict[str, Any]:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return _cell("ok", value)
    return _cell("failed", reason=f"returned {value!r:.80}, which is no finite number")


def _prepare(benchmark: Any) -> Any:
    parameters = benchmark._build_params()
    if tuple(benchmark._current_params) in benchmark._skip_tuples:
        raise SkipNotImplemented("no cell of the suite")
    return benchmark.func(*parameters)


def _cell(
    status: str,
    value: float | None = None,
    reason: str = "",
    disturbance: dict[str, float | None] | None = None,
) -> dict[str, Any]:
    return {"status": status, "value": value, "reason": reason, "disturbance": disturbance}


def _unmeasured(name: str, error: Exception) -> dict[str, Any]:
    if isinstance(error, SkipNotImplemented):
        return _cell("skipped", reason=str(error))
    print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    return _cell("failed", reason=f"{type(error).__name__}: {error}")
