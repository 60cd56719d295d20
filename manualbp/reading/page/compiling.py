"""What compiling costs: first calls, and after how many steps a dearer one has paid for itself."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from manualbp.cases import BASELINE, MODES
from manualbp.reading.breakeven import Amount, BreakEven, amount, break_even, difference, saved
from manualbp.reading.frame import distinct, records
from manualbp.reading.gaps import with_reason
from manualbp.reading.intervals import Estimate, estimate
from manualbp.reading.page import words
from manualbp.reading.page.matrix import GLYPHS
from manualbp.reading.page.model import Place, modes_of, processes, to_csv
from manualbp.reading.schema import OK, SKIPPED


@dataclass(frozen=True)
class FirstCall:
    """A case's first call (s): its time, what of it is tracing, and the share of the longest."""

    mode: str
    gradient: str
    look: int
    batch: int
    status: str
    value: float
    interval: str
    trace: float
    share: float
    trace_share: float
    row: int | None
    tip: str

    @property
    def instead(self) -> str:
        """What stands in the place of a time that was not measured."""
        return GLYPHS[self.status]


@dataclass(frozen=True)
class Comparison:
    """Two ways of computing the same step: what changes, what stays, and when the second pays."""

    kind: str
    first: str
    second: str
    held: str
    mode: str
    batch: int
    cost: float
    gain: float
    result: BreakEven
    text: str
    interval: str


@dataclass(frozen=True)
class Compiling:
    """The section of one place."""

    place: Place
    name: str
    calls: tuple[FirstCall, ...]
    comparisons: tuple[Comparison, ...]
    finding: str
    csv: str
    break_even_csv: str


def compiling(place: Place) -> Compiling | None:
    """Return what the first call costs and when it pays, or nothing where none was measured."""
    calls = place.of("first_call")
    if not modes_of(calls):
        return None
    first = tuple(_first_calls(place, calls))
    comparisons = (*_between_modes(place), *_between_gradients(place))
    table = pd.concat([calls, place.of("first_trace"), place.of("first_execution")])
    columns = ("quantity", "workload", "gradient", "mode", "device", "batch", "status", "value",
               "low", "high", "processes")  # fmt: skip
    return Compiling(
        place, place.name("compiling"), first, comparisons, _finding(first),
        to_csv(table, columns), _csv(place, comparisons),
    )  # fmt: skip


def in_words(result: BreakEven) -> tuple[str, str]:
    """Return a break-even and its interval in words, ``never`` and ``at once`` among them."""
    if result.ahead_first:
        text = f"ahead for {_steps(result.steps)} only"
    elif result.steps == 1:
        text = "at once"
    elif math.isinf(result.steps):
        text = "never"
    else:
        text = f"after {_steps(result.steps)}"
    if math.isnan(result.low):
        return text, "no interval"
    low, high = _end(result.low), _end(result.high)
    return text, low if low == high else f"{low} to {high}"


def _steps(steps: float) -> str:
    return words.counted(int(_two_digits(math.ceil(steps))), "step")


def _end(steps: float) -> str:
    if steps <= 1:
        return "at once"
    return "never" if math.isinf(steps) else f"{_two_digits(math.ceil(steps)):,.0f}"


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def _first_calls(place: Place, calls: pd.DataFrame) -> Iterator[FirstCall]:
    keys = ["gradient", "mode", "batch"]
    traces = {
        tuple(row[key] for key in keys): row["value"]
        for row in records(place.of("first_trace"))
        if row["status"] == OK
    }
    tried = records(calls[calls["status"] != SKIPPED])
    longest = max((row["value"] for row in tried if row["status"] == OK), default=1.0)
    order = {mode: number for number, mode in enumerate(distinct(calls["mode"], MODES))}
    for row in sorted(tried, key=lambda row: (row["batch"], order[row["mode"]])):
        trace = traces.get(tuple(row[key] for key in keys), math.nan)
        tip = f"{row['gradient']}, {row['mode']}, batch {row['batch']:,}: " + (
            f"{words.seconds(row['value'])}, {processes(row)}" if row["status"] == OK
            else with_reason(row["status"], row)
        )  # fmt: skip
        case = (row["workload"], row["gradient"], row["mode"], row["device"], row["batch"])
        yield FirstCall(
            row["mode"], row["gradient"], place.run.looks[row["gradient"]], row["batch"],
            row["status"], row["value"], words.between_seconds(row["low"], row["high"]), trace,
            row["value"] / longest if row["status"] == OK else 0.0,
            min(trace, row["value"]) / longest if not math.isnan(trace) else 0.0,
            place.run.rows.get(("first_call", *case)), tip,
        )  # fmt: skip


# ---------------------------------------------------------------- comparisons


def _known(place: Place, quantity: str) -> dict[tuple[Any, ...], Estimate]:
    return {
        (row["gradient"], row["mode"], row["batch"]): estimate(row["samples"] or (row["value"],))
        for row in records(place.of(quantity))
        if row["status"] == OK
    }


def _between_modes(place: Place) -> Iterator[Comparison]:
    """Compare each mode with the later ones, gradient by gradient."""
    first, steady = _known(place, "first_call"), _known(place, "steady_step")
    cases = [case for case in first if case in steady]
    modes = distinct([mode for _, mode, _ in cases], MODES)
    for number, slow in enumerate(modes):
        for fast in modes[number + 1 :]:
            for gradient, mode, batch in cases:
                other = (gradient, fast, batch)
                if mode != slow or other not in cases:
                    continue
                mine = (gradient, slow, batch)
                cost = difference(amount(first[other]), amount(first[mine]))
                gain = difference(amount(steady[mine]), amount(steady[other]))
                yield _comparison("modes", slow, fast, gradient, fast, batch, cost, gain)


def _between_gradients(place: Place) -> Iterator[Comparison]:
    """Compare the tape with each hand-written pass, mode by mode, by the interleaved ratio."""
    first, steady = _known(place, "first_call"), _known(place, "steady_step")
    ratios = _known(place, "ratio_to_tape")
    for gradient, mode, batch in first:
        tape, mine = (BASELINE, mode, batch), (gradient, mode, batch)
        if gradient == BASELINE or tape not in first or tape not in steady:
            continue
        if mine in ratios:
            gain = saved(steady[tape], ratios[mine])
        elif mine in steady:
            gain = difference(amount(steady[tape]), amount(steady[mine]))
        else:
            continue
        cost = difference(amount(first[mine]), amount(first[tape]))
        yield _comparison("gradients", BASELINE, gradient, mode, mode, batch, cost, gain)


def _comparison(
    kind: str, first: str, second: str, held: str, mode: str, batch: int, cost: Amount, gain: Amount
) -> Comparison:
    result = break_even(cost, gain)
    text, interval = in_words(result)
    return Comparison(
        kind, first, second, held, mode, batch, cost.value, gain.value, result, text, interval
    )


def _finding(calls: tuple[FirstCall, ...]) -> str:
    """Say the range of the first call in every mode."""
    said = []
    for mode in dict.fromkeys(call.mode for call in calls):
        known = [call.value for call in calls if call.mode == mode and call.status == OK]
        if known:
            low, high = words.seconds(min(known)), words.seconds(max(known))
            said.append(f"{mode} {low}" if low == high else f"{mode} {low} to {high}")
    return f"The first call takes {'; '.join(said)}." if said else "No first call was measured."


def _csv(place: Place, comparisons: tuple[Comparison, ...]) -> str:
    table = pd.DataFrame(
        [
            (place.workload, place.device, c.kind, c.first, c.second, c.held, c.batch, c.cost,
             c.gain, c.result.steps, c.result.low, c.result.high, c.text)
            for c in comparisons
        ],
        columns=["workload", "device", "compared", "first", "second", "held", "batch",
                 "first_call_extra_s", "saved_per_step_s", "steps", "low", "high", "words"],
    )  # fmt: skip
    return to_csv(table, list(table.columns))
