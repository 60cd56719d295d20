"""The command line: ``manualbp`` and ``python -m manualbp``."""

import argparse

from manualbp import __version__
from manualbp.cli import calibrate, compare, doctor, gate, report, run, verify

DESCRIPTION = """
What does a hand-written backward pass buy over tf.GradientTape, in eager, tf.function and
XLA-jitted mode, on which device, at which batch size?
"""

EPILOG = """
start here:
  manualbp doctor         is this machine fit to measure on?
  manualbp verify         are the gradients right?
  manualbp run --quick    a first answer within 2 minutes
"""


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments (the process's own by default), run a command, return its status."""
    parser = argparse.ArgumentParser(
        prog="manualbp",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (run, report, compare, gate, calibrate, verify, doctor):
        command.add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    try:
        status: int = parsed.command(parsed)
    except KeyboardInterrupt:
        return 130
    return status
