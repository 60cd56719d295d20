"""A cell of the suite, and what one process made of it."""

import math
import re
import signal
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One cell of one benchmark, and how many processes it is to be measured in.

    ``names`` are those of its ``parameters``, which are reprs.  Cells of the same ``process`` may
    share one; with none, a cell has a process of its own.
    """

    benchmark: str
    index: int
    names: tuple[str, ...]
    parameters: tuple[str, ...]
    rounds: int
    process: str = ""

    def __str__(self) -> str:
        values = ", ".join(value.strip("'") for value in self.parameters)
        return f"{self.benchmark}({values})" if values else self.benchmark

    @property
    def quantity(self) -> str:
        """What is measured: the last component of the benchmark's name."""
        return self.benchmark.rpartition(".")[2]

    @property
    def asv_text(self) -> str:
        """What the regular expressions of asv's ``--bench`` are matched with."""
        if not self.parameters:
            return self.benchmark
        return f"{self.benchmark}({', '.join(self.parameters)})"

    @property
    def asv_name(self) -> str:
        """What asv's runner calls the cell."""
        return f"{self.benchmark}-{self.index}" if self.parameters else self.benchmark


@dataclass(frozen=True)
class Outcome:
    """What one process made of a cell.

    ``status`` is ``ok``, ``disturbed`` (a value that is no sample), ``failed``, ``skipped``, or
    ``unfinished``: the run's time was over first.  ``seconds`` is the cell's share of the process.
    ``samples``, each of ``number`` calls, are those of a benchmark of one of asv's own types.
    """

    status: str
    reason: str = ""
    value: float = math.nan
    seconds: float = 0.0
    disturbance: dict[str, float | None] | None = None
    samples: tuple[float, ...] = ()
    number: int = 1

    @property
    def stored(self) -> list[float]:
        """The values that asv is to store: this process's one, or the many of asv's own types."""
        return list(self.samples) or [self.value]


def outcome(entry: Mapping[str, Any], seconds: float) -> Outcome:
    """Read what the process says of a cell (``manualbp.measuring.together``)."""
    value = math.nan if entry["value"] is None else entry["value"]
    return Outcome(entry["status"], entry["reason"], value, seconds, entry["disturbance"])


def checked(found: Outcome, kind: str) -> Outcome:
    """Return what a process made of a cell; failed, where that is a value that cannot be.

    ``kind`` is asv's type of the benchmark: times and ratios are positive.
    """
    if found.status != "ok":
        return found
    positive = kind in ("time", "ratio")
    values = found.stored if positive else [found.value]
    wrong = [v for v in values if not math.isfinite(v) or (positive and v <= 0)]
    if not wrong:
        return found
    what = kind if positive else "finite number"
    return Outcome("failed", f"measured {wrong[0]!r}, which is no {what}", seconds=found.seconds)


def plain_outcome(result: Any, output: str, seconds: float) -> Outcome:
    """Read a result as asv's runner gives it: null, a number, NaN for none, or samples."""
    if isinstance(result, dict) and result.get("samples") and "number" in result:
        samples = tuple(result["samples"])
        value = statistics.median(samples)
        return Outcome("ok", "", value, seconds, None, samples, int(result["number"]))
    if result is None:
        return Outcome("failed", last_line(output), seconds=seconds)
    if not isinstance(result, int | float):
        return Outcome("failed", f"returned {result!r:.80}, which is no number", seconds=seconds)
    if math.isnan(result):
        said = re.search(r"asv: (skipped|disturbed): (.*)", output)
        status, reason = said.groups() if said else ("skipped", "")
        return Outcome(status, reason, seconds=seconds)
    return Outcome("ok", "", result, seconds)


def timed_out(limit: float, seconds: float, *, unfinished: bool) -> Outcome:
    """Say that a process took too long: by itself, or for the time that its run had left."""
    if unfinished:
        return Outcome("unfinished", "the time of the run was over", seconds=seconds)
    return Outcome("failed", f"took longer than {limit:.0f} s", seconds=seconds)


def crashed(output: str, status: int, seconds: float, *, memory_ran_out: bool = False) -> Outcome:
    """Say why a process gave no result: a signal's name, or the last thing it said."""
    if status >= 0:
        return Outcome("failed", last_line(output), seconds=seconds)
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    why = ": the machine's memory ran out" if memory_ran_out and name == "SIGKILL" else ""
    return Outcome("failed", f"killed by {name}{why}", seconds=seconds)


def last_line(output: str) -> str:
    """Return the last line of a program's output that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
