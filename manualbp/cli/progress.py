"""Progress of long work: a bar in a terminal, a line every half minute elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

TELL_S = 30
"""Seconds between two lines where there is no terminal, as in CI's logs."""


class Ticker:
    """Counts processes; ``total`` may change as the work turns out shorter or longer."""

    def __init__(self, console: Console, total: int, deadline: float) -> None:
        self.total = total
        self._deadline = deadline
        self._told = time.monotonic()
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=total)

    def doing(self, what: str) -> None:
        """Say what is measured now."""
        self._progress.update(self._task, description=what)

    def done(self) -> None:
        """Count one process."""
        self._progress.update(self._task, advance=1, total=self.total)
        console, now = self._progress.console, time.monotonic()
        if not console.is_terminal and now > self._told + TELL_S:
            self._told = now
            task = self._progress.tasks[0]
            left = min(task.time_remaining or 0, max(self._deadline - now, 0))
            console.print(
                f"{int(task.completed)}/{self.total} processes, about {left / 60:.1f} min left"
            )


@contextmanager
def ticking(console: Console, total: int, deadline: float = float("inf")) -> Iterator[Ticker]:
    """Show progress over ``total`` processes, none to start after ``deadline`` (monotonic)."""
    ticker = Ticker(console, total, deadline)
    with ticker._progress:
        yield ticker
