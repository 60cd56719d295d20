"""``manualbp compare``: two stored runs, cell by cell, with a verdict that CI can act on."""

import argparse
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manualbp.cli import terminal
from manualbp.cli.answer import EXIT_STATUS, add_output_arguments, answer, environment_lines
from manualbp.running.tree import harness_changes

if TYPE_CHECKING:
    import pandas as pd

DESCRIPTION = """
Compare the interleaved ratios of two stored runs, cell by cell: slower, faster, same,
inconclusive or not measured.  BASE and HEAD are commits with stored results, result files,
or results folders (the newest run in each): two TensorFlow versions or two machines as well.
Where commits between the two have results, it says at which of them a cell changed its level.
TensorFlow is not needed.
"""

EPILOG = f"""
examples:
  manualbp compare HEAD^                    the last commit but one with this one
  manualbp compare 1a2b3c4d 5e6f7a8b --format markdown >> "$GITHUB_STEP_SUMMARY"
  manualbp compare results/desk/1a2b3c4d-tf2.20.json results/desk/1a2b3c4d-tf2.21.json
  manualbp compare v1 v2 --margin 3         gate with a margin of 3 %% in every cell

A cell is gated when its margin is known: 'manualbp calibrate' measures a machine's, --margin sets
one for all.  Absolute times are not judged; on shared machines they wander by tens of percent.
{EXIT_STATUS}"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "compare",
        help="verdicts on two stored runs, with exit statuses for CI",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="BASE", help="a commit, a result file or a folder")
    parser.add_argument("head", metavar="HEAD", nargs="?", default="HEAD", help="(default: HEAD)")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="(default: %(default)s)"
    )
    parser.add_argument("--machine", help="of this machine only")
    parser.add_argument(
        "--paired",
        action="store_true",
        help="both were measured by turns, as the two folders of a gate",
    )
    add_output_arguments(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading.comparison import Comparison, describe
    from manualbp.reading.counts import counted, structure
    from manualbp.reading.environment import process_seconds, result_files_of
    from manualbp.reading.find import find_runs
    from manualbp.reading.margins import FILE, load_margins
    from manualbp.reading.remedies import commits_of
    from manualbp.reading.schema import ResultsError
    from manualbp.reading.text import presentable
    from manualbp.reading.verdicts import Margins, compare, uniform

    try:
        runs = find_runs(
            arguments.base, arguments.head, arguments.results, arguments.machine, resolve
        )
        base, head = map(presentable, runs)
        margins: Margins
        if arguments.margin:
            margins = uniform(arguments.margin, base, head)
        else:
            machine = Path(head["machine"].iloc[0]).name  # a name is no path
            margins = load_margins(arguments.margins or arguments.results / machine / FILE)
        folders = [
            Path(side) if Path(side).exists() else arguments.results
            for side in (arguments.base, arguments.head)
        ]
        files = [
            result_files_of(folder, frame)
            for folder, frame in zip(folders, (base, head), strict=True)
        ]
        seconds = process_seconds([*files[0], *files[1]])
        comparison = Comparison(
            base=describe(base),
            head=describe(head) + another_machine(base, head) + the_same_run(base, head),
            cells=compare(base, head, margins, paired=arguments.paired, seconds=seconds),
            structure=structure(base, head),
            counts=counted(head),
            environment=environment_lines((base, head), files),
            harness=harness_between(base, head),
            commits=commits_of(base, head),
        )
        if not (Path(arguments.base).exists() or Path(arguments.head).exists()):
            changes = history_between(base, head, arguments.results)
            comparison = replace(comparison, changes=changes)
    except ResultsError as error:
        terminal.complain(error)
        return 1
    return answer(comparison, arguments)


def another_machine(base: "pd.DataFrame", head: "pd.DataFrame") -> str:
    """Say what differs where the runs are of two machines, which no commit is to blame for."""
    from manualbp.reading.machines import differing, fact, facts_in

    if base["machine"].iloc[0] == head["machine"].iloc[0]:
        return ""
    one, other = facts_in(base), facts_in(head)
    words = [f"{fact(name, other)}, not {fact(name, one)}" for name in differing(one, other)]
    return f"; the machines differ{': ' if words else ''}{'; '.join(words)}"


def the_same_run(base: "pd.DataFrame", head: "pd.DataFrame") -> str:
    """Say so where both sides have the same values: no verdict on them is news."""
    alike = base["samples"].tolist() == head["samples"].tolist()
    if alike and base["processes"].sum():  # exact counts alone have no samples, and may differ
        return "; the same values as the base's, so nothing can differ"
    return ""


def harness_between(base: "pd.DataFrame", head: "pd.DataFrame") -> tuple[str, ...]:
    """List the files that measure and verify in which the commits differ, if git has both."""
    commits = [str(run["commit"].iloc[0]) for run in (base, head)]
    if not all(re.fullmatch("[0-9a-f]{40}", commit) for commit in commits):
        return ()  # what a file calls its commit may be anything, an option of git's as well
    return harness_changes(Path.cwd(), *commits)


def history_between(base: "pd.DataFrame", head: "pd.DataFrame", results: Path) -> "pd.DataFrame":
    """Return where ratios to the tape changed their level between two commits of a machine."""
    from manualbp.reading.frame import load_results
    from manualbp.reading.history import changes_between
    from manualbp.reading.text import presentable

    frame = presentable(load_results(results))
    machine = head["machine"].iloc[0]
    mine = (frame["machine"] == machine) & (frame["quantity"] == "ratio_to_tape")
    return changes_between(frame[mine], base["commit"].iloc[0], head["commit"].iloc[0])


def resolve(revision: str) -> str | None:
    """Ask git for the full hash of a revision; None where there is no git or no such revision."""
    command = [
        "git",
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        revision + "^{commit}",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
