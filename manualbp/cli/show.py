"""``manualbp show``: the matrix of speedups in the terminal, or a summary as Markdown."""

import argparse
import math
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from manualbp.cli import stored, terminal

if TYPE_CHECKING:
    import pandas as pd

    from manualbp.reading.panels import Cell, Panel

DESCRIPTION = """
Print the speedups over the tape of the newest run, or of the one named: a panel for each workload,
mode and device, a line for each gradient, a column for each batch.  With --format markdown print
the whole run for a job summary or a pull request instead, under 60 KB, details folded.
TensorFlow is not needed.
"""

EPILOG = """
examples:
  manualbp show                                     the newest run in results/
  manualbp show --workload exercise --mode eager
  manualbp show --machine my-machine --commit 1a2b3c4d
  manualbp show --format markdown >> "$GITHUB_STEP_SUMMARY"
"""

STYLES = {
    "fast": "bold cyan",
    "slow": "bold red",
    "level": "",
    "alone": "italic",
    "failed": "reverse",
    "skipped": "dim",
    "disturbed": "underline",
    "none": "",
}
"""Colour for kinds of cells, cyan and red because every kind of colour vision tells them apart."""

MARKS = {"fast": "+", "slow": "-", "level": "~", "alone": "?", "disturbed": "!"}
"""What says the same without colour."""

SEPARATE = "*"

LEGEND = {
    "fast": "+ faster",
    "slow": "- slower",
    "level": "~ no difference shown (the 95 % interval holds 1)",
    "alone": "? one process, so no interval",
    "failed": "failed: an error, or out of time",
    "skipped": "skipped: not chosen, or no such device",
    "disturbed": "disturbed !: measured, but every value was discarded: the machine was busy",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "show",
        help="the matrix of speedups in the terminal, or as Markdown",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stored.add_arguments(parser)
    parser.add_argument("--workload", action="append", metavar="NAME", help="only this, repeatable")
    parser.add_argument("--mode", action="append", metavar="NAME", help="only this, repeatable")
    parser.add_argument("--device", action="append", metavar="NAME", help="only this, repeatable")
    parser.add_argument("--format", choices=("terminal", "markdown"), default="terminal")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading.digest import digest
    from manualbp.reading.frame import latest_run
    from manualbp.reading.panels import panels
    from manualbp.reading.schema import ResultsError
    from manualbp.reading.text import presentable

    chosen = (arguments.workload, arguments.mode, arguments.device)
    try:
        frame = presentable(latest_run(stored.load(arguments)))
        if arguments.format == "markdown":
            print(digest(frame, *chosen), end="")
            return 0
        found = panels(frame, *chosen)
    except ResultsError as error:
        terminal.complain(error)
        return 1
    show(terminal.console(), frame, found)
    return 0


def show(console: Console, frame: "pd.DataFrame", found: "list[Panel]") -> None:
    """Print the run's facts, its panels and what the marks mean; plainly where there is no colour.

    Nothing is cut or folded, however narrow the terminal: a number without its end would mislead.
    """
    from manualbp.cases import describe_workload
    from manualbp.reading.summary import disturbances, missing
    from manualbp.reading.text import described

    plain = console.no_color or not console.is_terminal
    wide = console.options.update(max_width=10_000)
    console.print(facts(frame), soft_wrap=True)
    console.print("speedup over the tape (tape's time / gradient's time)", soft_wrap=True)
    if not found:
        console.print("every cell was skipped; --device shows them all the same", soft_wrap=True)
    workload = ""
    for panel in found:
        if panel.workload != workload and describe_workload(panel.workload):
            console.print()
            console.print(described(panel.workload), soft_wrap=True)
        workload = panel.workload
        title = f"{panel.workload}, {panel.mode}, {panel.device}"
        table = draw(panel, plain=plain)
        console.width = max(console.width, Measurement.get(console, wide, table).maximum)
        console.print()
        console.print(Text(title, "" if plain else "bold"), soft_wrap=True)
        console.print(table)
        if said := best(panel):
            console.print(said, soft_wrap=True)
    console.print()
    for kind, line in legend(found):
        console.print(Text(line, style_of(kind, plain=plain)), soft_wrap=True)
    for line in (*disturbances(frame), missing(frame)):
        console.print(line, soft_wrap=True)


def facts(frame: "pd.DataFrame") -> str:
    """Say in two lines what was measured where, and when."""
    import pandas as pd

    run = frame.iloc[0]
    started = frame["started"].max()
    where = [run["machine"], run["cpu"], name("TensorFlow", run["tensorflow"])]
    what = [
        f"commit {run['commit']}",
        f"measured {started:%Y-%m-%d %H:%M} UTC" if pd.notna(started) else None,
    ]
    return "\n".join(
        ", ".join(part for part in parts if pd.notna(part))
        for parts in ([*where, name("Python", run["python"])], what)
    )


def name(what: str, version: object) -> str | None:
    """Return a name with its version, or nothing where that is missing."""
    return f"{what} {version}" if isinstance(version, str) else None


def draw(panel: "Panel", *, plain: bool) -> Table:
    """Return a panel as a table without lines, so that it reads the same in a pipe."""
    header = "" if plain else "dim"
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=header)
    table.add_column("batch", no_wrap=True)
    for batch in panel.batches:
        table.add_column(str(batch), justify="right", no_wrap=True)
    for gradient, cells in panel.lines:
        texts = [Text(words(cell), style_of(cell.kind, plain=plain)) for cell in cells]
        table.add_row(Text(gradient), *texts)
    return table


def best(panel: "Panel") -> str | None:
    """Say what the fastest gradient of each batch comes to, where there is a choice."""
    found = panel.best
    if len(panel.lines) < 2 or len(found) < len(panel.batches):
        return None
    mean = math.exp(math.fsum(math.log(speedup) for _, speedup in found) / len(found))
    (gradient, least), batch = min(
        zip(found, panel.batches, strict=True), key=lambda each: each[0][1]
    )
    return (
        f"the fastest of each batch: {mean:.2f} in the geometric mean, or {1 / mean:.2f} of the "
        f"tape's time; least {least:.2f} at batch {batch} ({gradient})"
    )


def style_of(kind: str, *, plain: bool) -> str:
    """Return the style of a kind of cell: none where there is no colour."""
    return "" if plain else STYLES[kind]


def words(cell: "Cell") -> str:
    """Return a cell's text: a number with its mark, or what is there instead of one."""
    if cell.speedup is None:
        mark = MARKS.get(cell.kind)
        return "" if cell.kind == "none" else f"{cell.kind} {mark}" if mark else cell.kind
    return f"{cell.speedup:.2f} {MARKS[cell.kind]}{SEPARATE if cell.separate else ''}"


def legend(found: "list[Panel]") -> list[tuple[str, str]]:
    """Explain the kinds of cells that occur: each kind and a line about it."""
    cells = [cell for panel in found for _, line in panel.lines for cell in line]
    kinds = {cell.kind for cell in cells}
    lines = [(kind, text) for kind, text in LEGEND.items() if kind in kinds]
    if any(cell.separate for cell in cells):
        lines.append(("none", f"{SEPARATE} from times of separate processes: less certain"))
    return lines
