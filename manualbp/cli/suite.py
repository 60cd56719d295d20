"""Drives asv cell by cell in the current environment.

``asv run`` saves when everything is done, names an existing environment by its path and takes a
dirty tree for its last commit.  Here asv's own parts (discovery, fork server, result files) are
put together so that every cell is saved as soon as it is measured.  All that touches asv's
internals, which are not a public interface, is in this file, ``store.py`` and ``machine.py``;
hence asv's version is bounded in pyproject.toml.
"""

import datetime as dt
import itertools
import json
import logging
import os
import re
import struct
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from asv import runner, util
from asv.benchmarks import Benchmarks
from asv.config import Config
from asv.environment import ExistingEnvironment
from asv.repo import NoRepository, get_repo

import manualbp
from manualbp.cli.cells import (
    Cell,
    Outcome,
    crashed,
    last_line,
    outcome,
    plain_outcome,
    timed_out,
)
from manualbp.cli.interrupts import interrupt_held_back
from manualbp.cli.store import Store
from manualbp.cli.tree import (
    CONFIG,
    SuiteError,
    Tree,
    Watched,
    check_installation,
    code_of,
    describe_files,
    describe_tree,
)

WITHOUT_PEERS = r"^(?!peers\.)"
"""All benchmarks but those of other libraries, which are measured only where they are asked for:
they are context, and would take the time of what a run is about."""

TIMEOUT_S, TIMEOUT_MORE_S = 120.0, 10.0
"""Seconds that a process may take for its first cell, where the suite says nothing, and for each
further one."""

PATIENCE_S = 1.0
"""How long a process waits for quiet spells: further ones are tried while time remains."""

USER_SUITE = Path(manualbp.__file__).parent / "measuring" / "user_suite"
"""The suite that measures the workloads in a user's files."""

DIRTY_RESULTS = Path(".asv/results-of-dirty-trees")


@dataclass(frozen=True)
class Source:
    """What is measured, and where its results go.

    ``packages`` is a folder that comes before the environment's own packages, where what is
    measured is not what is installed in this environment.  ``files`` are a user's own, with
    workloads in them, where it is not the project's suite that is measured.  ``watched`` is the
    code that somebody may edit while it is measured.
    """

    tree: Tree
    benchmarks: Path
    results: Path
    packages: Path | None = None
    files: tuple[Path, ...] = ()
    watched: Watched | None = None

    @property
    def variables(self) -> dict[tuple[str, str], str]:
        """The environment variables of its processes, as asv tags them."""
        known = {}
        if self.packages:  # asv leaves PYTHONPATH out and takes this in its place
            known["nobuild", "ASV_PYTHONPATH"] = str(self.packages)
        if self.files:
            known["nobuild", "MANUALBP_WORKLOADS"] = os.pathsep.join(map(str, self.files))
        return known


def checked_out(project: Path) -> Source:
    """Return the checked-out tree as it is installed in this environment."""
    check_installation(project)
    watched = Watched(partial(code_of, project))
    tree = describe_tree(project)
    try:
        config = Config.load(str(project / CONFIG))
    except util.UserError as error:
        raise SuiteError(f"asv cannot read {CONFIG}: {error}") from None
    results = DIRTY_RESULTS if tree.dirty else Path(config.results_dir)
    return Source(tree, project / config.benchmark_dir, project / results, watched=watched)


def users_files(paths: Sequence[str], folder: Path) -> Source:
    """Return a user's files, to be measured by the suite that comes with the package.

    Their results go to ``results`` in ``folder``, under the commit of the git checkout that the
    first is in; where it is in none, under a hash of the files' content.
    """
    files = tuple(Path(path).absolute() for path in paths)
    for file in files:
        if not file.is_file():
            raise SuiteError(f"{file}: no such file")
    watched = Watched(lambda: files)
    tree = describe_files(files)
    results = DIRTY_RESULTS if tree.dirty else Path("results")
    return Source(tree, USER_SUITE, folder / results, files=files, watched=watched)


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
        said: list[str] = []
        try:
            config = Config() if source.files else Config.load(CONFIG)
            if source.files:
                config.launch_method = "forkserver"
            repository = NoRepository() if source.files else get_repo(config)
            config.benchmark_dir = str(source.benchmarks)
            config.results_dir = str(source.results)
            self._environment = ExistingEnvironment(config, sys.executable, {}, source.variables)
            with collected_log() as said:
                self._benchmarks = Benchmarks.discover(
                    *(config, repository, [self._environment], ["HEAD"]),
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
        self._spawner: Any = None
        self.store = Store(source.results, source.tree, machine, self._benchmarks)

    def cells(
        self, devices: list[str] | None = None, workloads: Sequence[str] | None = None
    ) -> list[Cell]:
        """List the cells that were chosen, all of them or those on devices and of workloads."""
        cells = []
        for name, benchmark in sorted(self._benchmarks.items()):
            selected = self._benchmarks.benchmark_selection.get(name)
            names = tuple(benchmark["param_names"])
            for index, values in enumerate(itertools.product(*benchmark["params"])):
                parameters = dict(zip(names, values, strict=True))
                if selected is not None and index not in selected:
                    continue
                if not is_among(parameters.get("device"), devices):
                    continue
                # A commit of before workloads calls them networks.
                workload = parameters.get("workload", parameters.get("network"))
                if not is_among(workload, workloads):
                    continue
                rounds = int(benchmark.get("rounds", 1))
                process = str(benchmark.get("process", ""))
                cells.append(Cell(name, index, names, values, rounds, process))
        return cells

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep asv's fork server running; it imports the suite once for all cells."""
        try:
            self._start()
            yield
        finally:
            self._stop()

    def _start(self) -> None:
        method = self._config.launch_method or "spawn"
        # Nobody could end a server that is interrupted before asv has handed it over, and the
        # thread that reads its output would never end.
        with interrupt_held_back():
            self._spawner = runner.get_spawner(
                self._environment, self._benchmarks.benchmark_dir, method
            )
        ready, output = self._spawner.preimport()
        if not ready:
            raise SuiteError(f"importing the suite failed: {last_line(output)}")

    def _stop(self) -> None:
        # asv asks a server to end and kills it a moment later; interrupted between the two, it
        # would leave one that has not heard.
        with interrupt_held_back():
            spawner, self._spawner = self._spawner, None
            if spawner is not None:
                spawner.close()

    def measure(
        self, cells: Sequence[Cell], attributes: Mapping[str, Any], timeout: float | None = None
    ) -> dict[Cell, Outcome]:
        """Measure cells in one fresh process, add their values to their others and save.

        ``timeout`` is when the run's time is over: what is not measured by then is unfinished.
        Raises ``KeyboardInterrupt`` when interrupted, and ``CodeChangedError`` when the code is not
        the one that the results are of; what is saved stays.
        """
        started = dt.datetime.now(dt.UTC)
        outcomes = self.try_out(cells, attributes, timeout)
        if self.source.watched:
            self.source.watched.check()
        self.store.add(outcomes, started)
        return outcomes

    def try_out(
        self, cells: Sequence[Cell], attributes: Mapping[str, Any], timeout: float | None = None
    ) -> dict[Cell, Outcome]:
        """Measure cells in one fresh process and store nothing."""
        own = float(self._benchmarks[cells[0].benchmark].get("timeout") or TIMEOUT_S)
        own += TIMEOUT_MORE_S * (len(cells) - 1)
        limit = own if timeout is None else min(own, timeout)
        asked = {**attributes, "together": [cell.asv_name for cell in cells]}
        started = time.monotonic()
        result, output, status = self._run(cells[0].asv_name, asked, limit)
        seconds = (time.monotonic() - started) / len(cells)
        if status == util.TIMEOUT_RETCODE:
            return dict.fromkeys(cells, timed_out(limit, seconds, unfinished=limit < own))
        if status != 0:
            return dict.fromkeys(cells, crashed(output, status, seconds))
        if not isinstance(result, dict) or "cells" not in result:
            # One of asv's own types, or a suite that measures one cell a process.
            first, *others = cells
            found = {first: plain_outcome(result, output, seconds * len(cells))}
            for cell in others:
                found |= self.try_out([cell], attributes, timeout)
            return found
        said = {entry["name"]: entry for entry in result["cells"]}
        return {cell: outcome(said[cell.asv_name], seconds) for cell in cells}

    def _run(
        self, name: str, attributes: Mapping[str, Any], timeout: float
    ) -> tuple[Any, str, int]:
        """Have asv's runner measure; return its result (None without one), output and status."""
        with tempfile.TemporaryDirectory(prefix="manualbp-") as folder:
            file = Path(folder) / "result.json"
            try:
                output, status = self._spawner.run(
                    name=name,
                    params_str=json.dumps(attributes),
                    profile_path="None",
                    result_file_name=str(file),
                    timeout=timeout,
                    cwd=folder,
                )
            except KeyboardInterrupt:
                self._spawner.interrupt()
                raise
            except (util.UserError, OSError, struct.error) as error:
                self._stop()
                self._start()
                return None, f"asv's fork server ended while this was measured: {error}", 1
            result = json.loads(file.read_text()) if status == 0 and file.is_file() else None
            return result, output, status


def is_among(value: str | None, chosen: Sequence[str] | None) -> bool:
    """Tell whether a parameter's repr is that of a chosen value; all are where none is chosen."""
    return value is None or chosen is None or value in map(repr, chosen)


@contextmanager
def shared_process(more: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the attributes of processes that several cells share, and ``more``.

    XLA's programs are kept for further processes meanwhile: compiling them is no part of what these
    cells measure.
    """
    with tempfile.TemporaryDirectory(prefix="manualbp-xla-") as compiled:
        yield {"patience": PATIENCE_S, "compiled": compiled, **(more or {})}


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
