"""``manualbp report``: the page, figures, Markdown and a tidy table from stored results."""

import argparse
import shlex
from pathlib import Path

from manualbp.cli import terminal

DESCRIPTION = """
Read results that asv has stored and write, for the newest run among them or for the one named:
index.html, a page that holds everything and loads nothing; its main figures as PNG and SVG;
report.md; and results.csv with every cell.  Of several results the newest run of each stands side
by side.  TensorFlow is not needed.
"""

EPILOG = """
examples:
  manualbp report                            the newest run in results/
  manualbp report results/my-machine -o out  the newest of one machine
  manualbp report --commit 1a2b3c4d          one commit's
  manualbp report results/one results/other  two machines side by side
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "report",
        help="figures and tables from stored results",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results",
        nargs="*",
        type=Path,
        default=[Path("results")],
        help="results folders, machines' folders or result files, a run each (default: results)",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("report"))
    parser.add_argument("--machine", help="of this machine only")
    parser.add_argument("--commit", help="of this commit (its first digits will do)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading.report import write_report
    from manualbp.reading.schema import ResultsError

    try:
        report = write_report(
            arguments.results,
            arguments.output,
            machine=arguments.machine,
            commit=arguments.commit,
            command=_command(arguments),
        )
    except ResultsError as error:
        terminal.complain(error)
        return 1
    terminal.say(report.headline)
    print()
    for file in report.files:
        print(file)
    return 0


def _command(arguments: argparse.Namespace) -> str:
    """Return the command that makes this report again."""
    parts = ["manualbp", "report", *map(str, arguments.results)]
    for option in ("machine", "commit"):
        value = getattr(arguments, option)
        parts += [f"--{option}", value] if value is not None else []
    return shlex.join([*parts, "--output", str(arguments.output)])
