"""Progress of long work: a bar in a terminal, a line every half minute elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

TELL_S = 30
"""Seconds between two lines where there is no terminal, as in CI's logs."""


class Ticker:
    """Counts processes, and says how much time is left; the bar is the time that has passed.

    ``left`` returns the seconds that the work will still take, as far as is known.
    """

    def __init__(self, console: Console, left: Callable[[], float]) -> None:
        self._left = left
        self._count = 0
        self._started = self._told = time.monotonic()
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.fields[count]} processes, {task.fields[left]}"),
            TextColumn("{task.description}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=1.0, count=0, left="")
        self._show()

    def doing(self, what: str) -> None:
        """Say what is measured now."""
        self._progress.update(self._task, description=what)

    def done(self) -> None:
        """Count one process."""
        self._count += 1
        left = self._show()
        console, now = self._progress.console, time.monotonic()
        if not console.is_terminal and now > self._told + TELL_S:
            self._told = now
            console.print(f"{self._count} processes measured, {left}")

    def _show(self) -> str:
        passed, left = time.monotonic() - self._started, max(self._left(), 0.0)
        text = f"about {minutes(left)} left"
        self._progress.update(
            self._task,
            completed=passed,
            total=max(passed + left, 1e-9),
            count=self._count,
            left=text,
        )
        return text


def minutes(seconds: float) -> str:
    """Return a duration as people say it: 40 s, 3.5 min."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


class Countdown:
    """The time that so much work will take, from how long the last took.

    None is to start after ``deadline`` (monotonic).
    """

    def __init__(self, left: int, deadline: float = float("inf"), guess: float = 1.0) -> None:
        self._todo = left
        self._deadline = deadline
        self._guess = guess
        self._started = time.monotonic()
        self._count = 0

    def done(self, count: int, left: int) -> None:
        """Count so much work as done, and so much as left."""
        self._count += count
        self._todo = left

    def left(self) -> float:
        """Return the seconds that are left."""
        now = time.monotonic()
        each = (now - self._started) / self._count if self._count else self._guess
        return max(min(self._todo * each, self._deadline - now), 0.0)


@contextmanager
def ticking(console: Console, left: Callable[[], float]) -> Iterator[Ticker]:
    """Show progress of work of which ``left`` tells the seconds that it will still take."""
    ticker = Ticker(console, left)
    with ticker._progress:
        yield ticker
