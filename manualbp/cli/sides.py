"""Sides measured by turns: each commit's code installed once, in a folder of its own.

A side is measured by its own commit's suite in this environment, so that nothing but the
project's own code differs between sides.
"""

import datetime as dt
import io
import itertools
import random
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from manualbp.cli.cells import Cell
from manualbp.cli.plan import process_of
from manualbp.cli.suite import Source, Suite
from manualbp.cli.tree import SuiteError, Tree

Item = TypeVar("Item")

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
) -> Side:
    """Discover an installed commit's suite and open its results.

    What keeps it from being installed or imported becomes the side's reason: its cells are then
    not measured, which is never good news.
    """
    if installed.reason:
        return Side(name, None, {}, installed.reason)
    source = Source(installed.tree, installed.benchmarks, results, installed.packages)
    try:
        suite = Suite(project, source, machine, bench)
    except SuiteError as error:
        return Side(name, None, {}, str(error))
    cells = suite.cells(devices, workloads)
    return Side(name, suite, {(cell.benchmark, cell.parameters): cell for cell in cells})


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
        # Python before 3.11.4, as Debian 12 has it, knows no filters; the archive is git's own.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(folder)


def _run_pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise SuiteError(errors[0] if errors else _last(done.stderr))


def _last(output: str) -> str:
    return (output.strip().splitlines() or ["no output"])[-1].strip()
