"""Sides measured by turns: each commit's code installed once, in a folder of its own.

A side is measured by its own commit's suite in this environment, so that nothing but the
project's own code differs between sides.
"""

import datetime as dt
import io
import itertools
import math
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from manualbp.running.cells import Cell
from manualbp.running.plan import process_of
from manualbp.running.source import Source
from manualbp.running.suite import Suite
from manualbp.running.tree import SuiteError, Tree

Item = TypeVar("Item")

PACKAGE = "manualbp"
"""What a commit's suite imports: were it not installed for a side, it would be this environment's
own that is measured."""

BUILD_S = 600.0
"""How long building a commit's package may take."""

Key = tuple[str, tuple[str, ...]]
"""What a cell is called on every side: its benchmark and parameters (indices may differ)."""


@dataclass(frozen=True)
class Installed:
    """A commit's package and suite in folders of their own, or why they could not be put there."""

    tree: Tree
    benchmarks: Path
    packages: Path
    reason: str = ""


@dataclass(frozen=True)
class Side:
    """One side, its results open for writing; without a suite it cannot be measured."""

    name: str
    suite: Suite | None
    cells: Mapping[Key, Cell]
    reason: str = ""


def folder_of_now(parent: Path) -> Path:
    """Make a folder named after the time, numbered where another was made in the same second."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}"
    names = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    while True:
        try:
            folder.mkdir()
        except FileExistsError:
            folder = next(names)
        else:
            return folder


def install(project: Path, tree: Tree, folder: Path) -> Installed:
    """Install a commit's own package, without dependencies, below ``folder``."""
    source, packages = folder / "source", folder / "packages"
    installed = Installed(tree, source / "benchmarks", packages)
    try:
        _extract(project, tree, source)
        _run_pip("install", "--no-deps", "--target", str(packages), str(source))
        if not (packages / PACKAGE).is_dir():
            raise SuiteError(f"it holds no package {PACKAGE!r}, which its suite would import")
    except SuiteError as error:
        reason = f"commit {tree.name[:8]} cannot be installed: {error}"
        return Installed(tree, installed.benchmarks, packages, reason)
    return installed


def open_side(
    name: str,
    installed: Installed,
    project: Path,
    results: Path,
    *,
    machine: str,
    bench: str,
    devices: list[str] | None,
    workloads: list[str] | None,
    controls: bool = False,
) -> Side:
    """Discover an installed commit's suite and open its results.

    With ``controls``, those of the ratios that ``bench`` chooses are measured beside them.  What
    keeps it from being installed or imported becomes the side's reason: its cells are then
    not measured, which is never good news.
    """
    if installed.reason:
        return Side(name, None, {}, installed.reason)
    source = Source(installed.tree, installed.benchmarks, results, installed.packages)
    try:
        suite = Suite(project, source, machine, bench, control_names() if controls else ())
    except SuiteError as error:
        return Side(name, None, {}, str(error))
    cells = suite.cells(devices, workloads)
    if controls:
        cells = with_their_controls(cells, bench)
        if not cells:
            return Side(name, None, {}, f"no cell of it matches --bench {bench!r}")
    return Side(name, suite, {(cell.benchmark, cell.parameters): cell for cell in cells})


def control_names() -> list[str]:
    """Return the regular expressions that choose the controls."""
    from manualbp.reading.verdicts import CONTROLS

    return [rf"\.{control}\b" for control in CONTROLS]


def with_their_controls(cells: Sequence[Cell], bench: str) -> list[Cell]:
    """Return the cells that a regular expression chooses, and the controls of the ratios in it.

    A ratio's controls are those of its workload, mode and device, at the batch nearest to its own.
    """
    from manualbp.reading.verdicts import CONTROLS

    chosen = {cell for cell in cells if re.search(bench, cell.asv_text)}
    for ratio in [cell for cell in chosen if cell.quantity.startswith("ratio_")]:
        for quantity in CONTROLS:
            fitting = [
                cell
                for cell in cells
                if cell.quantity == quantity and _place(cell) <= _place(ratio)
            ]
            if fitting:
                chosen.add(min(fitting, key=partial(_distance, ratio)))
    return [cell for cell in cells if cell in chosen]


def _place(cell: Cell) -> set[tuple[str, str]]:
    named = zip(cell.names, cell.parameters, strict=True)
    return {(name, value) for name, value in named if name in ("workload", "mode", "device")}


def _distance(one: Cell, other: Cell) -> float:
    """Return how far apart the batches of two cells are; nothing where one has none."""
    batches = [
        int(cell.parameters[cell.names.index("batch")])
        for cell in (one, other)
        if "batch" in cell.names
    ]
    return abs(math.log(batches[0] / batches[-1])) if batches else 0.0


@contextmanager
def serving(sides: Sequence[Side]) -> Iterator[None]:
    """Keep a fresh fork server for each side meanwhile: one for each round of measuring."""
    with ExitStack() as servers:
        for side in sides:
            if side.suite is not None:
                servers.enter_context(side.suite.running())
        yield


def shuffled(items: Iterable[Item]) -> list[Item]:
    """Return the items in random order.

    What is measured in a round comes in random order, and its sides one right after the other in
    random order, so that whatever the machine does meanwhile falls on the sides alike.
    """
    listed = list(items)
    return random.sample(listed, len(listed))


def grouped(keys: Iterable[Key], side: Side) -> list[list[Key]]:
    """Put keys together whose cells may share a process."""
    groups: dict[object, list[Key]] = {}
    for key in keys:
        groups.setdefault(process_of(side.cells[key]), []).append(key)
    return list(groups.values())


def _extract(project: Path, tree: Tree, folder: Path) -> None:
    """Write a commit's files to ``folder``."""
    command = ["git", "archive", "--format=tar", tree.name]
    done = subprocess.run(command, cwd=project, capture_output=True, check=False)
    if done.returncode != 0:
        raise SuiteError(_last(done.stderr.decode(errors="replace")))
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        # A link in a commit may lead anywhere.  The filter allows those that stay in the folder;
        # Python before 3.11.4, as Debian 12 has it, knows no filter.
        if not hasattr(tarfile, "data_filter"):
            for member in archive:
                if member.issym() or member.islnk():
                    raise SuiteError(f"{member.name} is a link")
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        try:
            archive.extractall(folder)
        except tarfile.TarError as error:
            raise SuiteError(str(error)) from None


def _run_pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    status, said = run_bounded(command, BUILD_S)
    if status != 0:
        errors = [line for line in said.splitlines() if line.startswith("ERROR")]
        raise SuiteError(errors[0] if errors else _last(said))


def run_bounded(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a program and return its exit status and what it said on standard error.

    It and all that it has started is killed when it takes longer, which is a ``SuiteError``, and
    when this one is interrupted.
    """
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            _, said = process.communicate(timeout=seconds)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise SuiteError(f"building it took longer than {seconds:.0f} s") from None
            raise
    return process.returncode, said.decode(errors="replace")


def _last(output: str) -> str:
    return (output.strip().splitlines() or ["no output"])[-1].strip()
