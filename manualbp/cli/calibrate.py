"""``manualbp calibrate``: find out what this machine can tell apart, and set its margins."""

import argparse
from pathlib import Path

from rich.console import Console

from manualbp.cli import terminal
from manualbp.cli.arguments import at_least_two, positive
from manualbp.cli.chosen import add_workload_argument, chosen_workloads
from manualbp.running.calibrating import ROUNDS, calibrate
from manualbp.running.machine import choose_machine
from manualbp.running.tree import SuiteError, find_project
from manualbp.running.turns import CONFIRMATION, SCREENING

EQUAL_ARMS = 3
"""Each pair of them is a comparison of equal commits: three arms make three, five make ten."""

SLOWDOWNS = (1.0, 2.0, 3.0, 5.0, 10.0)
"""Percent of extra work."""

DESCRIPTION = f"""
Measure what this machine can tell apart.  Installations of the same commit are measured by
turns: whatever differs between them is a false alarm.  In some cells one arm gets 1 to 10 % of
extra work: whatever is not found of it is a miss.  All of it on the machine as it is, and again
with a busy neighbour, a process that computes in bursts.  Verdicts are given as 'manualbp gate'
gives them.

Writes every value to results/MACHINE/calibration.csv and each cell's margin to
results/MACHINE/margins.csv, which make 'manualbp compare' and 'gate' gate; and the power curve,
tables and a summary to the report's folder.  It takes about an hour for each condition, in
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
        "--minutes", type=positive, default=180.0, help="start no process after this time"
    )
    parser.add_argument("--evaluate", action="store_true", help="measure nothing, read what is")
    parser.add_argument("-o", "--output", type=Path, default=Path("report"))
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading.calibration import FILE
    from manualbp.reading.schema import ResultsError

    console = terminal.console(stderr=True, soft_wrap=True)
    output = arguments.output.absolute()
    interrupted = False
    try:
        project = find_project()
        results = project / "results"
        machine = choose_machine(arguments.machine, results, to_read=arguments.evaluate)
        values = results / machine / FILE
        if not arguments.evaluate:
            both = arguments.condition == "both"
            interrupted = not calibrate(
                *(project, machine, values, console),
                conditions=("idle", "busy") if both else (arguments.condition,),
                arms=arguments.arms,
                slowdowns=arguments.slowdowns,
                bench=arguments.bench,
                workloads=chosen_workloads(arguments.workload),
                minutes=arguments.minutes,
            )
        evaluate(values, output, console)
    except (SuiteError, ResultsError) as error:
        console.print(f"manualbp: {error}", style="red", markup=False)
        return 1
    return 130 if interrupted else 0


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
