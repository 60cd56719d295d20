"""``manualbp explain``: where the time of one case goes, and why it wins or does not."""

import argparse
import warnings
from dataclasses import replace

from manualbp.cases import DEVICES, EXERCISE, Case
from manualbp.cli import quiet, terminal

DESCRIPTION = """
Measure one case beside the tape's same case, in one process, and say where the time goes: the
ratio, the parts of a step, the kernels that run, the counts of what it consists of, and what the
machine would need at least.  A verdict in words comes first.  It takes about 15 s.

CASE is workload/gradient/mode/device/batch, as the suite and 'manualbp verify' write it, or in
short gradient/mode/batch, for the exercise on CPU:0.  In place of the workload, a Python file of
your own and a colon.
"""

EPILOG = """
examples:
  manualbp explain fused/eager/1
  manualbp explain fused/xla/64 --format markdown
  manualbp explain wide/chain/graph/CPU:0/512
  manualbp explain attention.py:recompute/xla/64   a gradient in a file of your own
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

EXPECTED = (
    "expected workload/gradient/mode/device/batch, gradient/mode/batch, "
    "or FILE.py:gradient/mode/batch"
)


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
        errors.print(f"manualbp: {error}", style="red", markup=False)
        return status

    try:
        file, case = read_case(arguments.case)
    except ValueError as error:
        return refuse(error, 2)
    quiet.import_tensorflow()
    from manualbp import workloads
    from manualbp.cli.explanation import print_as
    from manualbp.measuring import explain, roofline
    from manualbp.measuring.measure import DisturbedWarning
    from manualbp.measuring.oracle import VerificationError
    from manualbp.measuring.profile import ProfileError
    from manualbp.measuring.step import check_case
    from manualbp.measuring.structure import StructureError

    try:
        case = check_case(of_file(file, case))
    except ValueError as error:
        return refuse(error, 2)
    batches = workloads.find(case.workload).batches
    if case.batch not in batches:
        listed = ", ".join(map(str, batches))
        errors.print(f"the suite measures {case.workload} at batches {listed}, not {case.batch}")
    try:
        with errors.status("measuring the machine's limits") as status:
            machine = roofline.measure_machine(case.device)
            with warnings.catch_warnings(record=True) as disturbed:
                warnings.simplefilter("always", DisturbedWarning)
                found = explain.explain(case, machine, tell=status.update)
    except (VerificationError, ProfileError, StructureError) as error:
        return refuse(error, 1)
    for text in dict.fromkeys(str(warning.message) for warning in disturbed):
        errors.print(f"do not trust these numbers: {text}", style="red", markup=False)
    print_as(arguments.format, found)
    return 0


def read_case(text: str) -> tuple[str, Case]:
    """Read a file (or nothing) and a case, or raise ``ValueError`` with what is expected.

    Without a workload the case is the exercise's, or of the only one in the file: it has then
    no name yet.
    """
    file, separator, rest = text.rpartition(".py:")
    file += ".py" if separator else ""
    names = rest.split("/")
    if len(names) == 3:
        names = [names[0], names[1], DEVICES[0], names[2]]
    if len(names) == 4:
        names = ["" if file else EXERCISE, *names]
    if len(names) != 5:
        raise ValueError(f"no case {text!r}: {EXPECTED}")
    workload, gradient, mode, device, batch = names
    try:
        return file, Case(workload, gradient, mode, device, int(batch))
    except ValueError:
        raise ValueError(f"no case {text!r}: the batch must be a whole number") from None


def of_file(file: str, case: Case) -> Case:
    """Load a case's file, if it has one, and put the name of its workload where it has none."""
    from manualbp import workloads

    if not file:
        return case
    names = [workload.name for workload in workloads.load(file)]
    if case.workload:
        return case
    if len(names) > 1:
        raise ValueError(
            f"{file} defines {', '.join(names)}: say which, as "
            f"{file}:{names[0]}/{case.gradient}/{case.mode}/{case.device}/{case.batch}"
        )
    return replace(case, workload=names[0])
