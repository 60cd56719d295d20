"""``manualbp verify``: every case against every oracle."""

import argparse
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from manualbp.cases import MODES, NETWORKS, Case
from manualbp.cli import quiet, terminal

if TYPE_CHECKING:
    from manualbp.measuring.oracle import TensorError

DESCRIPTION = """
Build every case and compare its gradients with the eager tape, with a float64 NumPy reference
and, computed in float64, with central differences.  Errors are the largest over the gradient's
tensors, relative to the tensor's largest entry.
"""

EPILOG = """
examples:
  manualbp verify
  manualbp verify --network exercise --gradient chain --batch 7

exit status: 0 all within tolerance; 1 a mismatch, or bad arguments
"""

DIFFERENCE_BATCH = 8
"""Differences cost two forward passes per entry, and a wrong formula is as wrong at batch 8."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "verify",
        help="compare every gradient with every oracle",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    parser.add_argument("--gradient", action="append", metavar="NAME", help="tape, chain, fused, …")
    parser.add_argument("--mode", action="append", choices=MODES)
    parser.add_argument("--device", default="CPU:0", help="a logical device (default: %(default)s)")
    parser.add_argument(
        "--batch", action="append", type=int, help="(default: the suite's, and 7, which is odd)"
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    quiet.import_tensorflow()
    from manualbp.measuring.gradients import GRADIENTS
    from manualbp.measuring.step import make_case

    errors = terminal.console(stderr=True, soft_wrap=True)
    try:
        cases = [
            make_case(network, gradient, mode, arguments.device, batch)
            for network in arguments.network or NETWORKS
            for gradient in arguments.gradient or GRADIENTS
            for mode in arguments.mode or MODES
            for batch in arguments.batch or sorted({7, *NETWORKS[network].batches})
        ]
    except (ValueError, TypeError) as error:
        errors.print(f"manualbp: {error}", style="red")
        return 1

    table = Table("case", "tape", "reference", "ulp", "tolerance", "differences", "verdict")
    mismatches: list[str] = []
    with errors.status("verifying") as status:
        for number, case in enumerate(cases, start=1):
            status.update(f"verifying {number}/{len(cases)}: {case}")
            row, mismatch = check(case)
            mismatches += mismatch
            table.add_row(str(case), *row, Text("mismatch", "red") if mismatch else "ok")
    console = terminal.console()
    if not console.is_terminal:
        console = terminal.console(width=120)
    console.print(table)
    for message in mismatches:
        errors.print(message, style="red")
    wrong = sum("mismatch" in str(cell) for cell in table.columns[-1].cells)
    console.print(f"{len(cases)} cases, {wrong} wrong")
    return 1 if mismatches else 0


def check(case: Case) -> tuple[list[str], list[str]]:
    """Compare one case with every oracle: the table's cells, and a message per mismatch."""
    from manualbp.measuring import oracle
    from manualbp.measuring.step import build_step

    names = (case.gradient, case.mode, case.device)
    step = build_step(*names, case.batch, case.network, verify=False)
    gradients = step.gradients()
    exact = build_step(*names, DIFFERENCE_BATCH, case.network, dtype="float64", verify=False)
    found = {
        "the eager tape": oracle.tape_errors(step.problem, gradients),
        "the float64 reference": oracle.reference_errors(step.problem, gradients),
        "the central difference": oracle.difference_errors(
            exact.problem, exact.gradients(), entries=8
        ),
    }
    mismatches = []
    try:
        step.verify()
    except oracle.VerificationError as error:
        mismatches.append(str(error))
    for name, errors in found.items():
        try:
            oracle.require(case, name, errors)
        except oracle.VerificationError as error:
            mismatches.append(str(error))
    tape, reference, differences = (oracle.worst(errors) for errors in found.values())
    row = [
        "bitwise equal" if is_exact(found["the eager tape"]) else f"{tape.relative:.1e}",
        f"{reference.relative:.1e}",
        f"{reference.ulp:.1f}",
        f"{reference.tolerance:.1e}",
        f"{differences.relative:.1e}",
    ]
    return row, list(dict.fromkeys(mismatches))


def is_exact(errors: "list[TensorError]") -> bool:
    """Tell whether every tensor agrees in every entry."""
    return all(error.relative == 0 for error in errors)
