"""``manualbp calibrate``: find out what this machine can tell apart, and set its margins."""

import argparse
import ast
import csv
import datetime as dt
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from manualbp.cli import terminal
from manualbp.cli.gate import CONFIRMATION, SCREENING
from manualbp.cli.progress import ticking
from manualbp.cli.run import positive
from manualbp.cli.sides import Key, Side, in_turns, install, open_side
from manualbp.cli.suite import check_machine_name
from manualbp.cli.tree import SuiteError, describe_commit, describe_tree, find_project

ROUNDS = SCREENING + CONFIRMATION
"""One try of every comparison, as the gate would make it."""

EQUAL_ARMS = 3
"""Each pair of them is a comparison of equal commits: three arms make three, five make ten."""

SLOWDOWNS = (1.0, 2.0, 3.0, 5.0, 10.0)
"""Percent of extra work."""

ALONE_ROUNDS = 2
"""Processes in which each slowdown is measured apart, for what it came to."""

MARGIN_ROUNDS = 5
"""Processes for the deviation of the cells that are no part of the tries."""

DESCRIPTION = f"""
Measure what this machine can tell apart.  Installations of the same commit are measured by
turns: whatever differs between them is a false alarm.  In some cells one arm gets 1 to 10 % of
extra work: whatever is not found of it is a miss.  All of it on the machine as it is, and again
with a busy neighbour, a process that computes in bursts.  Verdicts are given as 'manualbp gate'
gives them.

Writes every value to results/MACHINE/calibration.csv and each cell's margin to
results/MACHINE/margins.csv, which make 'manualbp compare' and 'gate' gate; and the power curve,
tables and a summary to the report's folder.  It takes about 40 minutes for each condition, in
{ROUNDS} rounds; leave the machine alone meanwhile.
"""

EPILOG = """
examples:
  manualbp calibrate                          idle, then busy
  manualbp calibrate --condition idle         margins alone
  manualbp calibrate --evaluate               from the stored values, without measuring

exit status: 0 done; 1 cannot run; 130 interrupted (what was measured is kept)
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "calibrate",
        help="measure what this machine can tell apart, and set its margins",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--condition", choices=("idle", "busy", "both"), default="both")
    parser.add_argument(
        "--slowdowns",
        type=positive,
        nargs="*",
        default=list(SLOWDOWNS),
        metavar="PERCENT",
        help="sizes of extra work (default: %(default)s)",
    )
    parser.add_argument(
        "--arms",
        type=at_least_two,
        default=EQUAL_ARMS,
        metavar="N",
        help="installations of the same commit; each pair is a comparison (default: %(default)s)",
    )
    parser.add_argument("--machine", metavar="NAME", help="(default: the processor's)")
    parser.add_argument(
        "--bench",
        metavar="REGEX",
        default=r"ratio_.*CPU:0|ratio_numpy_to_numpy",
        help="only benchmarks that match (default: %(default)s)",
    )
    parser.add_argument(
        "--minutes", type=positive, default=120.0, help="start no process after this time"
    )
    parser.add_argument("--evaluate", action="store_true", help="measure nothing, read what is")
    parser.add_argument("-o", "--output", type=Path, default=Path("report"))
    parser.set_defaults(command=run)


def at_least_two(text: str) -> int:
    """Read the number of arms."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 2")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading.calibration import FILE
    from manualbp.reading.frame import ResultsError

    console = terminal.console(stderr=True, soft_wrap=True)
    output = arguments.output.absolute()
    interrupted = False
    try:
        project = find_project()
        machine = check_machine_name(arguments.machine)
        values = project / "results" / machine / FILE
        if not arguments.evaluate:
            interrupted = not calibrate(project, machine, values, arguments, console)
        evaluate(values, output, console)
    except (SuiteError, ResultsError) as error:
        console.print(f"manualbp: {error}", style="red", markup=False)
        return 1
    return 130 if interrupted else 0


@dataclass(frozen=True)
class Process:
    """One process to measure: the arm it belongs to, its side and cell, asv's attributes."""

    arm: str
    side: str
    key: Key
    attributes: Mapping[str, float]


def calibrate(
    project: Path, machine: str, values: Path, arguments: argparse.Namespace, console: Console
) -> bool:
    """Measure under each condition, each value stored at once; returns False if interrupted."""
    if describe_tree(project).dirty:
        console.print("the tree has uncommitted changes, which are not measured", markup=False)
    tree = describe_commit(project, "HEAD")
    series = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}"
    folder = project / ".asv/calibrate" / series
    console.print(f"installing {tree.name[:8]}, {arguments.arms} times …")
    sides = []
    for number in range(1, arguments.arms + 1):
        installed = install(project, tree, folder / str(number))
        name = f"equal-{number}"
        options = {"machine": machine, "bench": arguments.bench, "devices": None}
        sides.append(open_side(name, installed, project, folder / "results" / name, **options))
        if sides[-1].reason:
            raise SuiteError(sides[-1].reason)
        if any(benchmark.startswith("peers.") for benchmark, _ in sides[-1].cells):
            raise SuiteError(
                f"--bench {arguments.bench!r} chooses other libraries' benchmarks (peers): no "
                "verdict is given on them, so they have no margins; choose without them"
            )
    conditions = ("idle", "busy") if arguments.condition == "both" else (arguments.condition,)
    deadline = time.monotonic() + 60 * arguments.minutes
    try:
        for condition in conditions:
            plan = [
                processes(sides, condition, number, arguments.slowdowns)
                for number in range(1, ROUNDS + 1)
            ]
            console.print(f"{condition}: {sum(map(len, plan))} processes in {ROUNDS} rounds")
            with neighbour(condition == "busy"):
                measure(sides, plan, (series, condition), values, deadline, console)
    except KeyboardInterrupt:
        console.print("interrupted: what was measured is kept")
        return False
    return True


def processes(
    sides: list[Side], condition: str, number: int, slowdowns: list[float]
) -> list[Process]:
    """List what is measured in one round."""
    listed = []
    for key in sides[0].cells:
        benchmark, parameters = key
        tried = benchmark.endswith("ratio_to_tape") and "'exercise'" in parameters
        if tried:
            listed += [Process(side.name, side.name, key, {}) for side in sides]
        elif condition == "idle" and number <= MARGIN_ROUNDS:
            listed.append(Process(sides[0].name, sides[0].name, key, {}))
        if tried and is_slowed(parameters):
            for slowdown in slowdowns:
                share = {"slowdown": slowdown / 100}
                listed.append(Process(f"slower-{slowdown:g}", sides[1].name, key, share))
                if condition == "idle" and number <= ALONE_ROUNDS:
                    alone = {**share, "slowdown_alone": 1.0}
                    listed.append(Process(f"alone-{slowdown:g}", sides[1].name, key, alone))
    return listed


def is_slowed(parameters: tuple[str, ...]) -> bool:
    """Choose the cells with slower arms: each gradient and mode, at a small or a large batch.

    The chain rule at batch 1 and the others at batch 4096, so that both kinds of cost are there.
    """
    _, gradient, _, _, batch = parameters
    return batch == ("1" if gradient == "'chain'" else "4096")


def measure(
    sides: list[Side],
    plan: list[list[Process]],
    origin: tuple[str, str],
    values: Path,
    deadline: float,
    console: Console,
) -> None:
    """Measure round by round and append each value to the file ``values``."""
    failed: set[Key] = set()
    with ticking(console, sum(map(len, plan)), deadline) as ticker:
        for number, listed in enumerate(plan, start=1):
            by_key: dict[Key, dict[str, list[Process]]] = {}
            for process in listed:
                by_key.setdefault(process.key, {}).setdefault(process.side, []).append(process)
            for side, key in in_turns(sides, by_key):
                mine = by_key[key].get(side.name, [])
                for process in random.sample(mine, len(mine)):
                    if time.monotonic() > deadline:
                        console.print("time is over; --minutes gives more")
                        return
                    ticker.doing(f"round {number}: {side.cells[key]}")
                    if key not in failed and side.suite is not None:
                        outcome = side.suite.try_out(side.cells[key], dict(process.attributes))
                        if outcome.status == "ok":
                            append(values, (*origin, number, process.arm), key, outcome.value)
                        else:
                            failed.add(key)
                            text = f"{outcome.status}: {side.cells[key]}: {outcome.reason}"
                            console.print(text, style="red", markup=False)
                    ticker.done()


def append(path: Path, origin: tuple[Any, ...], key: Key, value: float) -> None:
    """Add one value to the file; its columns are ``manualbp.reading.calibration.VALUES``."""
    from manualbp.reading.calibration import VALUES
    from manualbp.reading.frame import QUANTITIES

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
            writer.writerow(VALUES)
        row = dict(zip(VALUES, origin, strict=False)) | case
        row |= {"benchmark": benchmark, "quantity": quantity, "value": value}
        writer.writerow([row.get(column, "") for column in VALUES])


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    """Run a busy neighbour meanwhile, if asked for."""
    if not busy:
        yield
        return
    process = subprocess.Popen([sys.executable, "-m", "manualbp.cli.neighbour"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def evaluate(values: Path, output: Path, console: Console) -> None:
    """Write the margins, the power curve and the tables; print the summary."""
    from manualbp.reading import calibration, power
    from manualbp.reading.margins import FILE, load_margins, save_margins

    table = calibration.load_calibration(values)
    margins = values.with_name(FILE)
    save_margins(calibration.margins_table(table), margins)
    tries = calibration.judge(table, load_margins(margins), SCREENING, CONFIRMATION)
    files = power.write(table, tries, output)
    terminal.say(power.summary(table, tries))
    for file in (margins, *files):
        console.print(str(file), markup=False)
