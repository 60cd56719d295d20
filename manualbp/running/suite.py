"""Drives asv cell by cell in the current environment.

``asv run`` saves when everything is done, names an existing environment by its path and takes a
dirty tree for its last commit.  Here asv's own parts (discovery, fork server, result files) are
put together so that every cell is saved as soon as it is measured.  All that touches asv's
internals, which are not a public interface, is in this file, ``source.py``, ``store.py`` and
``machine.py``; hence asv's version is bounded in pyproject.toml.
"""

import datetime as dt
import itertools
import json
import logging
import os
import re
import signal
import struct
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from asv import runner, util
from asv.benchmarks import Benchmarks
from asv.config import Config
from asv.environment import EnvironmentUnavailable, ExistingEnvironment
from asv.repo import NoRepository, get_repo

from manualbp.running.cells import (
    Cell,
    Outcome,
    checked,
    crashed,
    last_line,
    outcome,
    plain_outcome,
    timed_out,
)
from manualbp.running.environment import oom_kills
from manualbp.running.interrupts import interrupt_held_back
from manualbp.running.source import Source
from manualbp.running.store import Store
from manualbp.running.tree import CONFIG, SuiteError

WITHOUT_PEERS = r"^(?!peers\.)"
"""All benchmarks but those of other libraries, which are measured only where they are asked for:
they are context, and would take the time of what a run is about."""

TIMEOUT_S, TIMEOUT_MORE_S = 120.0, 10.0
"""Seconds that a process may take for its first cell, where the suite says nothing, and for each
further one."""

PATIENCE_S = 1.0
"""How long a process waits for quiet spells: further ones are tried while time remains."""

IMPORT_S = 120.0
"""How long importing the suite may take; TensorFlow's part of it is half a minute at most."""

GRACE_S = 30.0
"""How much longer than a process may take its fork server may need to say what became of it."""


class Suite:
    """The project's asv suite, discovered, with the results of one source open for writing.

    ``bench`` chooses benchmarks as asv's option does; without it, it is :data:`WITHOUT_PEERS`.
    ``beside`` chooses further ones.
    """

    def __init__(
        self,
        project: Path,
        source: Source,
        machine: str,
        bench: str | None,
        beside: Sequence[str] = (),
    ) -> None:
        os.chdir(project)
        self.source = source
        said: list[str] = []
        started = time.monotonic()
        try:
            config = Config() if source.files else Config.load(CONFIG)
            if source.files:
                config.launch_method = "forkserver"
            config.branches = []  # whose tips asv would import where the head cannot be
            repository = NoRepository() if source.files else get_repo(config)
            config.benchmark_dir = str(source.benchmarks)
            config.results_dir = str(source.results)
            environment = ExistingEnvironment(config, sys.executable, {}, source.variables)
            environment.run = partial(environment.run, timeout=IMPORT_S)  # asv's own is 10 minutes
            self._environment = environment
            with collected_log() as said:
                self._benchmarks = Benchmarks.discover(
                    *(config, repository, [self._environment], ["HEAD"]),
                    regex=[bench or WITHOUT_PEERS, *beside],
                )
        except util.UserError as error:
            if str(error) == "Interrupted.":  # what asv makes of Ctrl-C
                raise KeyboardInterrupt from None
            reason = raised("\n".join(said)) or str(error) or last_line("\n".join(said))
            if time.monotonic() - started > IMPORT_S:
                reason = f"importing it took longer than {IMPORT_S:.0f} s"
            raise SuiteError(f"asv cannot read the suite: {reason}") from None
        except EnvironmentUnavailable as error:
            raise SuiteError(f"asv cannot run this environment's Python: {error}") from None
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
        try:
            with interrupt_held_back():
                self._spawner = runner.get_spawner(
                    self._environment, self._benchmarks.benchmark_dir, method
                )
        except (OSError, RuntimeError) as error:
            raise SuiteError(f"asv's fork server did not start: {error}; run again") from None
        with self._answering_within(IMPORT_S) as late:
            ready, output = self._spawner.preimport()
        if late.is_set():
            raise SuiteError(f"importing the suite took longer than {IMPORT_S:.0f} s")
        if not ready:
            raise SuiteError(f"importing the suite failed: {last_line(output)}")

    def _stop(self) -> str:
        """End the fork server; return the last line that it has said, if it said anything."""
        # asv asks a server to end and kills it a moment later; interrupted between the two, it
        # would leave one that has not heard.
        with interrupt_held_back(), collected_log() as said:
            spawner, self._spawner = self._spawner, None
            if spawner is not None:
                spawner.close()
        return last_line("\n".join(said)) if said else ""

    @contextmanager
    def _answering_within(self, seconds: float) -> Iterator[threading.Event]:
        """Kill the fork server, and all that it runs, where the block takes longer.

        asv waits for a server for ever, and a benchmark may have stopped it.  The event that is
        yielded tells whether that was so.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            self._kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()

    def _kill(self) -> None:
        """Kill the fork server and all that it runs, where there is one."""
        server = getattr(self._spawner, "server_proc", None)  # asv limits a spawned process itself
        if server is not None:
            with suppress(OSError):
                os.killpg(server.pid, signal.SIGKILL)

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
        found = self._try_out(cells, attributes, timeout)
        kinds = {cell: str(self._benchmarks[cell.benchmark]["type"]) for cell in cells}
        return {cell: checked(outcome, kinds[cell]) for cell, outcome in found.items()}

    def _try_out(
        self, cells: Sequence[Cell], attributes: Mapping[str, Any], timeout: float | None
    ) -> dict[Cell, Outcome]:
        own = float(self._benchmarks[cells[0].benchmark].get("timeout") or TIMEOUT_S)
        own += TIMEOUT_MORE_S * (len(cells) - 1)
        limit = own if timeout is None else min(own, timeout)
        asked = {**attributes, "together": [cell.asv_name for cell in cells]}
        started, before = time.monotonic(), oom_kills()
        result, output, status = self._run(cells[0].asv_name, asked, limit)
        seconds = (time.monotonic() - started) / len(cells)
        if status == util.TIMEOUT_RETCODE:
            return dict.fromkeys(cells, timed_out(limit, seconds, unfinished=limit < own))
        if status != 0:
            ran_out = oom_kills() > before
            return dict.fromkeys(cells, crashed(output, status, seconds, memory_ran_out=ran_out))
        if not isinstance(result, dict) or "cells" not in result:
            # One of asv's own types, or a suite that measures one cell a process.
            first, *others = cells
            found = {first: plain_outcome(result, output, seconds * len(cells))}
            for cell in others:
                found |= self._try_out([cell], attributes, timeout)
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
                with self._answering_within(timeout + GRACE_S) as late:
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
            except (util.UserError, OSError, RuntimeError, struct.error) as error:
                self._kill()  # what it ran may have outlived it
                said = self._stop()
                self._start()
                why = "it no longer answered" if late.is_set() else said or error
                return None, f"asv's fork server ended while this was measured: {why}", 1
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
