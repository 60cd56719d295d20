"""``manualbp verify``: every case against every oracle."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from manualbp.cases import MODES, Case, shipped_workloads
from manualbp.cli import quiet, terminal

if TYPE_CHECKING:
    from manualbp.measuring.oracle import TensorError

DESCRIPTION = """
Build every case and compare its gradients with the eager tape, with the tape in float64, with the
workload's NumPy reference where it has one, and, computed in float64, with central differences.
Then again with other variables and other data, which a gradient that remembers its result does not
survive.  Errors are the largest over the gradient's tensors, relative to a tensor's largest entry.

WORKLOAD is the name of one of ours or a Python file that defines one or more:
"""

EPILOG = """
examples:
  manualbp verify                                      every workload of ours: some minutes
  manualbp verify exercise --gradient chain --batch 7
  manualbp verify attention.py --mode xla              a file of your own

A file defines 'workload = manualbp.Workload(loss, variables, data, batches=...)' and its gradients;
docs/workloads.md shows one. It is run as any program is: verify no file that you do not trust.

exit status: 0 all within tolerance; 1 a mismatch, or bad arguments
"""

ODD_BATCH = 7
"""A batch that fills no vector register, beside those of the suite."""

DIFFERENCE_BATCH = 8
"""At most so many examples: differences cost two forward passes for each entry and direction, and a
wrong formula is as wrong at a small batch."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "verify",
        help="compare every gradient with every oracle",
        description=DESCRIPTION.rstrip(":\n") + ": " + ", ".join(shipped_workloads()) + ".",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "workload", nargs="*", metavar="WORKLOAD", help="a name or a file (default: all of ours)"
    )
    parser.add_argument("--gradient", action="append", metavar="NAME", help="tape, chain, fused, …")
    parser.add_argument("--mode", action="append", choices=MODES)
    parser.add_argument("--device", default="CPU:0", help="a logical device (default: %(default)s)")
    parser.add_argument(
        "--batch",
        action="append",
        type=int,
        help=f"(default: the workload's, and {ODD_BATCH}, which is odd)",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    quiet.import_tensorflow()
    errors = terminal.console(stderr=True, soft_wrap=True)
    try:
        cases = chosen_cases(arguments)
    except (ValueError, TypeError) as error:
        errors.print(f"manualbp: {error}", style="red", markup=False)
        return 1

    table = Table("case", "tape", "float64", "ulp", "tolerance", "differences", "verdict")
    mismatches: list[str] = []
    notes: list[str] = []
    differences = cache(check_differences)  # the same at every batch of a gradient and mode
    with errors.status("verifying") as status:
        for number, case in enumerate(cases, start=1):
            status.update(f"verifying {number}/{len(cases)}: {case}")
            row, mismatch, noted = check(case, differences)
            mismatches += mismatch
            notes += noted
            table.add_row(str(case), *row, Text("mismatch", "red") if mismatch else "ok")
    console = terminal.console()
    if not console.is_terminal:
        console = terminal.console(width=120)
    console.print(table)
    for message in mismatches:
        errors.print(message, style="red", markup=False)
    for note in dict.fromkeys(notes):
        errors.print(f"note: {note}", markup=False)
    wrong = sum("mismatch" in str(cell) for cell in table.columns[-1].cells)
    console.print(f"{len(cases)} cases, {wrong} wrong")
    return 1 if mismatches else 0


def chosen_cases(arguments: argparse.Namespace) -> list[Case]:
    """List the cases that the arguments choose; raises ``ValueError`` for what there is not."""
    from manualbp import workloads
    from manualbp.measuring.step import check_case

    names = arguments.workload or shipped_workloads()
    cases = []
    for workload in dict.fromkeys(one for name in names for one in workloads.named(name)):
        known = set(workload.gradients)
        # Of several workloads, those that have such a gradient; a name that none has is a mistake.
        asked = [name for name in arguments.gradient or workload.gradients if name in known]
        if not asked and len(names) == 1:
            asked = arguments.gradient
        cases += [
            check_case(Case(workload.name, gradient, mode, arguments.device, batch))
            for gradient in asked
            for mode in arguments.mode or MODES
            for batch in arguments.batch or sorted({ODD_BATCH, *workload.batches})
        ]
    if not cases:
        raise ValueError(f"no workload has a gradient {' or '.join(arguments.gradient)}")
    return cases


def check(
    case: Case, differences: Callable[[Case], tuple[str, str]]
) -> tuple[list[str], list[str], list[str]]:
    """Compare one case with every oracle: the table's cells, a message per mismatch, and notes."""
    from manualbp import workloads
    from manualbp.measuring import oracle
    from manualbp.measuring.step import build_step

    row, mismatches, notes = ["–"] * 4, [], []
    try:
        step = build_step(case, verify=False)
        gradients = step.gradients()
        tape = oracle.tape_errors(step.problem, gradients)
        worst = oracle.worst(oracle.exact_errors(step.problem, gradients))
        row = [
            "bitwise equal" if is_exact(tape) else f"{oracle.worst(tape).relative:.1e}",
            f"{worst.relative:.1e}",
            f"{worst.ulp:.1f}",
            f"{worst.tolerance:.1e}",
        ]
        notes = [
            f"{case.workload}, batch {case.batch}: {one}" for one in oracle.notes(step.problem)
        ]
        step.verify()
        step.verify_again()
    except Exception as error:
        mismatches.append(said(case, error))
    smallest = min(DIFFERENCE_BATCH, *workloads.find(case.workload).batches)
    difference, message = differences(replace(case, batch=smallest))
    mismatches += [message] if message else []
    return [*row, difference], mismatches, notes


def check_differences(case: Case) -> tuple[str, str]:
    """Compare a case with central differences, in float64: the table's cell, and any mismatch."""
    from manualbp.measuring import differences, oracle
    from manualbp.measuring.step import build_step

    try:
        step = build_step(case, dtype="float64", verify=False)
        found = differences.difference_errors(step.problem, step.gradients())
        oracle.require(case, "the central difference", found)
    except Exception as error:
        return "–", said(case, error)
    return f"{oracle.worst(found).relative:.1e}", ""


def said(case: Case, error: Exception) -> str:
    """Return an error as one line: a file is a user's, and whatever it raises is its mistake."""
    from manualbp.measuring.oracle import VerificationError

    if isinstance(error, VerificationError):
        return str(error)
    return f"{case}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def is_exact(errors: "list[TensorError]") -> bool:
    """Tell whether every tensor agrees in every entry."""
    return all(error.relative == 0 for error in errors)
