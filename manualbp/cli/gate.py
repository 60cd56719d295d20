"""``manualbp gate``: measure two commits by turns, confirm what looks slower, give the verdict."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from manualbp.cases import DEVICES
from manualbp.cli import terminal
from manualbp.cli.answer import EXIT_STATUS, add_output_arguments, answer, environment_lines
from manualbp.cli.arguments import at_least_two, positive
from manualbp.cli.chosen import add_workload_argument, chosen_workloads
from manualbp.running.machine import choose_machine
from manualbp.running.sides import Key, Side, folder_of_now, install, open_side
from manualbp.running.suite import WITHOUT_PEERS
from manualbp.running.tree import (
    SuiteError,
    Tree,
    describe_commit,
    describe_tree,
    find_project,
    git,
    harness_changes,
)
from manualbp.running.turns import CONFIRMATION, SCREENING, measure_by_turns

if TYPE_CHECKING:
    import pandas as pd

    from manualbp.reading.comparison import Comparison
    from manualbp.reading.verdicts import Margins

BENCH = WITHOUT_PEERS + r"(?:.*\.ratio_|structure\.)"
"""The default benchmarks: interleaved ratios with their controls, and exact counts.  Those of other
libraries are not judged."""

DESCRIPTION = f"""
Measure two commits by turns in fresh processes and say whether HEAD is slower than BASE.  Each
commit's package is installed once in a folder of its own, and measured by its own suite, with the
dependencies of this environment.

First every cell is measured in {SCREENING} processes for each commit.  A cell that is neither same
nor faster then is measured again, in {CONFIRMATION} further processes, and those alone give its
verdict: what looked slower by chance does not look so twice.
"""

EPILOG = f"""
examples:
  manualbp gate main                              this branch against main
  manualbp gate HEAD^ HEAD --bench 'ratio_to_tape.*exercise.*xla'
  manualbp gate HEAD^ HEAD --processes 20         a longer second look, for what is inconclusive
  manualbp gate origin/main --margin 5 --format markdown >> "$GITHUB_STEP_SUMMARY"

A cell is gated when its margin is known: 'manualbp calibrate' measures a machine's, --margin sets
one for all.  Margins are those that BASE has, if it has any: a commit does not choose how it is
judged; '--margins results/MACHINE/margins.csv' takes the checkout's.

Everything measured is kept in .asv/gate, as asv's result files, and can be read by
'manualbp compare' again.
{EXIT_STATUS}"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "gate",
        help="measure two commits by turns and give the verdict",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="BASE", help="a commit, branch or tag")
    parser.add_argument("head", metavar="HEAD", nargs="?", default="HEAD", help="(default: HEAD)")
    parser.add_argument(
        "--bench", metavar="REGEX", default=BENCH, help="only benchmarks that match, as asv's"
    )
    add_workload_argument(parser)
    parser.add_argument("--machine", metavar="NAME", help="(default: this machine's own)")
    parser.add_argument("--device", action="append", choices=DEVICES, help="only this device")
    parser.add_argument(
        "--minutes",
        type=positive,
        default=60.0,
        help="start no process after this time; what is open then is inconclusive "
        "(default: %(default)g)",
    )
    parser.add_argument(
        "--processes",
        type=at_least_two,
        default=CONFIRMATION,
        metavar="N",
        help="for each cell and commit in the second look (default: %(default)s)",
    )
    add_output_arguments(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading.schema import ResultsError

    console = terminal.console(stderr=True, soft_wrap=True)
    try:
        comparison = gate(arguments, console)
    except (SuiteError, ResultsError) as error:
        console.print(f"manualbp: {error}", style="red", markup=False)
        return 1
    return answer(comparison, arguments)


def gate(arguments: argparse.Namespace, console: Console) -> "Comparison":
    """Measure both commits, confirm, and return the comparison."""
    from manualbp.reading.comparison import Comparison
    from manualbp.reading.counts import counted, structure
    from manualbp.reading.environment import process_seconds
    from manualbp.reading.verdicts import (
        compare,
        confirmed,
        unsettled_cells,
    )

    project = find_project()
    workloads = chosen_workloads(arguments.workload)
    trees = [describe_commit(project, name) for name in (arguments.base, arguments.head)]
    machine = choose_machine(arguments.machine, project / "results")
    folder = folder_of_now(project / ".asv/gate")
    deadline = time.monotonic() + 60 * arguments.minutes
    if describe_tree(project).dirty:
        console.print("the tree has uncommitted changes, which are not measured", markup=False)
    console.print(f"installing {' and '.join(tree.name[:8] for tree in trees)} …")
    installed = [install(project, tree, folder / tree.name[:8]) for tree in trees]

    def sides(purpose: str) -> list[Side]:
        return [
            open_side(
                *(name, commit, project, folder / purpose / name),
                machine=machine,
                bench=arguments.bench,
                devices=arguments.device,
                workloads=workloads,
                controls=True,
            )
            for name, commit in zip(("base", "head"), installed, strict=True)
        ]

    screening = sides("screening")
    for side in screening:
        if side.reason:
            console.print(f"the {side.name} cannot be measured: {side.reason}", markup=False)
    processes = {key: min(cell.rounds, SCREENING) for key, cell in screening[1].cells.items()}
    measure_by_turns(screening, processes, deadline, console)
    base, head = (stored(side) for side in screening)
    table = judging_margins(project, trees[0], machine, folder)
    margins = known_margins(arguments, table, (base, head))
    margins = expected(arguments, workloads, margins, (base, head))
    files = [results_of([side]) for side in screening]
    seconds = process_seconds(results_of(screening))
    cells = compare(base, head, margins, paired=True, seconds=seconds)

    unsettled = unsettled_cells(cells)
    if unsettled:
        console.print(f"a closer look at {len(unsettled)} cells that are neither same nor faster")
        confirmation = sides("confirmation")
        processes = dict.fromkeys(map(key_of, unsettled), arguments.processes)
        measure_by_turns(confirmation, processes, deadline, console)
        chosen = {cell[1:]: margins[cell[1:]] for cell in unsettled if cell[1:] in margins}
        base_again, head_again = (stored(side) for side in confirmation)
        files = [[*f, *results_of([side])] for f, side in zip(files, confirmation, strict=True)]
        second = compare(base_again, head_again, chosen, paired=True, seconds=seconds)
        cells = confirmed(cells, second)
    console.print(f"what was measured is kept in {folder.relative_to(project)}", markup=False)
    return Comparison(
        named(base, trees[0], screening[0].reason),
        named(head, trees[1], screening[1].reason),
        cells,
        structure(base, head),
        counted(head),
        environment=environment_lines((base, head), files),
        harness=harness_changes(project, trees[0].name, trees[1].name),
        commits=(trees[0].name[:8], trees[1].name[:8]),
    )


def results_of(sides: Sequence[Side]) -> list[Path]:
    """Return the result files of the sides that could be measured."""
    return [side.suite.store.file for side in sides if side.suite is not None]


def stored(side: Side) -> "pd.DataFrame":
    """Read what a side has measured; an empty table where that is nothing."""
    from manualbp.reading.frame import empty, load_results

    if side.suite is None or not side.suite.store.file.is_file():
        return empty()
    return load_results(side.suite.store.file)


def known_margins(
    arguments: argparse.Namespace, file: Path, frames: "Sequence[pd.DataFrame]"
) -> "Margins":
    """Return the margins asked for, or those in a file."""
    from manualbp.reading.margins import load_margins
    from manualbp.reading.verdicts import uniform

    if arguments.margin:
        return uniform(arguments.margin, *frames)
    return load_margins(arguments.margins or file)


def judging_margins(project: Path, base: Tree, machine: str, folder: Path) -> Path:
    """Return the machine's table of margins as the base has it, written into ``folder``.

    What is judged must not choose how it is judged.  Where the base has none, it is the table in
    the checkout, which nobody has committed yet or the head has brought.
    """
    from manualbp.reading.margins import FILE

    path = Path("results") / machine / FILE
    try:
        text = git(project, "show", f"{base.name}:./{path.as_posix()}")
    except SuiteError:
        return project / path
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder / FILE


def expected(
    arguments: argparse.Namespace,
    workloads: Sequence[str] | None,
    margins: "Margins",
    frames: "Sequence[pd.DataFrame]",
) -> "Margins":
    """Leave out the margins of cells that were not asked for.

    With all benchmarks and devices every cell of the workloads that has a margin is expected, so
    that one that vanished from the suite is not measured rather than forgotten.
    """
    from manualbp.reading.verdicts import ratio_cells

    if arguments.bench == BENCH and not arguments.device:
        return {
            cell: margin
            for cell, margin in margins.items()
            if workloads is None or cell[1] in workloads
        }
    chosen = {cell[1:] for frame in frames for cell in ratio_cells(frame)}
    return {cell: margin for cell, margin in margins.items() if cell in chosen}


def key_of(cell: Sequence[Any]) -> Key:
    """Return how asv knows a compared cell: its benchmark and the reprs of its parameters."""
    benchmark, _, *case = cell
    return benchmark, tuple(repr(value) for value in case if value is not None)


def named(frame: "pd.DataFrame", tree: Tree, reason: str) -> str:
    """Name a side, measured or not."""
    from manualbp.reading.comparison import describe

    return describe(frame) if len(frame) else f"{tree.name[:8]} ({reason or 'nothing measured'})"
