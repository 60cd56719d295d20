"""``manualbp export``: every stored cell as one tidy table, CSV or Parquet."""

import argparse
import sys
from pathlib import Path

from manualbp.cli import stored, terminal

DESCRIPTION = """
Write stored results as one table, a row for each cell: the case, its status, value, 95 % interval
and samples, with the machine, the versions and the commit.  All runs are in it unless a machine or
a commit is named.  TensorFlow is not needed.
"""

EPILOG = """
examples:
  manualbp export -o results.parquet         every run in results/
  manualbp export --commit 1a2b3c4d -o a.csv one commit's
  manualbp export | head                     CSV on the standard output
  manualbp export --columns                  what each column means, and its unit
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "export",
        help="stored results as one CSV or Parquet table",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stored.add_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="ending in .csv or .parquet (default: CSV on the standard output)",
    )
    parser.add_argument("--columns", action="store_true", help="print what each column means")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading import export
    from manualbp.reading.schema import ResultsError

    if arguments.columns:
        print(export.describe_columns(), end="")
        return 0
    try:
        if arguments.output is None:
            export.write_csv(stored.load(arguments), sys.stdout)
            return 0
        export.check_ending(arguments.output)  # before the reading, which may take long
        frame = stored.load(arguments)
        export.write_table(frame, arguments.output)
    except (ResultsError, export.ExportError) as error:
        terminal.complain(error)
        return 1
    print(f"{arguments.output}: {len(frame)} rows, {len(frame.columns)} columns")
    return 0
