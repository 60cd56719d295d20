"""``manualbp run``: measure with asv, save under the commit, report and say what came out."""

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from manualbp.cases import DEVICES
from manualbp.cli.machine import choose_machine
from manualbp.cli.progress import ticking
from manualbp.cli.suite import Cell, Outcome, Suite, checked_out, in_rounds, results_folder
from manualbp.cli.tree import SuiteError, find_project

QUICK = {"sample_time": 0.1, "warmup_time": 0.05}
"""Seconds per process of a quick look: its medians are right, its spread is unknown."""

DESCRIPTION = """
Measure the suite with asv in this environment, cell by cell, each in a fresh process, and save
after every cell.  Ctrl-C keeps what was measured, and reports it.  A second run at the same commit
adds its processes to the first one's.

The first round measures every cell once; further rounds add processes, which narrows the
intervals, until each cell has its number or the time is over.
"""

EPILOG = """
examples:
  manualbp run                          everything but other libraries, at most 10 minutes
  manualbp run --quick                  steps and ratios only, one process each, 2 minutes
  manualbp run --bench ratio_to_tape    one benchmark (a regular expression, as asv's)
  manualbp run --bench 'steady_step.*xla' --device CPU:0
  manualbp run --bench peers            the same step in JAX, PyTorch, Keras, numba

exit status: 0 all measured; 1 cannot run; 2 a cell failed; 130 interrupted
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "run",
        help="measure with asv, save under the commit, write the report",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a look within 2 minutes")
    parser.add_argument("--bench", metavar="REGEX", help="only benchmarks that match")
    parser.add_argument(
        "--machine",
        metavar="NAME",
        help="name to store results under (default: one that is this machine's alone)",
    )
    parser.add_argument(
        "--device",
        action="append",
        choices=DEVICES,
        help="only this device (may be repeated; default: all, absent ones are skipped)",
    )
    parser.add_argument(
        "--minutes",
        type=positive,
        default=9.5,
        help="start no process after this time (default: %(default)s)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report"), help="folder of the report"
    )
    parser.set_defaults(command=run)


def positive(text: str) -> float:
    """Parse a positive number for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


@dataclass
class Tally:
    """What became of the cells so far."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    finished: set[tuple[str, int]] = field(default_factory=set)
    interrupted: bool = False
    out_of_time: bool = False

    def add(self, cell: Cell, outcome: Outcome) -> None:
        """Count an outcome; a cell that failed or was skipped is not tried again."""
        if outcome.status == "ok":
            self.counts["measured"] += 1
            return
        self.finished.add((cell.benchmark, cell.index))
        if outcome.status == "failed":
            self.failed[str(cell)] = outcome.reason
        else:
            self.skipped[outcome.reason] += 1


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    output = arguments.output.absolute()
    try:
        project = find_project()
        source = checked_out(project)
        machine = choose_machine(arguments.machine, results_folder(project), source.results)
        console.print("reading the suite (imports TensorFlow once) …")
        suite = Suite(project, source, machine, arguments.bench)
        cells = suite.cells(devices=arguments.device, quick=arguments.quick)
        if not cells:
            raise SuiteError("nothing to measure: --bench, --device and --quick leave no cell")
        if source.tree.dirty:
            console.print(
                f"the tree has uncommitted changes: results go to {source.results}, "
                f"under the name {source.tree.name}"
            )
        tally = measure(suite, cells, QUICK if arguments.quick else {}, arguments, console)
    except SuiteError as error:
        console.print(f"manualbp: {error}", style="red", markup=False)
        return 1
    summarize(tally, console)
    print_report(suite, output)
    if tally.interrupted:
        return 130
    return 2 if tally.failed else 0


def measure(
    suite: Suite,
    cells: list[Cell],
    attributes: dict[str, float],
    arguments: argparse.Namespace,
    console: Console,
) -> Tally:
    """Measure the cells round by round until done, out of time, or interrupted."""
    tally = Tally()
    deadline = time.monotonic() + 60 * arguments.minutes
    total = sum(cell.rounds for cell in cells)
    console.print(
        f"{len(cells)} cells of {suite.source.tree.name}, {total} processes, "
        f"at most {arguments.minutes:g} minutes; Ctrl-C keeps what is measured"
    )
    try:
        with ticking(console, total, deadline) as ticker:
            for number, chosen in in_rounds(cells):
                # A server of its own, so that what one import happens to bring (hashes,
                # addresses) is not shared by all values of a cell.
                with suite.running():
                    for cell in chosen:
                        if time.monotonic() > deadline:
                            tally.out_of_time = True
                            return tally
                        if (cell.benchmark, cell.index) in tally.finished:
                            continue
                        ticker.doing(f"round {number}: {cell}")
                        outcome = suite.measure(cell, attributes)
                        tally.add(cell, outcome)
                        if outcome.status != "ok":  # its further rounds are not needed
                            ticker.total -= cell.rounds - number
                        ticker.done()
    except KeyboardInterrupt:
        tally.interrupted = True
    return tally


def summarize(tally: Tally, console: Console) -> None:
    """Say what was measured, what failed and what was skipped, apart."""
    console.print(f"{tally.counts['measured']} processes measured, all saved")
    if tally.interrupted:
        console.print("interrupted: what was measured is kept, run again to add to it")
    if tally.out_of_time:
        console.print("time is over: run again to add processes, or give --minutes more")
    for reason, count in tally.skipped.items():
        console.print(f"{count} cells skipped: {reason}", markup=False)
    for name, reason in tally.failed.items():
        console.print(f"failed: {name}: {reason}", style="red", markup=False)


def print_report(suite: Suite, output: Path) -> None:
    """Write the report and print the headline and where everything is."""
    if not suite.results_file.is_file():
        print("nothing was measured, so there is nothing to report")
        return
    from manualbp.reading.report import write_report

    report = write_report(suite.results_file, output)
    print(report.headline)
    print(f"\nreport:  {output / 'index.html'}\nresults: {suite.results_file}")
