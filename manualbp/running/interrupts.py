"""What ends a command early: Ctrl-C, and the signals that ask a program to end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDS = (signal.SIGTERM, signal.SIGHUP)
"""What asks a program to end: the system that shuts down, the terminal that was closed."""

INTERRUPTS = (signal.SIGINT, *ENDS)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` in the block where the process is asked to end, as at Ctrl-C.

    Nothing changes where a signal is ignored, as under nohup, or outside the main thread, which
    gets no signals.
    """
    mine = [n for n in ENDS if _gets_signals() and signal.getsignal(n) is signal.SIG_DFL]
    for number in mine:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def interrupt_held_back() -> Iterator[None]:
    """Raise the ``KeyboardInterrupt`` of a signal that comes in the block only at its end."""
    raising = [number for number in INTERRUPTS if _raises(number)]
    come: list[int] = []

    def keep(number: int, _: FrameType | None) -> None:
        come.append(number)

    for number in raising:
        signal.signal(number, keep)
    try:
        yield
    finally:
        for number in raising:
            signal.signal(number, signal.default_int_handler)
    if come:
        raise KeyboardInterrupt


def _raises(number: int) -> bool:
    return _gets_signals() and signal.getsignal(number) is signal.default_int_handler


def _gets_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
