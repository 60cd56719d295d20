"""Drives asv cell by cell in the current environment.

``asv run`` saves when everything is done, names an existing environment by its path and takes a
dirty tree for its last commit.  Here asv's own parts (discovery, fork server, result files) are
put together so that every cell is saved as soon as it is measured.  All that touches asv's
internals, which are not a public interface, is in this file; hence asv's version is bounded in
pyproject.toml.
"""

import ast
import datetime as dt
import itertools
import json
import logging
import math
import os
import re
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from asv import runner, util
from asv.benchmarks import Benchmarks
from asv.config import Config
from asv.environment import ExistingEnvironment, get_env_name
from asv.repo import get_repo
from asv.results import Results

from manualbp.cases import is_measured
from manualbp.cli.machine import register_machine
from manualbp.cli.tree import CONFIG, SuiteError, Tree, check_installation, describe_tree

WITHOUT_PEERS = r"^(?!peers\.)"
"""All benchmarks but those of other libraries, which are measured only where they are asked for:
they are context, and would take the time of what a run is about."""

DIRTY_RESULTS = Path(".asv/results-of-dirty-trees")


@dataclass(frozen=True)
class Source:
    """What is measured, and where its results go.

    ``packages`` is a folder that comes before the environment's own packages, where what is
    measured is not what is installed in this environment.
    """

    tree: Tree
    benchmarks: Path
    results: Path
    packages: Path | None = None


def checked_out(project: Path) -> Source:
    """Return the checked-out tree as it is installed in this environment."""
    check_installation(project)
    tree = describe_tree(project)
    try:
        config = Config.load(str(project / CONFIG))
    except util.UserError as error:
        raise SuiteError(f"asv cannot read {CONFIG}: {error}") from None
    results = DIRTY_RESULTS if tree.dirty else Path(config.results_dir)
    return Source(tree, project / config.benchmark_dir, project / results)


@dataclass(frozen=True)
class Cell:
    """One cell of one benchmark, and how many processes it is to be measured in."""

    benchmark: str
    index: int
    parameters: tuple[str, ...]
    rounds: int

    def __str__(self) -> str:
        values = ", ".join(value.strip("'") for value in self.parameters)
        return f"{self.benchmark}({values})" if values else self.benchmark


@dataclass(frozen=True)
class Outcome:
    """What one process made of a cell: ``ok`` and a value; ``failed`` or ``skipped``, and why."""

    status: str
    reason: str = ""
    value: float = math.nan


def results_folder(project: Path) -> Path:
    """Return the folder of the project's results, as asv's configuration names it."""
    try:
        return project / str(Config.load(str(project / CONFIG)).results_dir)
    except (util.UserError, ValueError) as error:  # the latter for what is not even JSON
        raise SuiteError(f"asv cannot read {CONFIG}: {error}") from None


class Suite:
    """The project's asv suite, discovered, with the results of one source open for writing.

    ``bench`` chooses benchmarks as asv's option does; without it, it is :data:`WITHOUT_PEERS`.
    """

    def __init__(self, project: Path, source: Source, machine: str, bench: str | None) -> None:
        os.chdir(project)
        self.source = source
        # asv leaves PYTHONPATH out and takes this in its place.
        variables = {("nobuild", "ASV_PYTHONPATH"): str(source.packages)} if source.packages else {}
        said: list[str] = []
        try:
            config = Config.load(CONFIG)
            config.benchmark_dir = str(source.benchmarks)
            config.results_dir = str(source.results)
            self._environment = ExistingEnvironment(config, sys.executable, {}, variables)
            with collected_log() as said:
                self._benchmarks = Benchmarks.discover(
                    *(config, get_repo(config), [self._environment], ["HEAD"]),
                    regex=[bench or WITHOUT_PEERS],
                )
        except util.UserError as error:
            reason = raised("\n".join(said)) or str(error) or last_line("\n".join(said))
            raise SuiteError(f"asv cannot read the suite: {reason}") from None
        except tomllib.TOMLDecodeError as error:  # asv reads it, whatever is measured
            raise SuiteError(f"asv cannot read pyproject.toml: {error}") from None
        except re.error as error:
            raise SuiteError(f"--bench {bench!r} is no regular expression: {error}") from None
        if not self._benchmarks:
            raise SuiteError(f"no benchmark matches --bench {bench!r}: see 'asv show' for names")
        self._config = config
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._results = self._open_results(machine)

    def _open_results(self, machine: str) -> Any:
        facts = register_machine(machine, self.source.results)
        self._save_benchmarks()
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        requirements = {"tensorflow": version("tensorflow")}
        parameters = {**facts, "python": python, **requirements}
        name = get_env_name("existing", python, requirements, {})
        tree = self.source.tree
        results = Results(parameters, requirements, tree.name, tree.date, python, name, {})
        results.load_data(str(self.source.results))
        self.results_file = self.source.results / results._filename
        return results

    def _save_benchmarks(self) -> None:
        """Have asv store what it discovered, unless that is stored: a run changes no such file."""
        file = Path(self._benchmarks.get_benchmark_file_path(str(self.source.results)))
        found = {**self._benchmarks._all_benchmarks, "version": self._benchmarks.api_version}
        with suppress(OSError, ValueError):
            if json.loads(file.read_text(encoding="utf-8")) == found:
                return
        self._benchmarks.save()

    def cells(self, *, devices: list[str] | None, quick: bool) -> list[Cell]:
        """List the cells to measure: all, those on ``devices``, or those of a quick look."""
        cells = []
        for name, benchmark in sorted(self._benchmarks.items()):
            selected = self._benchmarks.benchmark_selection.get(name)
            names = benchmark["param_names"]
            for index, values in enumerate(itertools.product(*benchmark["params"])):
                parameters = dict(zip(names, values, strict=True))
                if selected is not None and index not in selected:
                    continue
                if devices and parameters.get("device", repr(devices[0])) not in map(repr, devices):
                    continue
                if not is_in_suite(parameters) or (quick and not in_quick_look(name, parameters)):
                    continue
                rounds = 1 if quick else int(benchmark.get("rounds", 1))
                cells.append(Cell(name, index, values, rounds))
        return cells

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep asv's fork server running; it imports the suite once for all cells."""
        method = self._config.launch_method or "spawn"
        self._spawner = runner.get_spawner(
            self._environment, self._benchmarks.benchmark_dir, method
        )
        try:
            ready, output = self._spawner.preimport()
            if not ready:
                raise SuiteError(f"importing the suite failed: {last_line(output)}")
            yield
        finally:
            self._spawner.close()

    def measure(self, cell: Cell, attributes: dict[str, float]) -> Outcome:
        """Measure a cell in one fresh process, add the value to its others and save.

        Raises ``KeyboardInterrupt`` when interrupted; what is saved stays.
        """
        started = dt.datetime.now(dt.UTC)
        result = self._run(cell, attributes)
        self._seconds[cell.benchmark] += (dt.datetime.now(dt.UTC) - started).total_seconds()
        self._results.add_result(
            self._benchmarks[cell.benchmark],
            result,
            started_at=started,
            duration=self._seconds[cell.benchmark],
            record_samples=True,
            append_samples=True,
            selected_idx={cell.index},
        )
        self._save()
        return outcome(result, cell.index)

    def try_out(self, cell: Cell, attributes: dict[str, float]) -> Outcome:
        """Measure a cell in one fresh process and store nothing."""
        return outcome(self._run(cell, attributes), cell.index)

    def _run(self, cell: Cell, attributes: dict[str, float]) -> Any:
        try:
            return runner.run_benchmark(
                self._benchmarks[cell.benchmark],
                self._spawner,
                profile=False,
                selected_idx={cell.index},
                extra_params=attributes,
            )
        except util.UserError as error:  # asv's word for Ctrl-C
            raise KeyboardInterrupt from error

    def _save(self) -> None:
        # Written beside and renamed: whatever interrupts this, one whole file is there.
        with tempfile.TemporaryDirectory(dir=self.source.results, prefix=".saving-") as staging:
            self._results.save(staging)
            os.replace(Path(staging) / self._results._filename, self.results_file)


def outcome(result: Any, index: int) -> Outcome:
    """Read asv's three kinds of result: a number, null for failed, NaN for skipped."""
    value = result.result[index]
    if value is None:
        return Outcome("failed", last_line(result.stderr))
    if isinstance(value, float) and math.isnan(value):
        skipped = re.search(r"asv: skipped: (.*)", result.stderr)
        return Outcome("skipped", skipped.group(1) if skipped else "")
    # Of the suite's own types: this process's one value; of asv's: the number itself.
    samples = result.samples[index]
    return Outcome("ok", value=float(samples[0] if samples else value))


@contextmanager
def collected_log() -> Iterator[list[str]]:
    """Keep asv's log off the terminal, for it holds whole tracebacks; yields its messages."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger()  # asv's is the root
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def raised(output: str) -> str:
    """Return the last line of a program's output that names an exception, if any does."""
    found = re.findall(r"^\s*(\w+(?:Error|Exception)\b: .*)$", output, re.MULTILINE)
    return found[-1].strip() if found else ""


def last_line(output: str) -> str:
    """Return the last line of a program's output that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def is_in_suite(parameters: dict[str, str]) -> bool:
    """Tell whether the suite measures the case of these parameters, which are reprs."""
    names = ("network", "gradient", "batch")
    values = {name: ast.literal_eval(parameters[name]) for name in names if name in parameters}
    return is_measured(values.get("network"), values.get("gradient"), values.get("batch"))


def in_quick_look(benchmark: str, parameters: dict[str, str]) -> bool:
    """Tell whether a cell belongs to a quick look: steps and ratios of the exercise's network."""
    quantity = benchmark.rsplit(".", 1)[-1]
    return quantity in ("steady_step", "ratio_to_tape", "steady_numpy") and (
        parameters.get("network") == "'exercise'"
    )


def in_rounds(cells: list[Cell]) -> Iterator[tuple[int, list[Cell]]]:
    """Yield the cells of each round, so that a slow minute does not hit one cell's samples all."""
    for number in range(1, max((cell.rounds for cell in cells), default=0) + 1):
        yield number, [cell for cell in cells if number <= cell.rounds]
