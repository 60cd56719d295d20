"""``manualbp run``: measure with asv, save under the commit, report and say what came out."""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from manualbp.cases import DEVICES
from manualbp.cli import terminal
from manualbp.cli.arguments import positive
from manualbp.cli.chosen import add_workload_argument, chosen_workloads
from manualbp.running.machine import choose_machine
from manualbp.running.plan import Plan, is_answer
from manualbp.running.rounds import Tally, measure
from manualbp.running.source import Source, checked_out, results_folder, users_files
from manualbp.running.suite import Suite
from manualbp.running.tree import SuiteError, find_project

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

The answer comes first: the workload's ratios to the tape, in every mode, at every batch, and the
tape's to itself, each in five processes. Then everything else is measured once; then further
processes narrow the intervals that still contain 1 and the widest, until all are within 1 % or
the time is over. Cells of one mode, device and batch share a process, and each has a value of
its own in it.

A value that was taken while the machine was busy is no sample.  It is kept apart with its reason,
and tried again while time remains.
"""

EPILOG = """
examples:
  manualbp run                          everything but other libraries, in 10 minutes
  manualbp run --quick                  the answer alone, three processes a cell, in 2 minutes
  manualbp run --minutes 30             narrower intervals
  manualbp run --resume                 go on where a run was ended; nothing twice
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
    parser.add_argument(
        "--resume",
        action="store_true",
        help="measure only what is missing: cells without a value, processes that a cell lacks",
    )
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
        plan = Plan(
            cells, suite.store.samples, narrow=not arguments.quick, missing=arguments.resume
        )
        tally = measure(suite, plan, deadline, console, QUICK if arguments.quick else {})
    except SuiteError as error:
        console.print(f"manualbp: {error}", style="red")
        return 1
    if arguments.resume and not (tally.counts or tally.interrupted or tally.out_of_time):
        console.print("nothing is missing: every cell has its processes")
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
