"""The command line: ``manualbp`` and ``python -m manualbp``."""

import argparse
import os
import sys
import warnings

from manualbp import __version__
from manualbp.running.interrupts import terminated_like_interrupted

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
    with terminated_like_interrupted():
        try:
            return _run(arguments)
        except KeyboardInterrupt:
            return 130


def _run(arguments: list[str] | None) -> int:
    # Imported here, for it takes a while, in which somebody may press Ctrl-C already.
    from manualbp.cli import (
        calibrate,
        compare,
        doctor,
        explain,
        export,
        gate,
        publish,
        report,
        run,
        show,
        terminal,
        verify,
    )

    terminal.prepare_streams()
    # Pictures are written, never shown; matplotlib cannot be imported where this names no backend.
    os.environ["MPLBACKEND"] = "agg"
    parser = argparse.ArgumentParser(
        prog="manualbp",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands = (
        *(run, report, show, explain, export, compare, gate),
        *(calibrate, publish, verify, doctor),
    )
    for command in commands:
        command.add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            status: int = parsed.command(parsed)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read our output, `head` for one, has seen enough
            terminal.give_up_output()
            return 1
        except OSError as error:  # a full disk, a folder that may not be written to
            what = f"{error.filename}: " if error.filename else ""
            terminal.complain(f"{what}{error.strerror or error}")
            terminal.give_up_output()
            return 1
    return status


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning as one line, for a person and not for a programmer."""
    from manualbp.cli import terminal

    terminal.complain(message)
