"""``manualbp compare``: two stored runs, cell by cell, with a verdict that CI can act on."""

import argparse
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from manualbp.cli import terminal

if TYPE_CHECKING:
    import pandas as pd

    from manualbp.reading.comparison import Comparison

DESCRIPTION = """
Compare the interleaved ratios of two stored runs, cell by cell: slower, faster, same,
inconclusive or not measured.  BASE and HEAD are commits with stored results, result files,
or results folders (the newest run in each): two TensorFlow versions or two machines as well.
Where commits between the two have results, it says at which of them a cell changed its level.
TensorFlow is not needed.
"""

EXIT_STATUS = """
exit status:
  0  every gated cell is same or faster, and every exact count is equal
  1  cannot compare: no such results
  2  bad arguments
  3  a gated cell is slower
  4  none is slower, but some are inconclusive
  5  a gated cell was not measured, nothing is gated, or the control moved (void)
  6  all cells are same or faster, but an exact count changed (--accept-structure makes it 0)
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

COMMANDS = 6
"""So many commands that measure again are printed at most, unless all are asked for."""

STYLES = {"slower": "red", "faster": "green", "inconclusive": "yellow", "not measured": "magenta"}


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


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``compare`` and ``gate`` have in common: margins and the form of the answer."""
    parser.add_argument(
        "--margin",
        type=percent,
        metavar="PERCENT",
        help="one margin for every cell, instead of the machine's own",
    )
    parser.add_argument("--margins", type=Path, metavar="FILE", help="a table of margins")
    parser.add_argument(
        "--format", choices=("text", "markdown", "json"), default="text", help="(default: text)"
    )
    parser.add_argument(
        "--all", action="store_true", help="list the cells that are the same, too, and all commands"
    )
    parser.add_argument(
        "--accept-structure", action="store_true", help="do not fail for changed exact counts"
    )


def percent(text: str) -> float:
    """Parse a percentage into a fraction for argparse."""
    value = float(text)
    if not 0 < value < 100:
        raise ValueError
    return value / 100


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading.comparison import Comparison, describe
    from manualbp.reading.counts import counted, structure
    from manualbp.reading.environment import process_seconds, result_files_of
    from manualbp.reading.find import find_runs
    from manualbp.reading.frame import ResultsError
    from manualbp.reading.margins import FILE, load_margins
    from manualbp.reading.remedies import commits_of
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


def environment_lines(
    runs: "Sequence[pd.DataFrame]", files: Sequence[Sequence[Path]]
) -> tuple[str, ...]:
    """Say how the environments of base and head differ, from their tables and result files."""
    from manualbp.reading.environment import differences, environment_of

    base, head = (environment_of(*side) for side in zip(runs, files, strict=True))
    return differences(base, head)


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


def answer(comparison: "Comparison", arguments: argparse.Namespace) -> int:
    """Print a comparison as asked for, and return its exit status."""
    from manualbp.reading import comparison as words
    from manualbp.reading.verdicts import INCONCLUSIVE, NOT_MEASURED, SLOWER

    if arguments.accept_structure:
        kept = comparison.structure["outcome"] != "changed"
        comparison = replace(comparison, structure=comparison.structure[kept])
    if arguments.format == "markdown":
        print(words.markdown(comparison), end="")
    elif arguments.format == "json":
        from manualbp.reading.comparison_json import as_json

        print(as_json(comparison))
    else:
        print_text(comparison, everything=arguments.all)
    statuses = {
        words.GOOD: 0,
        SLOWER: 3,
        INCONCLUSIVE: 4,
        NOT_MEASURED: 5,
        words.UNGATED: 5,
        words.VOID: 5,
        words.CHANGED: 6,
    }
    return statuses[words.conclude(comparison)]


def print_text(comparison: "Comparison", *, everything: bool) -> None:
    """Print the headline, the cells that are not the same (or all) and the changed counts."""
    from manualbp.reading import comparison as words
    from manualbp.reading import environment
    from manualbp.reading.remedies import again
    from manualbp.reading.verdicts import SAME

    console = terminal.console(soft_wrap=True)
    if said := words.discarded(comparison):
        console.print(said)
    console.print(words.headline(comparison), style="bold")
    console.print(f"base: {comparison.base}\nhead: {comparison.head}")
    lines = comparison.environment
    alike = len(lines) == 1 and lines[0].startswith(environment.SAME)
    indented = f" {lines[0]}" if alike else "".join(f"\n  {line}" for line in lines)
    console.print(f"environment:{indented}\n" if lines else "")
    cells = comparison.cells
    shown = cells if everything else cells.loc[cells["verdict"] != SAME]
    if len(shown):
        table = Table(*words.HEADS, box=None, pad_edge=False)
        for row in words.text_rows(shown):
            style = next((s for verdict, s in STYLES.items() if row[-1].startswith(verdict)), "")
            table.add_row(*row, style=style)
        wide(console).print(table)
    if len(shown) < len(cells):
        console.print(f"{len(cells) - len(shown)} cells are the same (--all lists them)")
    if commands := again(cells, comparison.commits):
        side = "" if comparison.commits else ", in the checkout of each side"
        listed = commands if everything else commands[:COMMANDS]
        console.print(f"\nto measure again what that may settle{side}:", markup=False)
        console.print("\n".join(f"  {command}" for command in listed), markup=False)
        if len(listed) < len(commands):
            console.print(f"  … and {len(commands) - len(listed)} more (--all lists them)")
    if len(comparison.structure):
        table = Table(*words.STRUCTURE_HEADS, box=None, pad_edge=False, title_justify="left")
        for row in words.structure_rows(comparison.structure):
            table.add_row(*row)
        console.print()
        wide(console).print(table)
    if len(comparison.changes):
        table = Table(*words.CHANGE_HEADS, box=None, pad_edge=False)
        for row in words.change_rows(comparison.changes):
            table.add_row(*row)
        console.print("\nwhere levels changed between them:")
        wide(console).print(table)


def wide(console: Console) -> Console:
    """Return a console whose tables are not cut where there is no terminal to fit them in."""
    return console if console.is_terminal else terminal.console(width=160)
