"""What the commands that read stored results have in common: which results, which run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the results folder and the choice of a machine and a commit."""
    parser.add_argument(
        "results",
        nargs="?",
        type=Path,
        default=Path("results"),
        metavar="RESULTS",
        help="a results folder, one machine's folder, or one result file (default: %(default)s)",
    )
    parser.add_argument("--machine", metavar="NAME", help="of this machine only")
    parser.add_argument("--commit", metavar="HASH", help="of this commit (its first digits do)")


def load(arguments: argparse.Namespace) -> "pd.DataFrame":
    """Read the results that the arguments name, of their machine and their commit.

    ``ResultsError`` is raised for results that cannot be read or are not there.
    """
    from manualbp.reading.frame import load_results, of_commit, only

    frame = load_results(arguments.results)
    frame = only(frame, "machine", None if arguments.machine is None else [arguments.machine])
    return of_commit(frame, arguments.commit)
