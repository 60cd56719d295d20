"""The rounds of a run: what its plan says, measured until all is done or the time is over."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from manualbp.running.cells import Cell, Outcome
from manualbp.running.plan import Plan, describe
from manualbp.running.progress import ticking
from manualbp.running.suite import PATIENCE_S, Suite, shared_process
from manualbp.running.tree import CodeChangedError


@dataclass
class Tally:
    """What became of the cells so far: how many values by outcome, and reasons."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    disturbed: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    stopped: str = ""
    out_of_time: bool = False

    def add(self, cell: Cell, outcome: Outcome) -> None:
        """Count an outcome."""
        self.counts[outcome.status] += 1
        if outcome.status == "failed":
            self.failed[str(cell)] = outcome.reason
        elif outcome.status == "skipped":
            self.skipped[outcome.reason] += 1
        elif outcome.status == "disturbed":
            self.disturbed[outcome.reason] += 1
        elif outcome.status == "ok":
            self.failed.pop(str(cell), None)  # by itself it works

    @property
    def discarded(self) -> str:
        """Say how many values were discarded."""
        count = self.counts["disturbed"]
        return f"{count} of {count + self.counts['ok']} values discarded: the machine was busy"


def measure(
    suite: Suite, plan: Plan, deadline: float, console: Console, more: Mapping[str, Any]
) -> Tally:
    """Measure what the plan says until all is done, the deadline is there, or interrupted.

    Every process has the attributes ``more``.
    """
    tally = Tally()

    def left() -> float:
        return min(plan.seconds_left(), deadline - time.monotonic())

    try:
        with ticking(console, left) as ticker, shared_process(more) as asked:
            for groups in plan.rounds():
                # A server of its own, so that what one import happens to bring (hashes,
                # addresses) is not shared by all values of a cell.
                with suite.running():
                    for group in groups:
                        if time.monotonic() + plan.seconds(group) > deadline:
                            tally.out_of_time = True
                            continue  # a shorter one may fit
                        ticker.doing(describe(group))
                        mine = asked if group[0].process else {"patience": PATIENCE_S}
                        outcomes = suite.measure(group, mine, deadline - time.monotonic())
                        plan.record(outcomes)
                        for cell, outcome in outcomes.items():
                            tally.add(cell, outcome)
                        warn_of_disturbance(tally, outcomes, console)
                        ticker.done()
                if tally.out_of_time:
                    return tally
    except KeyboardInterrupt:
        tally.interrupted = True
    except CodeChangedError as error:
        tally.stopped = str(error)
    return tally


def warn_of_disturbance(tally: Tally, outcomes: dict[Cell, Outcome], console: Console) -> None:
    """Say that the machine is busy: at the first discarded value, and at every hundredth."""
    disturbed = sum(outcome.status == "disturbed" for outcome in outcomes.values())
    count = tally.counts["disturbed"]
    if disturbed and (count == disturbed or count // 100 > (count - disturbed) // 100):
        reason = next(o.reason for o in outcomes.values() if o.status == "disturbed")
        console.print(f"{tally.discarded} ({reason}); they are tried again while time remains")
