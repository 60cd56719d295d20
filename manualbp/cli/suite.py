"""Drives asv cell by cell in the current environment.

``asv run`` saves when everything is done, names an existing environment by its path and takes a
dirty tree for its last commit.  Here asv's own parts (discovery, fork server, result files) are
put together so that every cell is saved as soon as it is measured.  All that touches asv's
internals, which are not a public interface, is in this file; hence asv's version is bounded in
pyproject.toml.
"""

import datetime as dt
import hashlib
import itertools
import logging
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from asv import runner, util
from asv.benchmarks import Benchmarks
from asv.config import Config
from asv.console import log
from asv.environment import ExistingEnvironment, get_env_name
from asv.machine import Machine, MachineCollection
from asv.repo import get_repo
from asv.results import Results

from manualbp.cases import NETWORKS

CONFIG = "asv.conf.json"
DIRTY_RESULTS = Path(".asv/results-of-dirty-trees")


class SuiteError(Exception):
    """What keeps the suite from running, in one line that says what to do."""


@dataclass(frozen=True)
class Tree:
    """The checked-out tree: its commit, or a name of its own when it is dirty."""

    name: str
    dirty: bool
    date: int
    """Milliseconds since the epoch, of the commit or of now."""


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
    """What one process made of a cell: ``ok``, ``failed`` or ``skipped``, and why."""

    status: str
    reason: str = ""


def find_project() -> Path:
    """Return the nearest folder, here or above, that holds asv's configuration."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / CONFIG).is_file():
            return folder
    raise SuiteError(f"no {CONFIG} in {here} or above it: run this in a checkout of the project")


def results_folder(project: Path) -> Path:
    """Return the folder of the project's results, as asv's configuration names it."""
    try:
        return project / str(Config.load(str(project / CONFIG)).results_dir)
    except (util.UserError, ValueError) as error:  # the latter for what is not even JSON
        raise SuiteError(f"asv cannot read {CONFIG}: {error}") from None


def describe_tree(project: Path) -> Tree:
    """Find out which commit the tree stands for.

    Results do not make a tree dirty, for they change nothing that is measured.  A dirty tree is
    named after its content, so that two states of it never share a name.
    """

    def git(*arguments: str) -> str:
        try:
            return subprocess.run(
                ["git", *arguments], cwd=project, check=True, capture_output=True, text=True
            ).stdout
        except FileNotFoundError:
            raise SuiteError("git is not installed: results are stored under a commit") from None
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip().splitlines() or ["no output"])[0]
            raise SuiteError(
                f"git {arguments[0]} failed ({reason}): results are stored under a commit, "
                "so the project must be a git checkout with at least one commit"
            ) from None

    head = git("rev-parse", "HEAD").strip()
    apart_from_results = ("--", ".", ":(exclude)results")
    status = git("status", "--porcelain", *apart_from_results)
    if not status:
        return Tree(head, dirty=False, date=int(git("show", "-s", "--format=%ct", "HEAD")) * 1000)
    content = hashlib.sha1(git("diff", "HEAD", "--binary", *apart_from_results).encode())
    untracked = git("ls-files", "--others", "--exclude-standard", *apart_from_results)
    for path in untracked.splitlines():
        content.update(path.encode() + (project / path).read_bytes())
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    return Tree(f"{content.hexdigest()[:8]}-dirty-on-{head[:8]}", dirty=True, date=now)


def check_installation(project: Path) -> None:
    """Raise ``SuiteError`` unless what is installed here is the project's own ``manualbp``.

    asv's processes import the installed package, wherever they run; were it another checkout's,
    its numbers would be stored under this one's commit.
    """
    own = project / "manualbp"
    if not own.is_dir():  # the suite alone, which somebody runs against an installed release
        return
    # As asv runs them: without this folder and PYTHONPATH on the path.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    code = "import manualbp; print(manualbp.__path__[0])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    installed = done.stdout.strip() or "nowhere"
    if done.returncode != 0 or Path(installed).resolve() != own.resolve():
        raise SuiteError(
            f"the manualbp that would be measured is installed from {installed}, not from "
            f"{own}: its results would carry the wrong commit; run 'make setup' here"
        )


def default_machine_name() -> str:
    """Name this machine by its processor and cores, never by its host name."""
    cpu = str(util.get_cpu_info()) or platform.machine()
    words = re.sub(r"\(r\)|\(tm\)|\bcpu\b|\bprocessor\b|@.*", " ", cpu.lower())
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")
    return f"{slug or 'machine'}-{os.cpu_count()}core"


class Suite:
    """The project's asv suite, discovered, with the results of one tree open for writing."""

    def __init__(self, project: Path, machine: str, bench: str | None) -> None:
        os.chdir(project)
        check_installation(project)
        try:
            config = Config.load(CONFIG)
            self._environment = ExistingEnvironment(config, sys.executable, {}, {})
            repository = get_repo(config)
            self.tree = describe_tree(project)
            self.results_dir = project / (DIRTY_RESULTS if self.tree.dirty else config.results_dir)
            config.results_dir = str(self.results_dir)
            self._benchmarks = Benchmarks.discover(
                config, repository, [self._environment], ["HEAD"], regex=bench and [bench]
            )
        except util.UserError as error:
            raise SuiteError(f"asv cannot read the suite: {str(error) or 'see above'}") from None
        except re.error as error:
            raise SuiteError(f"--bench {bench!r} is no regular expression: {error}") from None
        if not self._benchmarks:
            raise SuiteError(f"no benchmark matches --bench {bench!r}: see 'asv show' for names")
        self._config = config
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._results = self._open_results(machine)

    def _open_results(self, machine: str) -> Any:
        registered = register_machine(machine)
        registered.save(str(self.results_dir))
        self._benchmarks.save()
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        requirements = {"tensorflow": version("tensorflow")}
        parameters = {**registered.__dict__, "python": python, **requirements}
        name = get_env_name("existing", python, requirements, {})
        results = Results(
            parameters, requirements, self.tree.name, self.tree.date, python, name, {}
        )
        results.load_data(str(self.results_dir))
        self.results_file = self.results_dir / results._filename
        return results

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
                if not is_measured(parameters) or (quick and not in_quick_look(name, parameters)):
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
        benchmark = self._benchmarks[cell.benchmark]
        started = dt.datetime.now(dt.UTC)
        try:
            result = runner.run_benchmark(
                benchmark,
                self._spawner,
                profile=False,
                selected_idx={cell.index},
                extra_params=attributes,
            )
        except util.UserError as error:  # asv's word for Ctrl-C
            raise KeyboardInterrupt from error
        self._seconds[cell.benchmark] += (dt.datetime.now(dt.UTC) - started).total_seconds()
        self._results.add_result(
            benchmark,
            result,
            started_at=started,
            duration=self._seconds[cell.benchmark],
            record_samples=True,
            append_samples=True,
            selected_idx={cell.index},
        )
        self._save()
        return outcome(result.result[cell.index], result.stderr)

    def _save(self) -> None:
        # Written beside and renamed: whatever interrupts this, one whole file is there.
        with tempfile.TemporaryDirectory(dir=self.results_dir, prefix=".saving-") as staging:
            self._results.save(staging)
            os.replace(Path(staging) / self._results._filename, self.results_file)


def outcome(value: Any, output: str) -> Outcome:
    """Read asv's three kinds of result: a number, null for failed, NaN for skipped."""
    if value is None:
        return Outcome("failed", last_line(output))
    if isinstance(value, float) and math.isnan(value):
        skipped = re.search(r"asv: skipped: (.*)", output)
        return Outcome("skipped", skipped.group(1) if skipped else "")
    return Outcome("ok")


def last_line(output: str) -> str:
    """Return the last line of a program's output that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def is_measured(parameters: dict[str, str]) -> bool:
    """Tell whether the suite measures the network of these parameters at their batch."""
    network = parameters.get("network", "").strip("'")
    return network not in NETWORKS or (
        "batch" not in parameters or int(parameters["batch"]) in NETWORKS[network].batches
    )


def in_quick_look(benchmark: str, parameters: dict[str, str]) -> bool:
    """Tell whether a cell belongs to a quick look: steps and ratios of the exercise's network."""
    quantity = benchmark.rsplit(".", 1)[-1]
    return quantity in ("steady_step", "ratio_to_tape", "steady_numpy") and (
        parameters.get("network") == "'exercise'"
    )


def register_machine(name: str) -> Any:
    """Register a machine with asv under a chosen name, asking nothing."""
    path = MachineCollection.get_machine_file_path()
    known = util.load_json(path) if os.path.isfile(path) else {}
    with log.set_level(
        logging.CRITICAL
    ):  # asv would complain that it does not know the machine yet
        facts = {**Machine.get_defaults(), **known.get(name, {}), "machine": name}
        return Machine.load(machine_name=name, **facts)


def in_rounds(cells: list[Cell]) -> Iterator[tuple[int, Cell]]:
    """Yield each cell once per round, so that a slow minute does not hit one cell's samples all."""
    for number in range(1, max((cell.rounds for cell in cells), default=0) + 1):
        yield from ((number, cell) for cell in cells if number <= cell.rounds)
