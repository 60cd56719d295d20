"""What ``compare`` and ``gate`` answer with: their common options, the answer, its exit status."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from manualbp.cli import terminal
from manualbp.cli.arguments import percent

if TYPE_CHECKING:
    import pandas as pd

    from manualbp.reading.comparison import Comparison

EXIT_STATUS = """
exit status:
  0  every gated cell is same or faster, and every exact count is equal
  1  cannot compare: no such results
  2  bad arguments
  3  a gated cell is slower
  4  none is slower, but some are inconclusive
  5  a gated cell was not measured, nothing is gated, no control was measured, or one moved (void)
  6  all cells are same or faster, but an exact count changed (--accept-structure makes it 0)
"""

COMMANDS = 6
"""So many commands that measure again are printed at most, unless all are asked for."""

STYLES = {"slower": "red", "faster": "green", "inconclusive": "yellow", "not measured": "magenta"}


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


def environment_lines(
    runs: "Sequence[pd.DataFrame]", files: Sequence[Sequence[Path]]
) -> tuple[str, ...]:
    """Say how the environments of base and head differ, from their tables and result files."""
    from manualbp.reading.environment import differences, environment_of

    base, head = (environment_of(*side) for side in zip(runs, files, strict=True))
    return differences(base, head)


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
        words.UNCONTROLLED: 5,
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
    for said in words.reservations(comparison):
        console.print(said, markup=False)
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
