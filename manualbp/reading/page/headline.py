"""The answer first: where the hand-written pass wins, where not, by how much, what is missing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from manualbp.reading import gaps
from manualbp.reading.frame import distinct, records
from manualbp.reading.intervals import Estimate, product
from manualbp.reading.page import words
from manualbp.reading.page.model import Place, Row, Run, modes_of, to_csv
from manualbp.reading.schema import DISTURBED, FAILED, OK, SKIPPED
from manualbp.reading.speedups import SEPARATE


@dataclass(frozen=True)
class Overall:
    """A gradient's geometric mean over cells, its best and worst cell, and how many it wins.

    ``tried`` counts the cells of the suite, measured or not; ``lacking`` says why a mode's mean has
    no interval, and which batches it is not over.
    """

    gradient: str
    look: int
    mode: str | None
    known: Estimate
    best: Row
    worst: Row
    faster: int
    level: int
    slower: int
    failed: int
    disturbed: int
    tried: int
    lacking: tuple[str, ...]

    @property
    def measured(self) -> int:
        """How many cells the mean is over."""
        return self.faster + self.level + self.slower

    @property
    def interval(self) -> str:
        """The interval in words."""
        return words.between(self.known.low, self.known.high)

    @property
    def cells(self) -> str:
        """How many cells the mean is over, and of how many where it lacks some."""
        of = f"{self.measured:,} of " if self.measured < self.tried else ""
        return of + words.counted(self.tried, "cell")

    @property
    def verdict(self) -> str:
        """``fast``, ``slow`` or ``level``: what the interval shows."""
        return "fast" if self.known.low > 1 else "slow" if self.known.high < 1 else "level"


@dataclass(frozen=True)
class Answer:
    """What one place shows: the gradient that does best in all, and every gradient in every mode.

    ``said`` has a mode and what it shows in words; ``rows`` are by mode, then gradient; ``gaps``
    names the cells without an interval and those not reached.
    """

    place: Place
    best: Overall
    rows: tuple[Overall, ...]
    said: tuple[tuple[str, str], ...]
    csv: str
    gaps: str


def answer(place: Place) -> Answer | None:
    """Return what a place shows, or nothing where it has no speedup."""
    cells = place.cells
    gradients = distinct(cells["gradient"])
    known = [_overall(place, cells, gradient, None) for gradient in gradients]
    found = [overall for overall in known if overall is not None]
    if not found:
        return None
    # A mean over fewer cells is not the same contest.
    best = max(found, key=lambda overall: (overall.measured, overall.known.log))
    by_mode = {
        mode: [
            overall
            for gradient in gradients
            if (overall := _overall(place, cells[cells["mode"] == mode], gradient, mode))
        ]
        for mode in modes_of(cells)
    }
    rows = tuple(overall for mode in by_mode.values() for overall in mode)
    said = tuple((mode, _sentence(mode, known)) for mode, known in by_mode.items() if known)
    return Answer(place, best, rows, said, _csv(place, [*found, *rows]), gaps.gaps(cells))


def tally(run: Run) -> str:
    """Say how many cells were measured, failed, are disturbed and were skipped; what was discarded.

    Cells that are disturbed are named.
    """
    status = run.frame["status"]
    ok, failed, disturbed, skipped = (
        int((status == name).sum()) for name in (OK, FAILED, DISTURBED, SKIPPED)
    )
    text = f"{words.counted(len(status), 'cell')}: {ok:,} measured, {failed:,} failed, "
    text += f"{disturbed:,} disturbed, " if disturbed else ""
    text += f"{skipped:,} skipped"
    if skipped:
        devices = run.frame.loc[status == SKIPPED, "device"].fillna("no device")
        counts = ", ".join(
            f"{name}: {int((devices == name).sum()):,}" for name in distinct(devices)
        )
        text += f" ({counts})"
    return " ".join(
        said
        for said in (f"{text}.", gaps.discarded(run.frame), gaps.never_quiet(run.frame))
        if said
    )


def named(run: Run, status: str) -> list[str]:
    """Name the cells of a status with their reasons, equal names once with their number."""
    names: dict[str, int] = {}
    for row in records(run.frame[run.frame["status"] == status]):
        case = [row[name] for name in ("workload", "peer", "gradient", "mode", "device")]
        text = ", ".join(str(part) for part in case if not pd.isna(part))
        batch = "" if pd.isna(row["batch"]) else f", batch {row['batch']:,}"
        name = f"{row['quantity']}" + (f": {text}{batch}" if text else "")
        name = gaps.with_reason(name, row)
        names[name] = names.get(name, 0) + 1
    return [name if count == 1 else f"{name} ({count} cells)" for name, count in names.items()]


def _overall(place: Place, cells: pd.DataFrame, gradient: str, mode: str | None) -> Overall | None:
    mine = cells[cells["gradient"] == gradient]
    good = records(mine[mine["status"] == OK])
    if not good:
        return None
    estimates = [Estimate(math.log(row["speedup"]), row["error"], row["freedom"]) for row in good]
    return Overall(
        gradient,
        place.run.looks[gradient],
        mode,
        product(estimates, [1 / len(good)] * len(good)),
        max(good, key=lambda row: float(row["speedup"])),
        min(good, key=lambda row: float(row["speedup"])),
        sum(row["low"] > 1 for row in good),
        sum(not (row["low"] > 1 or row["high"] < 1) for row in good),
        sum(row["high"] < 1 for row in good),
        int((mine["status"] == FAILED).sum()),
        int((mine["status"] == DISTURBED).sum()),
        len(mine),
        _lacking(good, mine) if mode is not None else (),
    )


def _lacking(good: list[Row], tried: pd.DataFrame) -> tuple[str, ...]:
    alone = any(math.isnan(row["low"]) for row in good)
    said = (gaps.no_interval(good) if alone else "", gaps.over_batches(good, tried))
    return tuple(text for text in said if text)


def _sentence(mode: str, overalls: list[Overall]) -> str:
    """Say what a mode's best gradient does, and what the others do if that is the contrary."""
    best = max(overalls, key=lambda overall: overall.known.log)
    factor = f"{best.known.value:.2f}{words.TIMES}"
    if math.isnan(best.known.low):
        text = f"{best.gradient} stands at {factor}"
    elif best.verdict == "level":
        text = f"no difference is shown, {best.gradient} stands at {factor} ({best.interval})"
    elif best.verdict == "slow":
        text = f"slower by hand, {best.gradient} comes nearest at {factor}"
    elif best.known.value >= 1.1:
        text = f"it pays, {best.gradient} is {factor} as fast as the tape"
    else:
        text = f"it gains little, {best.gradient} is {words.percent(best.known.value)} faster"
    slow = [o for o in overalls if o.verdict == "slow" and o is not best]
    if slow:
        others = [f"{o.gradient} {words.percent(o.known.value)} slower" for o in slow]
        text += f", {words.listed(others)}"
    elif best.verdict == "fast" and best.slower:
        text += f", but slower at {words.counted(best.slower, 'batch', 'batches')}"
    text += "".join(f"; {said}" for said in best.lacking)
    if any(row["source"] == SEPARATE for row in (best.best, best.worst)):
        text += "; from times of separate processes"
    return f"{text}."


def _csv(place: Place, overalls: list[Overall]) -> str:
    table = pd.DataFrame(
        [
            (place.workload, place.device, o.mode or "all", o.gradient, o.known.value, o.known.low,
             o.known.high, o.best["speedup"], o.best["batch"], o.worst["speedup"],
             o.worst["batch"], o.faster, o.level, o.slower, o.failed, o.disturbed)
            for o in overalls
        ],
        columns=["workload", "device", "mode", "gradient", "speedup", "low", "high", "best",
                 "best_batch", "worst", "worst_batch", "faster", "level", "slower", "failed",
                 "disturbed"],
    )  # fmt: skip
    return to_csv(table, list(table.columns))


@dataclass(frozen=True)
class Across:
    """A workload, device, mode and gradient in every run: a geometric mean each, or nothing."""

    workload: str
    device: str
    mode: str
    gradient: str
    values: tuple[Overall | None, ...]


def side_by_side(answers: Sequence[Answer], runs: Sequence[Run]) -> list[Across]:
    """Return the geometric means of several runs beside one another, a column for each run."""
    found: dict[tuple[str, str, str, str], dict[str, Overall]] = {}
    for answer_ in answers:
        for overall in answer_.rows:
            place = answer_.place
            key = (place.workload, place.device, str(overall.mode), overall.gradient)
            found.setdefault(key, {})[place.run.key] = overall
    return [Across(*key, tuple(known.get(run.key) for run in runs)) for key, known in found.items()]
