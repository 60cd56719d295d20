"""Two sides measured by turns: a round's values count on both sides, or on neither."""

import datetime as dt
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from manualbp.running.cells import Outcome
from manualbp.running.plan import describe
from manualbp.running.progress import Countdown, ticking
from manualbp.running.sides import Key, Side, grouped, serving, shuffled
from manualbp.running.suite import shared_process

SCREENING, CONFIRMATION = 5, 8
"""Processes for each cell and side: to find what needs a closer look, and for that look."""

TRIES = 2
"""How many rounds may be spent on each one that is wanted: a busy machine's are discarded."""


def measure_by_turns(
    sides: Sequence[Side], processes: Mapping[Key, int], deadline: float, console: Console
) -> None:
    """Measure each cell in so many processes on every side, round by round, until the deadline.

    A cell that failed or was skipped on one side is measured no further on any.  ``sides`` are the
    base and the head; the head's cells are those that ``processes`` names.
    """
    if not all(side.suite for side in sides):
        return  # nothing could be compared
    head = sides[-1]
    turns = Turns(processes, console)
    countdown = Countdown(sum(processes.values()), deadline)
    with ticking(console, countdown.left) as ticker, shared_process() as asked:
        while open_ := turns.open():
            with serving(sides):
                for keys in shuffled(grouped(open_, head)):
                    if time.monotonic() > deadline:
                        console.print("time is over; --minutes gives more")
                        return
                    ticker.doing(describe([head.cells[key] for key in keys]))
                    turns.take(sides, keys, asked)
                    countdown.done(len(keys), sum(turns.left().values()))
                    ticker.done()
    turns.report()


class Turns:
    """Which cells still need rounds, and what the rounds so far came to."""

    def __init__(self, processes: Mapping[Key, int], console: Console) -> None:
        self._wanted = dict(processes)
        self._counts: Counter[Key] = Counter()
        self._tries: Counter[Key] = Counter()
        self._discarded = 0
        self._finished: set[Key] = set()
        self._skipped: set[str] = set()
        self._console = console

    def left(self) -> dict[Key, int]:
        """Return how many rounds each cell still needs."""
        return {
            key: wanted - self._counts[key]
            for key, wanted in self._wanted.items()
            if key not in self._finished
            and self._counts[key] < wanted
            and self._tries[key] < TRIES * wanted
        }

    def open(self) -> list[Key]:
        """Return the cells that still need rounds."""
        return list(self.left())

    def take(self, sides: Sequence[Side], keys: Sequence[Key], asked: Mapping[str, Any]) -> None:
        """Measure cells on every side that has them, one side right after the other, and store."""
        started = dt.datetime.now(dt.UTC)
        found: dict[Key, dict[str, Outcome]] = {key: {} for key in keys}
        for side in shuffled(sides):
            cells = {key: side.cells[key] for key in keys if key in side.cells}
            if side.suite is not None and cells:
                outcomes = side.suite.try_out(list(cells.values()), asked)
                for key, cell in cells.items():
                    found[key][side.name] = outcomes[cell]
        for key in keys:
            found[key] = self._judged(key, found[key], sides)
        for side in sides:
            if side.suite is not None:
                measured = {
                    side.cells[key]: outcomes[side.name]
                    for key, outcomes in found.items()
                    if side.name in outcomes
                }
                side.suite.store.add(measured, started)

    def report(self) -> None:
        """Say how many values were discarded."""
        if self._discarded:
            count = sum(self._tries.values())
            self._console.print(
                f"{self._discarded} of {count} rounds of a cell discarded: the machine was busy"
            )

    def _judged(
        self, key: Key, outcomes: Mapping[str, Outcome], sides: Sequence[Side]
    ) -> dict[str, Outcome]:
        """Count a round of a cell; where one side's value is disturbed, no side's counts."""
        self._tries[key] += 1
        for side in sides:
            outcome = outcomes.get(side.name)
            if outcome is None or outcome.status in ("ok", "disturbed"):
                continue
            self._finished.add(key)
            if outcome.status == "failed":
                text = f"failed in the {side.name}: {side.cells[key]}: {outcome.reason}"
                self._console.print(text, style="red")
            elif outcome.reason not in self._skipped:
                self._skipped.add(outcome.reason)
                self._console.print(f"cells skipped: {outcome.reason}")
        busy = [name for name, outcome in outcomes.items() if outcome.status == "disturbed"]
        if not busy:
            self._counts[key] += 1
            return dict(outcomes)
        self._discarded += 1
        reason = f"measured beside a disturbed value of the {busy[0]}"
        return {
            name: replace(outcome, status="disturbed", reason=reason)
            if outcome.status == "ok"
            else outcome
            for name, outcome in outcomes.items()
        }
