"""What is measured goes to asv's result file, which is whole at any moment, and to the journal."""

import datetime as dt
import fcntl
import json
import math
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from asv import runner, util
from asv.environment import get_env_name
from asv.results import Results

from manualbp.reading.journal import Fact, environments, read_facts
from manualbp.reading.staging import PREFIX, staged
from manualbp.running import environment
from manualbp.running.cells import Cell, Outcome
from manualbp.running.interrupts import interrupt_held_back
from manualbp.running.journal import ProcessRecord, append_environment, append_process, journal_of
from manualbp.running.machine import register_machine
from manualbp.running.tree import SuiteError, Tree


class Store:
    """The results of one tree on one machine in one folder, open for adding to them.

    Several may be open at once, in as many processes: each adds to what the others have saved.
    ``benchmarks`` are asv's, as discovered.
    """

    def __init__(self, folder: Path, tree: Tree, machine: str, benchmarks: Any) -> None:
        self._folder = folder
        self._benchmarks = benchmarks
        self._seconds: defaultdict[str, float] = defaultdict(float)
        facts = register_machine(machine, folder)
        with locked(folder):
            self._remove_leftovers()
            self._save_benchmarks()
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        requirements = {"tensorflow": version("tensorflow")}
        parameters = {**facts, "python": python, **requirements}
        name = get_env_name("existing", python, requirements, {})
        self._results = Results(parameters, requirements, tree.name, tree.date, python, name, {})
        self.file = folder / self._results._filename
        self._known: object = None
        self._read()
        self.journal = journal_of(self.file)
        self._facts = environment.facts()  # before the measuring itself is the machine's load
        self._check_settings()
        self._told = False

    def _check_settings(self) -> None:
        """Raise ``SuiteError`` where what is stored was measured under other settings than now's.

        Its values and new ones would become one sample, whose mean is nobody's time.
        """
        stored = environments(self.file)
        if not (stored and self.file.is_file()):
            return
        before, now = stored[-1], read_facts(self._facts)
        differing = [
            f"{name} {_said(before[name])}, not {_said(now[name])}"
            for name in environment.SETTINGS
            if name in before and before[name] != now[name]
        ]
        if differing:
            raise SuiteError(
                f"{self.file} was measured with {'; '.join(differing)}: values of both would "
                "become one sample; set it as it was, or store them apart with --machine NAME"
            )

    def _save_benchmarks(self) -> None:
        """Have asv store what it discovered, unless that is stored: a run changes no such file."""
        name = Path(self._benchmarks.get_benchmark_file_path("")).name
        found = {**self._benchmarks._all_benchmarks, "version": self._benchmarks.api_version}
        with suppress(OSError, ValueError):
            if json.loads((self._folder / name).read_text(encoding="utf-8")) == found:
                return
        content = (self._benchmarks._all_benchmarks, self._benchmarks.api_version)
        with staged(self._folder, name) as new:
            util.write_json(str(new / name), *content)

    def samples(self, cell: Cell) -> tuple[float, ...]:
        """Return the values that are stored of a cell, one for each process."""
        benchmark = self._benchmarks[cell.benchmark]
        if self._results.get_result_keys({cell.benchmark: benchmark}) != {cell.benchmark}:
            return ()  # not measured, or in another version
        results = self._results
        stored = results.get_result_samples(cell.benchmark, benchmark["params"])[cell.index]
        if stored:
            return tuple(stored)
        value = results.get_result_value(cell.benchmark, benchmark["params"])[cell.index]
        return () if util.is_na(value) else (float(value),)

    def add(self, outcomes: Mapping[Cell, Outcome], started: dt.datetime) -> None:
        """Add what one process made of its cells, and save."""
        self._tell(outcomes, started)
        with interrupt_held_back(), locked(self._folder):
            self._read()
            for cell, outcome in outcomes.items():
                # A process that failed is one failed process: it takes no value from the cell.
                if outcome.status == "ok" or not self.samples(cell):
                    self._add(cell, outcome, started)
            self._save()

    def _tell(self, outcomes: Mapping[Cell, Outcome], started: dt.datetime) -> None:
        """Append to the journal, which has the environment before a run's first process."""
        if not self._told:
            append_environment(self.journal, self._facts)
            self._told = True
        for cell, outcome in outcomes.items():
            if outcome.status != "unfinished":
                record = ProcessRecord(
                    cell.benchmark,
                    cell.parameters,
                    str(self._benchmarks[cell.benchmark]["version"]),
                    outcome.status,
                    started,
                    round(outcome.seconds, 3),
                    outcome.value,
                    outcome.reason,
                    outcome.disturbance,
                )
                append_process(self.journal, record)

    def _add(self, cell: Cell, outcome: Outcome, started: dt.datetime) -> None:
        if outcome.status == "unfinished":
            return
        benchmark = self._benchmarks[cell.benchmark]
        count = math.prod(map(len, benchmark["params"]))
        # asv's three kinds of result: a number, null for failed, NaN for what there is none of.
        result: list[Any] = [math.nan] * count
        samples: list[Any] = [None] * count
        number: list[Any] = [None] * count
        if outcome.status == "failed":
            result[cell.index] = None
        elif outcome.status == "ok" and benchmark["type"] in ("track", "peakmemory", "memory"):
            result[cell.index] = outcome.value
        elif outcome.status == "ok":
            result[cell.index] = True
            samples[cell.index], number[cell.index] = outcome.stored, outcome.number
        self._seconds[cell.benchmark] += outcome.seconds
        self._results.add_result(
            benchmark,
            runner.BenchmarkResult(result, samples, number, 0, outcome.reason, None),
            started_at=started,
            duration=self._seconds[cell.benchmark],
            record_samples=True,
            append_samples=True,
            selected_idx={cell.index},
        )

    def _read(self) -> None:
        """Read the file where another process has saved since it was read or saved here."""
        if (state := _state(self.file)) != self._known:
            self._results.load_data(str(self._folder))
            self._known = state

    def _save(self) -> None:
        with staged(self._folder, self._results._filename) as new:
            self._results.save(str(new))
        self._known = _state(self.file)

    def _remove_leftovers(self) -> None:
        """Remove what processes that were killed while they saved have left."""
        for folder in self._folder.glob(f"{PREFIX}*"):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time save in a folder; without effect where it cannot be locked."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # and with it the lock is given up


def _said(fact: Fact) -> str:
    return "unset" if fact is None else f"{fact}"


def _state(file: Path) -> tuple[int, int, int] | None:
    """Return what changes whenever a file is replaced; None where there is none."""
    with suppress(OSError):
        found = file.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size
    return None
