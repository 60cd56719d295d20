"""``manualbp calibrate``: find out what this machine can tell apart, and set its margins."""

import argparse
import ast
import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from manualbp.cli import terminal
from manualbp.cli.cells import Outcome
from manualbp.cli.chosen import add_workload_argument, chosen_workloads
from manualbp.cli.gate import CONFIRMATION, SCREENING
from manualbp.cli.machine import choose_machine, register_machine
from manualbp.cli.neighbour import neighbours
from manualbp.cli.progress import Countdown, ticking
from manualbp.cli.run import positive
from manualbp.cli.sides import (
    Key,
    Side,
    folder_of_now,
    grouped,
    install,
    open_side,
    serving,
    shuffled,
)
from manualbp.cli.suite import shared_process
from manualbp.cli.tree import SuiteError, describe_commit, describe_tree, find_project

ROUNDS = SCREENING + CONFIRMATION
"""One try of every comparison, as the gate would make it."""

EQUAL_ARMS = 3
"""Each pair of them is a comparison of equal commits: three arms make three, five make ten."""

SLOWDOWNS = (1.0, 2.0, 3.0, 5.0, 10.0)
"""Percent of extra work."""

ALONE_ROUNDS = 2
"""Processes in which each slowdown is measured apart, for what it came to."""

TRIES = 3
"""How often a process is measured at most where its values are disturbed."""

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
    add_workload_argument(parser)
    parser.add_argument("--machine", metavar="NAME", help="(default: this machine's own)")
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
        results = project / "results"
        machine = choose_machine(arguments.machine, results, to_read=arguments.evaluate)
        values = results / machine / FILE
        if not arguments.evaluate:
            interrupted = not calibrate(project, machine, values, arguments, console)
        evaluate(values, output, console)
    except (SuiteError, ResultsError) as error:
        console.print(f"manualbp: {error}", style="red", markup=False)
        return 1
    return 130 if interrupted else 0


@dataclass(frozen=True)
class Process:
    """One process to measure: the arm it belongs to, its side and cells, asv's attributes."""

    arm: str
    side: Side
    keys: tuple[Key, ...]
    attributes: Mapping[str, float]


def calibrate(
    project: Path, machine: str, values: Path, arguments: argparse.Namespace, console: Console
) -> bool:
    """Measure under each condition, each value stored at once; returns False if interrupted."""
    if describe_tree(project).dirty:
        console.print("the tree has uncommitted changes, which are not measured", markup=False)
    tree = describe_commit(project, "HEAD")
    folder = folder_of_now(project / ".asv/calibrate")
    series = folder.name
    console.print(f"installing {tree.name[:8]}, {arguments.arms} times …")
    sides = []
    for number in range(1, arguments.arms + 1):
        installed = install(project, tree, folder / str(number))
        name = f"equal-{number}"
        results = folder / "results" / name
        options = {"machine": machine, "bench": arguments.bench, "devices": None}
        options["workloads"] = chosen_workloads(arguments.workload)
        sides.append(open_side(name, installed, project, results, **options))
        if sides[-1].reason:
            raise SuiteError(sides[-1].reason)
        if any(benchmark.startswith("peers.") for benchmark, _ in sides[-1].cells):
            raise SuiteError(
                f"--bench {arguments.bench!r} chooses other libraries' benchmarks (peers): no "
                "verdict is given on them, so they have no margins; choose without them"
            )
    register_machine(machine, project / "results")
    conditions = ("idle", "busy") if arguments.condition == "both" else (arguments.condition,)
    deadline = time.monotonic() + 60 * arguments.minutes
    try:
        for condition in conditions:
            plan = [
                processes(sides, condition, number, arguments.slowdowns)
                for number in range(1, ROUNDS + 1)
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
    sides: list[Side], condition: str, number: int, slowdowns: list[float]
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
            writer.writerow([*VALUES, "status"])
        row = dict(zip(VALUES, origin, strict=False)) | case
        row |= {"benchmark": benchmark, "quantity": quantity}
        row |= {"value": outcome.value, "status": outcome.status}
        writer.writerow([row.get(column, "") for column in (*VALUES, "status")])


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
