"""``manualbp explain``: where the time of one case goes, and why it wins or does not."""

import argparse
import warnings

from manualbp.cli import quiet, terminal

NETWORK, DEVICE = "exercise", "CPU:0"
"""What a case's short form leaves out."""

DESCRIPTION = """
Measure one case beside the tape's same case, in one process, and say where the time goes: the
ratio, the parts of a step, the kernels that run, the counts of what it consists of, and what the
machine would need at least.  A verdict in words comes first.  It takes about 15 s.

CASE is network/gradient/mode/device/batch, as the suite and 'manualbp verify' write it, or in short
gradient/mode/batch, for the exercise's network on CPU:0.
"""

EPILOG = """
examples:
  manualbp explain fused/eager/1
  manualbp explain fused/xla/64 --format markdown
  manualbp explain wide/chain/graph/CPU:0/512
  manualbp explain tape/graph/4096                 where the tape's own time goes
  manualbp explain fused/xla/64 --format json | jq .arm.profile

how to read it:
  ratio        time of a step over the tape's, by turns: the number to trust; below 1 is faster
  parts        each timed by itself; the backward pass alone in eager mode, a difference elsewhere
  profile      what TensorFlow's profiler sees of a step, which it slows down: read it as shares
  counts       exact; docs/measuring.md says what each counts
  roofline     the least time by FLOPs and by bytes from memory (Williams, Waterman, Patterson 2009)

One process is one value: between processes a ratio differs by 1 to 2 %, a time by far more.

exit status: 0 explained; 1 cannot (a wrong gradient, a device that is no CPU, a profile without
kernels); 2 no such case, or no such device here
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "explain",
        help="where the time of one case goes, and why it wins or does not",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("case", metavar="CASE", help="as fused/xla/64")
    parser.add_argument("--format", choices=("terminal", "markdown", "json"), default="terminal")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    errors = terminal.console(stderr=True, soft_wrap=True)

    def refuse(error: Exception, status: int) -> int:
        errors.print(f"manualbp: {error}", style="red")
        return status

    try:
        names = read_case(arguments.case)
    except ValueError as error:
        return refuse(error, 2)
    quiet.import_tensorflow()
    from manualbp.cli.explanation import print_as
    from manualbp.measuring import explain, roofline
    from manualbp.measuring.hlo import UncountedError
    from manualbp.measuring.measure import DisturbedWarning
    from manualbp.measuring.oracle import VerificationError
    from manualbp.measuring.profile import ProfileError
    from manualbp.measuring.step import make_case
    from manualbp.measuring.structure import StructureError

    try:
        case = make_case(*names)
    except ValueError as error:
        return refuse(error, 2)
    try:
        with errors.status("measuring the machine's limits") as status:
            machine = roofline.measure_machine(case.device)
            with warnings.catch_warnings(record=True) as disturbed:
                warnings.simplefilter("always", DisturbedWarning)
                found = explain.explain(case, machine, tell=status.update)
    except (VerificationError, ProfileError, StructureError, UncountedError) as error:
        return refuse(error, 1)
    for text in dict.fromkeys(str(warning.message) for warning in disturbed):
        errors.print(f"do not trust these numbers: {text}", style="red", markup=False)
    print_as(arguments.format, found)
    return 0


def read_case(text: str) -> tuple[str, str, str, str, int]:
    """Read a case in its long or its short form, or raise ``ValueError`` with what is expected."""
    names = text.split("/")
    if len(names) == 3:
        names = [NETWORK, *names[:2], DEVICE, names[2]]
    if len(names) != 5:
        raise ValueError(
            f"no case {text!r}: expected network/gradient/mode/device/batch or gradient/mode/batch"
        )
    network, gradient, mode, device, batch = names
    try:
        return network, gradient, mode, device, int(batch)
    except ValueError:
        raise ValueError(f"no case {text!r}: the batch must be a whole number") from None
