"""The option ``--workload``: which workloads a command measures."""

import argparse
from collections.abc import Sequence

from manualbp.cases import EXERCISE, shipped_workloads
from manualbp.running.tree import SuiteError

ALL = "all"


def add_workload_argument(parser: argparse.ArgumentParser, *, files: bool = False) -> None:
    """Add the option to a command, which may take a user's files as well."""
    also, instead = (", or one in the files", ", or all in the files") if files else ("", "")
    parser.add_argument(
        "--workload",
        action="append",
        metavar="NAME",
        help=f"only this one (may be repeated): {ALL}, {', '.join(shipped_workloads())}{also} "
        f"(default: {EXERCISE}{instead})",
    )


def chosen_workloads(names: Sequence[str] | None, files: Sequence[str] = ()) -> list[str] | None:
    """Return the names of the workloads to measure; ``None`` for all.

    ``SuiteError`` is raised for a name that is none of ours, unless there are files of a user's.
    """
    chosen = list(names or ([] if files else [EXERCISE]))
    if ALL in chosen or not chosen:
        return None
    unknown = [name for name in chosen if name not in shipped_workloads()]
    if unknown and not files:
        raise SuiteError(
            f"unknown workload {unknown[0]!r}: expected {ALL}, {', '.join(shipped_workloads())}"
        )
    return chosen
