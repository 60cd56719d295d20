"""Runs are killed at random moments, and meet a full disk: nothing that was saved may be lost.

    python docs/studies/kill_loop.py --kills 100 --full 20

A project with a suite of its own, which imports in a moment, is made in a temporary folder, and
``manualbp run`` is started in it again and again.  Each is sent INT, TERM, HUP or KILL at a random
moment: to itself, to asv's fork server, or to the process that measures.  Then runs are given a
largest size of file that they will meet while they save (``RLIMIT_FSIZE``, which fails a write as a
full disk does).  After each: every stored file can be read, no value is gone, and none has changed.
At the end ``manualbp run --resume`` measures what is missing, and ``manualbp export`` reads it.
"""

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from manualbp.reading.files import load_json, load_result, result_files

SUITE = """
import time


class Small:
    params = list(range(1, 25))
    param_names = ["number"]
    rounds = 3
    number = repeat = 1
    warmup_time = 0

    def time_sleeping(self, number):
        time.sleep(0.02)
"""
NAME = "small.Small.time_sleeping"
CELLS, ROUNDS = 24, 3

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
WHO = ("the run", "its fork server", "the process that measures")

LONGEST_S = 300.0
"""Seconds in which a run ends, however it was disturbed."""

Samples = dict[tuple[str, ...], tuple[float, ...]]


@dataclass
class Found:
    """What became of the runs: how often each was ended how, and all that went wrong."""

    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def make_project(folder: Path) -> Path:
    """Make a git checkout with a small suite."""
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks/__init__.py").touch()
    (folder / "benchmarks/small.py").write_text(SUITE)
    (folder / ".gitignore").write_text("report/\n.asv/\n__pycache__/\n")
    (folder / "asv.conf.json").write_text(
        '{"version": 1, "project": "small", "repo": ".", "branches": ["HEAD"],'
        ' "launch_method": "forkserver", "results_dir": "results"}'
    )
    identity = ["-c", "user.name=Study", "-c", "user.email=study@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "The suite"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def start(
    project: Path, *arguments: str, before: Callable[[], object] = lambda: None
) -> "subprocess.Popen[str]":
    """Start ``manualbp run`` in the project; ``before`` is called in it first."""

    def prepare() -> None:
        for number in SIGNALS[:-1]:  # which whoever runs this in the background ignores
            signal.signal(number, signal.SIG_DFL)
        before()

    return subprocess.Popen(
        [sys.executable, "-m", "manualbp", "run", "--machine", "desk", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )


def samples(project: Path) -> Samples:
    """Return the stored values of each cell; ``ResultsError`` is raised for unreadable ones."""
    results = project / "results"
    if not [path for path in results.glob("desk/*.json") if path.name != "machine.json"]:
        return {}
    load_json(results / "benchmarks.json")
    (file,) = result_files(results)
    row = load_result(file)["results"][NAME]
    cells = [(value,) for value in row["params"][0]]
    return {cell: tuple(v or ()) for cell, v in zip(cells, row["samples"], strict=True)}


def children(process: int) -> list[int]:
    """Return the processes that one has started and that are still there."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            # After the name, which stands in brackets and may hold anything: state, parent.
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process:
                found.append(int(folder.name))
    return found


def line_to(process: int) -> Iterator[int]:
    """Yield a run, its fork server, and the process that measures, as far as they are there."""
    yield process
    for child in children(process):
        yield child
        yield from children(child)[:1]
        return


def kill_once(project: Path, generator: random.Random, found: Found) -> None:
    """Start a run, kill one of its processes at a random moment, and look at what is stored."""
    number, who = generator.choice(SIGNALS), generator.randrange(len(WHO))
    moment = generator.uniform(0.3, 4.0)  # the interpreter has started by then
    process = start(project)
    time.sleep(moment)
    family = list(line_to(process.pid))
    before = samples(project)
    with suppress(ProcessLookupError):
        os.kill(family[min(who, len(family) - 1)], number)
    how = f"{WHO[min(who, len(family) - 1)]}: {signal.Signals(number).name}"
    found.ended[how] += 1
    to_the_end(process, f"{how} after {moment:.2f} s", found)
    for left in family[1:]:  # a run that was killed could not end its server
        with suppress(OSError):
            os.kill(left, signal.SIGKILL)
    check(project, before, how, found)


def fill_once(project: Path, generator: random.Random, found: Found) -> None:
    """Run with a largest size of file, and look at what is stored."""
    limit = generator.randrange(200, 6000)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    before = samples(project)
    how = f"files of at most {limit} bytes"
    process = start(project, "--minutes", "0.3", before=limited)
    said = to_the_end(process, how, found)
    failed = process.returncode == 1
    found.ended["the disk is full" if failed else "the disk is large enough"] += 1
    if failed and sum(line.startswith("manualbp: ") for line in said) != 1:
        found.wrong.append(f"{how}: it was not said in one line: {said}")
    check(project, before, how, found)


def to_the_end(process: "subprocess.Popen[str]", how: str, found: Found) -> list[str]:
    """Wait for a run, and return the lines of its standard error; none has a traceback."""
    try:
        _, said = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        _, said = process.communicate()
        found.wrong.append(f"{how}: it did not end")
    if "Traceback" in said:
        found.wrong.append(f"{how}: {said.strip().splitlines()[-1]}")
    return said.splitlines()


def check(project: Path, before: Samples, how: str, found: Found) -> None:
    """Compare what is stored with what was."""
    try:
        after = samples(project)
    except Exception as error:
        found.wrong.append(f"{how}: {error}")
        return
    for cell, values in before.items():
        if after.get(cell, ())[: len(values)] != values:
            found.wrong.append(f"{how}: {cell} had {values}, has {after.get(cell)}")


def finish(project: Path, found: Found) -> None:
    """Measure what is missing, and read everything."""
    process = start(project, "--resume")
    _, said = process.communicate(timeout=LONGEST_S)
    stored = samples(project)
    if process.returncode or len(stored) != CELLS or min(map(len, stored.values())) < ROUNDS:
        found.wrong.append(f"the run that was to complete it: {said}")
    read = [sys.executable, "-m", "manualbp", "export", "results"]
    if subprocess.run(read, cwd=project, capture_output=True, check=False).returncode:
        found.wrong.append("'manualbp export' cannot read what is stored")
    if leftovers := list((project / "results").glob(".saving-*")):
        found.wrong.append(f"{leftovers} are left")


def loop(folder: Path, kills: int, full: int, seed: int) -> Found:
    """Kill so many runs in a project of their own, fill the disk of so many, and complete it."""
    generator = random.Random(seed)
    found = Found()
    project = make_project(folder)
    for _ in range(kills):
        kill_once(project, generator, found)
    for _ in range(full):
        fill_once(project, generator, found)
    finish(project, found)
    return found


def main() -> int:
    """Run the study and print what became of the runs; 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--full", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = loop(Path(folder) / "project", asked.kills, asked.full, asked.seed)
    for how, count in sorted(found.ended.items()):
        print(f"{count:4} {how}")
    print(f"{len(found.wrong)} went wrong")
    print(*found.wrong, sep="\n")
    return bool(found.wrong)


if __name__ == "__main__":
    sys.exit(main())
