"""Figures against the batch: time, time per example, speedup, forward and backward apart."""

from collections.abc import Callable, Sequence

import pandas as pd

from manualbp.reading.frame import distinct, records
from manualbp.reading.gaps import with_reason
from manualbp.reading.page import axes, words
from manualbp.reading.page.model import (
    MODE_TITLES,
    Figure,
    Key,
    Place,
    Row,
    drawn,
    measured,
    modes_of,
    processes,
    to_csv,
)
from manualbp.reading.page.svg import Axis, Line, Panel, Point, Yardstick
from manualbp.reading.schema import DISTURBED, FAILED, OK, SKIPPED
from manualbp.reading.speedups import INTERLEAVED, SEPARATE

_DASHES = {"eager": "", "graph": "7 3", "xla": "2 3"}
_DODGE = 1.06
"""Neighbouring gradients stand this factor apart in x, so that their intervals can be told."""

_CASE = ("workload", "gradient", "mode", "device", "batch")
_TIME = (*_CASE, "status", "value", "low", "high", "processes")
_SPEEDUP = (*_CASE, "status", "speedup", "low", "high", "source", "processes")


def time(place: Place) -> Figure | None:
    """Return the time per step against the batch with the launch floor and NumPy's time."""
    steps = place.of("steady_step")
    return _times(place, "time", "Time per step", steps, lambda row: 1.0, "time per step")


def time_per_example(place: Place) -> Figure | None:
    """Return the time per example, in which the floor under small batches falls with the batch."""
    steps = place.of("steady_step")
    return _times(
        place,
        "time-per-example",
        "Time per example",
        steps,
        lambda row: 1 / row["batch"],
        "time per example",
    )


def speedup(place: Place) -> Figure | None:
    """Return the speedup over the tape against the batch with parity and the noise zone."""
    cells = place.cells
    modes = modes_of(cells)
    if not modes:
        return None
    good = cells[cells["status"] == OK]
    control = place.of("ratio_tape_to_tape")
    x = axes.batch_axis(_batches(cells))
    gradients = distinct(cells["gradient"])
    panels = []
    for mode in modes:
        here = cells[cells["mode"] == mode]
        mine = good[good["mode"] == mode]
        y = axes.speedup_axis(mine["speedup"], [*mine["low"], *mine["high"]])
        lines = _lines(place, here, gradients, mode, _speedup_point)
        zone = _zone(control[control["mode"] == mode], x)
        finding = f"{mode}, speedup over the tape: " + _finding(lines, words.speedup)
        panels.append(Panel(MODE_TITLES.get(mode, mode), finding, lines, x, y, mode, True, zone))
    keys = _keys(place, gradients, cells)
    keys.append(Key("parity: as fast as the tape", style="parity"))
    if (control["status"] == OK).any():
        keys.append(Key("noise: the tape against itself", style="zone"))
    apart = int(((cells["source"] == SEPARATE) & (cells["status"] == OK)).sum())
    note = "Each mode has a scale of its own."
    if apart:
        note += f" {words.counted(apart, 'point')} from times of separate processes."
    return Figure(
        place.name("speedup"), place, "Speedup against batch", "speedup: tape ÷ gradient",
        drawn(panels), tuple(keys), to_csv(cells, _SPEEDUP), note,
    )  # fmt: skip


def parts(place: Place) -> Figure | None:
    """Return the forward pass and the backward pass apart, a panel for each and each mode."""
    both = {"forward": place.of("steady_forward"), "backward": place.of("steady_backward")}
    rows = pd.concat(list(both.values()))
    if not modes_of(rows):
        return None
    x, y = axes.batch_axis(_batches(rows)), _time_axis(rows, "time")
    gradients = distinct(rows.loc[rows["status"] != SKIPPED, "gradient"])
    panels = []
    for what, mine in both.items():
        for mode in modes_of(mine):
            lines = _lines(place, mine[mine["mode"] == mode], gradients, mode, _time_point)
            finding = f"{what} pass, {mode}: " + _finding(lines, words.seconds)
            panels.append(Panel(f"{what} pass, {mode}", finding, lines, x, y, mode))
    return Figure(
        place.name("forward-backward"), place, "Forward and backward apart", "time",
        drawn(panels), tuple(_keys(place, gradients, rows)),
        to_csv(rows, ("quantity", *_TIME)),
    )  # fmt: skip


# ---------------------------------------------------------------- the parts of a figure


def _times(
    place: Place,
    name: str,
    title: str,
    steps: pd.DataFrame,
    share: Callable[[Row], float],
    label: str,
) -> Figure | None:
    modes = modes_of(steps)
    if not modes:
        return None
    floors, control = place.of("steady_empty"), place.of("steady_numpy")
    gradients = distinct(steps["gradient"])
    x = axes.batch_axis(_batches(steps))

    def point(place: Place, row: Row, shift: float) -> Point:
        return _scaled(row, share(row), shift, place)

    shown = pd.concat([steps, floors, control])
    good = measured(shown[shown["batch"].isin(_batches(steps))])
    y = axes.seconds_axis(
        [row["value"] * share(row) for row in good],
        [row[end] * share(row) for row in good for end in ("low", "high")],
        label,
    )
    panels = []
    for mode in modes:
        lines = _lines(place, steps[steps["mode"] == mode], gradients, mode, point)
        sticks = _yardsticks(floors[floors["mode"] == mode], control, share, x)
        finding = f"{mode}, {label}: " + _finding(lines, words.seconds) + _floor_finding(sticks)
        panels.append(
            Panel(MODE_TITLES.get(mode, mode), finding, lines, x, y, mode, yardsticks=sticks)
        )
    keys = _keys(place, gradients, steps)
    if (floors["status"] == OK).any():
        keys.append(Key("launch floor: the harness around an empty step", style="floor"))
    if (control["status"] == OK).any():
        keys.append(Key("the same step in NumPy", style="numpy"))
    table = shown.assign(
        **{end: shown[end] / shown["batch"].astype(float) for end in ("value", "low", "high")}
    ) if name == "time-per-example" else shown  # fmt: skip
    return Figure(
        place.name(name), place, f"{title} against batch", label, drawn(panels), tuple(keys),
        to_csv(table, ("quantity", *_TIME)),
    )  # fmt: skip


def _batches(rows: pd.DataFrame) -> list[int]:
    return [int(batch) for batch in distinct(rows.loc[rows["status"] != SKIPPED, "batch"])]


def _time_axis(rows: pd.DataFrame, label: str) -> Axis:
    good = rows[rows["status"] == OK]
    return axes.seconds_axis(good["value"], [*good["low"], *good["high"]], label)


def _lines(
    place: Place,
    rows: pd.DataFrame,
    gradients: Sequence[str],
    mode: str,
    point: Callable[[Place, Row, float], Point],
) -> tuple[Line, ...]:
    lines = []
    for number, gradient in enumerate(gradients):
        shift = _DODGE ** (number - (len(gradients) - 1) / 2)
        mine = rows[rows["gradient"] == gradient]
        failed, disturbed = (records(mine[mine["status"] == s]) for s in (FAILED, DISTURBED))
        lines.append(
            Line(
                gradient,
                place.run.looks[gradient],
                tuple(point(place, row, shift) for row in measured(mine)),
                tuple(_no_point(row, shift) for row in failed),
                _DASHES.get(mode, ""),
                disturbed=tuple(_no_point(row, shift) for row in disturbed),
            )
        )
    return tuple(lines)


def _case(row: Row) -> str:
    parts = [row["gradient"], row["mode"], f"batch {row['batch']:,}"]
    return ", ".join(part for part in parts if not pd.isna(part))


def _no_point(row: Row, shift: float) -> Point:
    tip = with_reason(f"{_case(row)}: {row['status']}", row)
    return Point(row["batch"] * shift, 1.0, 1.0, 1.0, tip)


def _speedup_point(place: Place, row: Row, shift: float) -> Point:
    value, low, high = row["speedup"], row["low"], row["high"]
    apart = "" if row["source"] == INTERLEAVED else ", from separate processes"
    known = f"{words.speedup(value)} ({words.between(low, high)})"
    tip = f"{_case(row)}: {known}, {processes(row)}{apart}"
    return Point(row["batch"] * shift, value, low, high, tip, place.run.row_of(row))


def _time_point(place: Place, row: Row, shift: float) -> Point:
    return _scaled(row, 1.0, shift, place)


def _scaled(row: Row, share: float, shift: float, place: Place) -> Point:
    value, low, high = (row[end] * share for end in ("value", "low", "high"))
    known = f"{words.seconds(value)} ({words.between_seconds(low, high)})"
    tip = f"{_case(row)}: {known}, {processes(row)}"
    key = (row["quantity"], *(row[column] for column in _CASE))
    return Point(row["batch"] * shift, value, low, high, tip, place.run.rows.get(key))


def _yardsticks(
    floors: pd.DataFrame,
    control: pd.DataFrame,
    share: Callable[[Row], float],
    x: Axis,
) -> tuple[Yardstick, ...]:
    sticks = []
    kinds = (("launch floor", "floor", floors), ("NumPy", "numpy", control))
    for name, style, rows in kinds:
        good = measured(rows)
        # The harness touches no data: what one batch shows holds for every batch.
        if style == "floor" and len(good) == 1:
            good = [{**good[0], "batch": int(value)} for value, _ in x.ticks]
        points = tuple(
            Point(
                row["batch"],
                row["value"] * share(row),
                row["low"] * share(row),
                row["high"] * share(row),
                f"{name}, batch {row['batch']:,}: {words.seconds(row['value'] * share(row))}",
            )
            for row in good
            if x.low <= row["batch"] <= x.high
        )
        if points:
            sticks.append(Yardstick(name, style, points))
    return tuple(sticks)


def _zone(control: pd.DataFrame, x: Axis) -> tuple[tuple[float, float, float], ...]:
    """Return the range of the tape against itself; to the panel's edges, interpolated between."""
    good = measured(control)
    if not good:
        return ()
    edges = []
    for row in good:
        values = row["samples"] or (row["value"],)
        edges.append((float(row["batch"]), 1 / max(values), 1 / min(values)))
    return ((x.low, *edges[0][1:]), *edges, (x.high, *edges[-1][1:]))


def _keys(place: Place, gradients: Sequence[str], rows: pd.DataFrame) -> list[Key]:
    keys = [Key(gradient, place.run.looks[gradient]) for gradient in gradients]
    if (rows["status"] == FAILED).any():
        keys.append(Key("failed", style="failed"))
    if (rows["status"] == DISTURBED).any():
        keys.append(Key("disturbed: the machine was busy", style="disturbed"))
    return keys


def _finding(lines: Sequence[Line], text: Callable[[float], str]) -> str:
    """Say where every line begins and ends, what failed and what is disturbed."""
    said = []
    for line in lines:
        if line.points:
            first, last = line.points[0], line.points[-1]
            said.append(
                f"{line.name} {text(first.y)}"
                + (
                    f" at the smallest batch, {text(last.y)} at the largest"
                    if last is not first
                    else ""
                )
            )
        for what, points in (("failed", line.failed), ("is disturbed", line.disturbed)):
            if points:
                batches = words.counted(len(points), "batch", "batches")
                said.append(f"{line.name} {what} at {batches}")
    return "; ".join(said) + "."


def _floor_finding(sticks: Sequence[Yardstick]) -> str:
    return "".join(
        f" The launch floor is {words.seconds(stick.points[0].y)} at the smallest batch."
        for stick in sticks
        if stick.style == "floor"
    )
