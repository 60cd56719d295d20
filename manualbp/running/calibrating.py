"""A calibration's measuring: installations of one commit by turns, some with extra work."""

import ast
import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from manualbp.running.cells import Outcome
from manualbp.running.machine import register_machine
from manualbp.running.neighbour import neighbours
from manualbp.running.progress import Countdown, ticking
from manualbp.running.sides import (
    Key,
    Side,
    folder_of_now,
    grouped,
    install,
    open_side,
    serving,
    shuffled,
)
from manualbp.running.suite import shared_process
from manualbp.running.tree import SuiteError, describe_commit, describe_tree
from manualbp.running.turns import CONFIRMATION, SCREENING

ROUNDS = SCREENING + CONFIRMATION
"""One try of every comparison, as the gate would make it."""

ALONE_ROUNDS = 2
"""Processes in which each slowdown is measured apart, for what it came to."""

TRIES = 3
"""How often a process is measured at most where its values are disturbed."""

MARGIN_ROUNDS = 5
"""Processes for the deviation of the cells that are no part of the tries."""


@dataclass(frozen=True)
class Process:
    """One process to measure: the arm it belongs to, its side and cells, asv's attributes."""

    arm: str
    side: Side
    keys: tuple[Key, ...]
    attributes: Mapping[str, float]


def calibrate(
    project: Path,
    machine: str,
    values: Path,
    console: Console,
    *,
    conditions: Sequence[str],
    arms: int,
    slowdowns: Sequence[float],
    bench: str,
    workloads: list[str] | None,
    minutes: float,
) -> bool:
    """Measure under each condition, each value stored at once; returns False if interrupted."""
    if describe_tree(project).dirty:
        console.print("the tree has uncommitted changes, which are not measured", markup=False)
    tree = describe_commit(project, "HEAD")
    folder = folder_of_now(project / ".asv/calibrate")
    series = folder.name
    console.print(f"installing {tree.name[:8]}, {arms} times …")
    sides = []
    for number in range(1, arms + 1):
        installed = install(project, tree, folder / str(number))
        name = f"equal-{number}"
        results = folder / "results" / name
        side = open_side(
            *(name, installed, project, results),
            machine=machine,
            bench=bench,
            devices=None,
            workloads=workloads,
        )
        sides.append(side)
        if sides[-1].reason:
            raise SuiteError(sides[-1].reason)
        if any(benchmark.startswith("peers.") for benchmark, _ in sides[-1].cells):
            raise SuiteError(
                f"--bench {bench!r} chooses other libraries' benchmarks (peers): no "
                "verdict is given on them, so they have no margins; choose without them"
            )
    register_machine(machine, project / "results")
    deadline = time.monotonic() + 60 * minutes
    try:
        for condition in conditions:
            plan = [
                processes(sides, condition, number, slowdowns) for number in range(1, ROUNDS + 1)
            ]
            console.print(
                f"{condition}: {sum(len(g) for r in plan for g in r)} processes in {ROUNDS} rounds"
            )
            with neighbours("bursts", int(condition == "busy")):
                measure(sides, plan, (series, condition), values, deadline, console)
    except KeyboardInterrupt:
        console.print("interrupted: what was measured is kept")
        return False
    return True


def processes(
    sides: list[Side], condition: str, number: int, slowdowns: Sequence[float]
) -> list[list[Process]]:
    """List what is measured in one round: the processes of each group of cells."""
    listed = []
    for group in grouped(sides[0].cells, sides[0]):
        tried = tuple(key for key in group if is_tried(key))
        slowed = tuple(key for key in tried if is_slowed(key[1]))
        others = tuple(key for key in group if key not in tried)
        mine = [Process(side.name, side, tried, {}) for side in sides if tried]
        if others and condition == "idle" and number <= MARGIN_ROUNDS:
            mine.append(Process(sides[0].name, sides[0], others, {}))
        for slowdown in slowdowns if slowed else ():
            share = {"slowdown": slowdown / 100}
            mine.append(Process(f"slower-{slowdown:g}", sides[1], slowed, share))
            if condition == "idle" and number <= ALONE_ROUNDS:
                alone = {**share, "slowdown_alone": 1.0}
                mine.append(Process(f"alone-{slowdown:g}", sides[1], slowed, alone))
        if mine:
            listed.append(mine)
    return listed


def is_tried(key: Key) -> bool:
    """Choose the cells that are compared among the arms: the answer's."""
    benchmark, parameters = key
    return benchmark.endswith("ratio_to_tape") and "'exercise'" in parameters


def is_slowed(parameters: tuple[str, ...]) -> bool:
    """Choose the cells with slower arms: each gradient and mode, at a small or a large batch.

    The chain rule at batch 1 and the others at batch 4096, so that both kinds of cost are there.
    """
    _, gradient, _, _, batch = parameters
    return batch == ("1" if gradient == "'chain'" else "4096")


def measure(
    sides: list[Side],
    plan: list[list[list[Process]]],
    origin: tuple[str, str],
    values: Path,
    deadline: float,
    console: Console,
) -> None:
    """Measure round by round and append each value to the file ``values``."""
    failed: set[Key] = set()
    left = sum(len(group) for round_ in plan for group in round_)
    countdown = Countdown(left, deadline, guess=4.0)
    with ticking(console, countdown.left) as ticker, shared_process() as asked:
        for number, groups in enumerate(plan, start=1):
            with serving(sides):
                # A group's processes one right after the other, whatever arm they belong to.
                for process in [one for group in shuffled(groups) for one in shuffled(group)]:
                    if time.monotonic() > deadline:
                        console.print("time is over; --minutes gives more")
                        return
                    ticker.doing(f"round {number}, {process.arm}")
                    open_ = [key for key in process.keys if key not in failed]
                    for _ in range(TRIES):
                        outcomes = tried(process, open_, asked)
                        for key, outcome in outcomes.items():
                            if outcome.status in ("ok", "disturbed"):
                                append(values, (*origin, number, process.arm), key, outcome)
                                continue
                            failed.add(key)
                            text = f"{outcome.status}: {process.side.cells[key]}: {outcome.reason}"
                            console.print(text, style="red")
                        # A round's value of every arm is needed: they are compared round by round.
                        open_ = [key for key in open_ if outcomes[key].status == "disturbed"]
                        if not open_:
                            break
                    left -= 1
                    countdown.done(1, left)
                    ticker.done()


def tried(process: Process, keys: Sequence[Key], asked: Mapping[str, Any]) -> dict[Key, Outcome]:
    """Measure cells of a process's side with its attributes."""
    if not keys or process.side.suite is None:
        return {}
    cells = [process.side.cells[key] for key in keys]
    outcomes = process.side.suite.try_out(cells, {**asked, **process.attributes})
    return {key: outcomes[cell] for key, cell in zip(keys, cells, strict=True)}


def append(path: Path, origin: tuple[Any, ...], key: Key, outcome: Outcome) -> None:
    """Add one value to the file, with the columns ``calibration.VALUES`` and its status."""
    from manualbp.reading.calibration import VALUES
    from manualbp.reading.schema import QUANTITIES

    benchmark, parameters = key
    quantity = benchmark.rpartition(".")[2]
    case = dict(
        zip(QUANTITIES[quantity].parameters, map(ast.literal_eval, parameters), strict=True)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow([*VALUES, "status"])
        row = dict(zip(VALUES, origin, strict=False)) | case
        row |= {"benchmark": benchmark, "quantity": quantity}
        row |= {"value": outcome.value, "status": outcome.status}
        writer.writerow([row.get(column, "") for column in (*VALUES, "status")])
