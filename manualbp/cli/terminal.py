"""What is printed to a terminal: text only, whatever a result file holds.

No escape sequence of a name reaches the terminal, no name is read as rich's markup, and what the
terminal's encoding lacks is written as an escape instead of ending the command.
"""

import io
import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from manualbp.reading.text import visible


class _PlainConsole(Console):
    """A console whose texts hold no control characters; its own styles and cursor moves stay."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text, lines=True), segment.style)


def console(**options: Any) -> Console:
    """Return a console that takes every text literally; the options are rich's."""
    return _PlainConsole(highlight=False, markup=False, emoji=False, **options)


def say(text: str) -> None:
    """Print text, its lines kept."""
    print(visible(text, lines=True))


def complain(message: object) -> None:
    """Print an error or a warning as one line on the standard error."""
    print(f"manualbp: {visible(str(message))}", file=sys.stderr)


def prepare_streams() -> None:
    r"""Have the standard streams write ``\u2192`` where their encoding lacks a character.

    One that is closed (``>&-``) writes nowhere.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up_output() -> None:
    """Write nothing more to a standard output that cannot be written to, at the exit neither."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
