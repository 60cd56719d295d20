"""What to measure next: the answer, then everything once, then what narrows the intervals."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from manualbp.reading.intervals import estimate
from manualbp.running.cells import Cell, Outcome

PRECISE = 0.01
"""Half the relative width of an interval that needs no further process."""

TRIES = 2
"""How many processes may be spent on each one that is wanted, before everything has been measured
once: on a busy machine values are discarded, and must not take all of the time."""

GUESS_S = 0.6
"""Seconds that a cell takes, until one has been measured."""

Group = tuple[Cell, ...]
"""Cells that are measured in one process."""


class Plan:
    """Which groups of cells the rounds of a run measure, and how long they will take.

    ``samples`` tells the values that are stored of a cell, those of earlier runs included.
    Without ``narrow`` it ends when every cell has the processes that it wants.  With ``missing``
    it begins there, too: where nothing is missing, nothing is measured.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        samples: Callable[[Cell], Sequence[float]],
        *,
        narrow: bool = True,
        missing: bool = False,
    ) -> None:
        self.cells = list(cells)
        self._samples = samples
        self._narrow = narrow and not missing
        self._missing = missing
        self._dropped: set[Cell] = set()
        self._alone: set[Cell] = set()
        self._tries: Counter[Cell] = Counter()
        self._seconds: dict[Cell, float] = {}
        self._seconds_of: defaultdict[str, list[float]] = defaultdict(list)

    def rounds(self) -> Iterator[list[Group]]:
        """Yield the groups of each round, until nothing is left to be done.

        Each round ends before the next is asked for, for it depends on what was measured.  Where
        earlier runs have left nothing to be done, everything is measured once more, unless it is
        what is missing that is wanted.
        """
        rounds = 0
        for wanted in (self._answer, self._everything, self._narrower):
            while groups := self._grouped(wanted()):
                rounds += 1
                yield groups
        if not rounds and not self._missing:
            yield self._grouped(self._open())

    def record(self, outcomes: Mapping[Cell, Outcome]) -> None:
        """Take note of what a process made of its cells.

        A cell that failed or was skipped is not tried again; a whole process that failed is, each
        cell in one of its own, to find out which it was.
        """
        reasons = {(outcome.status, outcome.reason) for outcome in outcomes.values()}
        together = len(outcomes) > 1 and len(reasons) == 1
        for cell, outcome in outcomes.items():
            self._tries[cell] += 1
            self._seconds[cell] = outcome.seconds
            self._seconds_of[cell.quantity].append(outcome.seconds)
            if outcome.status == "failed" and together and cell not in self._alone:
                self._alone.add(cell)
            elif outcome.status in ("failed", "skipped"):
                self._dropped.add(cell)

    def seconds(self, group: Group) -> float:
        """Return how long a process will take: as long as its cells took before."""
        return sum(self._seconds_expected(cell) for cell in group)

    def seconds_left(self) -> float:
        """Return how long it will take until every cell has its processes and its precision."""
        needed = {cell: self._needed(cell) for cell in self._open()}
        groups = self._grouped([cell for cell, count in needed.items() if count])
        return sum(max(needed[cell] for cell in group) * self.seconds(group) for group in groups)

    def _open(self) -> list[Cell]:
        return [cell for cell in self.cells if cell not in self._dropped]

    def _answer(self) -> list[Cell]:
        return [
            cell
            for cell in self._open()
            if is_answer(cell)
            and len(self._samples(cell)) < cell.rounds
            and self._tries[cell] < TRIES * cell.rounds
        ]

    def _everything(self) -> list[Cell]:
        return [
            cell for cell in self._open() if not self._samples(cell) and self._tries[cell] < TRIES
        ]

    def _narrower(self) -> list[Cell]:
        return sorted(filter(self._needed, self._open()), key=self._urgency)

    def _needed(self, cell: Cell) -> int:
        samples = self._samples(cell)
        if not self._narrow:
            return max(cell.rounds - len(samples), 0)
        return processes_needed(cell, samples)

    def _urgency(self, cell: Cell) -> tuple[int, float]:
        """Put first what a reader cares about: intervals that still contain 1, then wide ones."""
        if not cell.quantity.startswith("ratio_"):
            return 3, 0.0
        known = estimate(self._samples(cell)) if self._samples(cell) else None
        width = math.inf if known is None or math.isnan(known.low) else known.high / known.low
        if cell.quantity != "ratio_to_tape":
            return 2, -width
        open_ = known is None or not (known.low > 1 or known.high < 1)
        return (0 if open_ else 1), -width

    def _grouped(self, cells: Sequence[Cell]) -> list[Group]:
        """Put cells that may share a process together, in the order of each group's first."""
        groups: dict[object, list[Cell]] = {}
        for cell in cells:
            key = cell if cell in self._alone else process_of(cell)
            groups.setdefault(key, []).append(cell)
        return [tuple(group) for group in groups.values()]

    def _seconds_expected(self, cell: Cell) -> float:
        if cell in self._seconds:
            return self._seconds[cell]
        alike = self._seconds_of.get(cell.quantity) or [
            seconds for listed in self._seconds_of.values() for seconds in listed
        ]
        return sum(alike) / len(alike) if alike else GUESS_S


def process_of(cell: Cell) -> object:
    """Return what cells have in common that may share a process: all but the gradient."""
    if not cell.process:
        return cell
    case = zip(cell.names, cell.parameters, strict=True)
    return (cell.process, *sorted((name, value) for name, value in case if name != "gradient"))


def describe(group: Sequence[Cell]) -> str:
    """Say what a process measures."""
    return str(group[0]) + (f" and {len(group) - 1} more cells" if len(group) > 1 else "")


ANSWER = ("ratio_to_tape", "ratio_tape_to_tape")
"""What the answer consists of: a workload's ratios to the tape, and the tape's to itself, which
says how far they are to be believed."""


def is_answer(cell: Cell) -> bool:
    """Tell whether a cell is part of the answer."""
    return cell.quantity in ANSWER


def processes_needed(cell: Cell, samples: Sequence[float]) -> int:
    """Return how many more processes a cell needs.

    It needs those that the suite wants; a ratio also as many as bring its 95 % interval within
    :data:`PRECISE`, its half width falling as the root of their number.
    """
    count = len(samples)
    if count < cell.rounds or not cell.quantity.startswith("ratio_") or count < 2:
        return max(cell.rounds - count, 0)
    known = estimate(samples)
    excess = math.log(known.high / known.low) / 2 / math.log1p(PRECISE)
    return max(math.ceil(count * excess**2) - count, 0)
