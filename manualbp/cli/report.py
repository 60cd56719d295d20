"""``manualbp report``: figures, a Markdown page and a tidy table from stored results."""

import argparse
import sys
from pathlib import Path

DESCRIPTION = """
Read results that asv has stored and write, for the newest run among them or for the one named:
time and speedup over the tape against batch (PNG and SVG), report.md, and results.csv with every
cell; where there are several commits of its machine, their history.  TensorFlow is not needed.
"""

EPILOG = """
examples:
  manualbp report                            the newest run in results/
  manualbp report results/my-machine -o out  the newest of one machine
  manualbp report --commit 1a2b3c4d          one commit's
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
        nargs="?",
        type=Path,
        default=Path("results"),
        help="a results folder, one machine's folder, or one result file (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("report"))
    parser.add_argument("--machine", help="of this machine only")
    parser.add_argument("--commit", help="of this commit (its first digits will do)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading.frame import ResultsError
    from manualbp.reading.report import write_report

    try:
        report = write_report(
            arguments.results,
            arguments.output,
            machine=arguments.machine,
            commit=arguments.commit,
        )
    except (ResultsError, OSError) as error:
        print(f"manualbp: {error}", file=sys.stderr)
        return 1
    print(report.headline)
    print()
    for file in report.files:
        print(file)
    return 0
