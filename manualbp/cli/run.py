"""``manualbp run``: measure with asv, save under the commit, report and say what came out."""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from manualbp.cases import DEVICES
from manualbp.cli import terminal
from manualbp.cli.cells import Cell, Outcome
from manualbp.cli.chosen import add_workload_argument, chosen_workloads
from manualbp.cli.machine import choose_machine
from manualbp.cli.plan import Plan, describe, is_answer
from manualbp.cli.progress import ticking
from manualbp.cli.suite import (
    PATIENCE_S,
    Source,
    Suite,
    checked_out,
    results_folder,
    shared_process,
    users_files,
)
from manualbp.cli.tree import CodeChangedError, SuiteError, find_project

MINUTES, QUICK_MINUTES = 10.0, 2.0
"""How long a run takes at most, from the command to the printed headline."""

QUICK = {"sample_time": 0.1, "warmup_time": 0.05}
"""Seconds per process of a quick look."""

QUICK_ROUNDS = 3
"""Processes of a quick look for each cell: the fewest that give an interval worth the name."""

REPORT_S, REPORT_SHARE = 8.0, 1.5
"""Seconds kept for the report at least, and as a share of what reading the suite took: both import
much and are slow on a busy machine alike."""

DESCRIPTION = """
Measure the suite with asv in this environment, in fresh processes, and save after each.  Ctrl-C
keeps what was measured, and reports it; so does an edit of the code, which ends the run.  A second
run at the same commit adds its processes to the first one's.

Measured is the exercise, the workloads that --workload names, or those in Python files of your own,
wherever they lie: their results go to ./results, under the files' commit or a hash of them.

The answer comes first: the workload's ratios to the tape, in every mode, at every batch, each in
five processes.  Then everything else is measured once; then further processes narrow the intervals
that still contain 1 and the widest, until all are within 1 % or the time is over.  Cells of one
mode, device and batch share a process, and each has a value of its own in it.

A value that was taken while the machine was busy is no sample.  It is kept apart with its reason,
and tried again while time remains.
"""

EPILOG = """
examples:
  manualbp run                          everything but other libraries, in 10 minutes
  manualbp run --quick                  the answer alone, three processes a cell, in 2 minutes
  manualbp run --minutes 30             narrower intervals
  manualbp run --workload all           every workload of ours
  manualbp run attention.py             the workloads in a file of your own
  manualbp run --bench ratio_to_tape    one benchmark (a regular expression, as asv's)
  manualbp run --bench 'steady_step.*xla' --device CPU:0
  manualbp run --bench peers            the same step in JAX, PyTorch, Keras, numba

exit status: 0 all measured; 1 cannot run, or the code was edited; 2 a cell failed; 130 interrupted
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
    parser.add_argument(
        "files", nargs="*", metavar="FILE.py", help="measure the workloads in these files"
    )
    add_workload_argument(parser, files=True)
    parser.add_argument("--quick", action="store_true", help="the answer alone, within 2 minutes")
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
        help=f"how long it may take in all (default: {MINUTES:g}, with --quick {QUICK_MINUTES:g})",
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
    """What became of the cells so far: how many values by outcome, and reasons."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    disturbed: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    stopped: str = ""
    out_of_time: bool = False

    def add(self, cell: Cell, outcome: Outcome) -> None:
        """Count an outcome."""
        self.counts[outcome.status] += 1
        if outcome.status == "failed":
            self.failed[str(cell)] = outcome.reason
        elif outcome.status == "skipped":
            self.skipped[outcome.reason] += 1
        elif outcome.status == "disturbed":
            self.disturbed[outcome.reason] += 1
        elif outcome.status == "ok":
            self.failed.pop(str(cell), None)  # by itself it works

    @property
    def discarded(self) -> str:
        """Say how many values were discarded."""
        count = self.counts["disturbed"]
        return f"{count} of {count + self.counts['ok']} values discarded: the machine was busy"


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    started = time.monotonic()
    console = terminal.console(stderr=True, soft_wrap=True)
    output = arguments.output.absolute()
    minutes = arguments.minutes or (QUICK_MINUTES if arguments.quick else MINUTES)
    try:
        project, source = chosen_source(arguments)
        workloads = chosen_workloads(arguments.workload, arguments.files)
        results = source.results if source.files else results_folder(project)
        machine = choose_machine(arguments.machine, results, source.results)
        console.print("reading the suite (imports TensorFlow once) …")
        suite = Suite(project, source, machine, arguments.bench)
        cells = suite.cells(arguments.device, workloads)
        if arguments.quick:
            cells = [replace(cell, rounds=QUICK_ROUNDS) for cell in cells if is_answer(cell)]
        if not cells:
            raise SuiteError(
                "nothing to measure: --workload, --bench, --device and --quick leave no cell"
            )
        if source.tree.dirty:
            console.print(
                f"the tree has uncommitted changes: results go to {source.results}, "
                f"under the name {source.tree.name}"
            )
        console.print(
            f"{len(cells)} cells of {source.tree.name}, at most {minutes:g} minutes; "
            "Ctrl-C keeps what is measured"
        )
        report_s = max(REPORT_S, REPORT_SHARE * (time.monotonic() - started))
        deadline = started + 60 * minutes - report_s
        tally = measure(suite, cells, deadline, console, quick=arguments.quick)
    except SuiteError as error:
        console.print(f"manualbp: {error}", style="red")
        return 1
    summarize(tally, console)
    print_report(suite, output)
    if tally.interrupted:
        return 130
    if tally.stopped:
        return 1
    return 2 if tally.failed else 0


def chosen_source(arguments: argparse.Namespace) -> tuple[Path, Source]:
    """Return the folder to run in and what is measured: a user's files, or the project."""
    if arguments.files:
        return Path.cwd(), users_files(arguments.files, Path.cwd())
    project = find_project()
    return project, checked_out(project)


def measure(
    suite: Suite, cells: Sequence[Cell], deadline: float, console: Console, *, quick: bool
) -> Tally:
    """Measure what the plan says until all is done, the deadline is there, or interrupted."""
    tally = Tally()
    plan = Plan(cells, suite.store.samples, narrow=not quick)

    def left() -> float:
        return min(plan.seconds_left(), deadline - time.monotonic())

    try:
        with ticking(console, left) as ticker, shared_process(QUICK if quick else {}) as asked:
            for groups in plan.rounds():
                # A server of its own, so that what one import happens to bring (hashes,
                # addresses) is not shared by all values of a cell.
                with suite.running():
                    for group in groups:
                        if time.monotonic() + plan.seconds(group) > deadline:
                            tally.out_of_time = True
                            continue  # a shorter one may fit
                        ticker.doing(describe(group))
                        mine = asked if group[0].process else {"patience": PATIENCE_S}
                        outcomes = suite.measure(group, mine, deadline - time.monotonic())
                        plan.record(outcomes)
                        for cell, outcome in outcomes.items():
                            tally.add(cell, outcome)
                        warn_of_disturbance(tally, outcomes, console)
                        ticker.done()
                if tally.out_of_time:
                    return tally
    except KeyboardInterrupt:
        tally.interrupted = True
    except CodeChangedError as error:
        tally.stopped = str(error)
    return tally


def warn_of_disturbance(tally: Tally, outcomes: dict[Cell, Outcome], console: Console) -> None:
    """Say that the machine is busy: at the first discarded value, and at every hundredth."""
    disturbed = sum(outcome.status == "disturbed" for outcome in outcomes.values())
    count = tally.counts["disturbed"]
    if disturbed and (count == disturbed or count // 100 > (count - disturbed) // 100):
        reason = next(o.reason for o in outcomes.values() if o.status == "disturbed")
        console.print(f"{tally.discarded} ({reason}); they are tried again while time remains")


def summarize(tally: Tally, console: Console) -> None:
    """Say what was measured, what failed, was skipped or disturbed, apart."""
    console.print(f"{tally.counts['ok']} values measured, all saved")
    if tally.interrupted:
        console.print("interrupted: what was measured is kept, run again to add to it")
    if tally.stopped:
        console.print(f"manualbp: {tally.stopped}", style="red")
    if tally.out_of_time:
        console.print("time is over: run again to add processes, or give --minutes more")
    if tally.disturbed:
        console.print(f"{tally.discarded}; 'manualbp doctor' says what disturbs")
    for reason, count in tally.skipped.items():
        console.print(f"{count} cells skipped: {reason}")
    for name, reason in tally.failed.items():
        console.print(f"failed: {name}: {reason}", style="red")


def print_report(suite: Suite, output: Path) -> None:
    """Write the report and print the headline and where everything is."""
    if not suite.store.file.is_file():
        print("nothing was measured, so there is nothing to report")
        return
    from manualbp.reading.report import write_report

    report = write_report(suite.store.file, output)
    terminal.say(report.headline)
    print(f"\nreport:  {output / 'index.html'}\nresults: {suite.store.file}")
