"""Figures: one function from the table of one run, workload and device to a ``Figure`` each.

Everywhere colour and marker are the gradient and the line's style is the mode.  Failed cells are
crosses and disturbed ones ≈ at a panel's bottom edge, never points; skipped cells are not drawn.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from manualbp.cases import MODES
from manualbp.reading.drawing import PlainFigure
from manualbp.reading.frame import check_one_run, distinct, records
from manualbp.reading.looks import looks_of
from manualbp.reading.schema import DISTURBED, FAILED, OK
from manualbp.reading.speedups import SEPARATE, speedups
from manualbp.reading.text import described
from manualbp.reading.ticks import labelled

# Okabe and Ito's palette for every kind of colour vision; the order keeps neighbours far apart.
# Yellow is left out, too faint for a line on white, and vermilion comes last, near the crosses.
# The first is the tape's.
_COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_MARKERS = ("o", "s", "^", "D", "v", "P", "p")
GREY, RED = "#777777", "#CC0000"

LINES = {"eager": "-", "graph": "--", "xla": "-."}
_PANELS = {
    "eager": "eager",
    "graph": "graph (tf.function)",
    "xla": "xla (tf.function, jit_compile)",
}

DISTURBED_MARK: dict[str, Any] = {"color": "#444444", "marker": r"$\approx$", "ms": 7, "mew": 0.4}
"""How a disturbed cell is marked: by its shape, as a failed one is by its cross."""

_TRIED = [OK, FAILED, DISTURBED]

_DODGE = 1.05
"""Neighbouring gradients stand this factor apart in x, so that their intervals can be told."""


_ROOM = 1.7
"""What the batch axis extends beyond the first and the last batch, as a factor."""

_CHARACTERS = 36
"""What a panel's width holds of digits."""

_CROSS_HEIGHT = 0.06
"""Failed gradients are crosses one above the other, each this share of a panel's height."""


Looks = Mapping[str, int]
"""The gradients' looks (``manualbp.reading.looks``)."""

Marks = Mapping[str, tuple[str, str]]
"""The gradients' colours and markers."""


class NothingToDrawError(ValueError):
    """No cell that a figure shows was tried."""


def time_against_batch(frame: pd.DataFrame, looks: Looks | None = None) -> Figure:
    """Draw the time per step (µs) against the batch, a panel for each mode, both axes logarithmic.

    Besides the gradients, with 95 % intervals: the NumPy control and the harness alone, where
    measured.  ``frame`` holds one run, workload and device (see ``select``), ``looks`` the
    gradients' looks in the whole run, by default those in the frame alone; ``ValueError`` is raised
    for more than one, and when no step was measured.
    """
    steps = _of(frame, "steady_step")
    figure, panels = _panels(steps, "Time per step")
    marks = _marks(frame, looks)
    drawn = [_draw_gradients(axes, steps, mode, marks, 1e6) for mode, axes in panels.items()]
    for mode, axes in panels.items():
        _draw_yardstick(axes, _of(frame, "steady_numpy"), ":")
        empty = _of(frame, "steady_empty")
        _draw_yardstick(axes, empty[empty["mode"] == mode], (0, (6, 2)))
    first = next(iter(panels.values()))
    first.set_yscale("log")
    first.set_ylabel("time per step (µs)")
    low, high = first.get_ylim()
    if any(drawn):
        low = _below(low, high, len(distinct(steps["gradient"])))
        first.set_ylim(low, high)
    subs = (1.0,) if high / low > 100 else (1.0, 2.0, 5.0)
    first.yaxis.set_major_locator(LogLocator(subs=subs))
    first.yaxis.set_major_formatter(FuncFormatter(_plain))
    first.yaxis.set_minor_locator(NullLocator())
    _batch_axis(panels.values(), steps)
    legend = _gradient_handles(marks, steps)
    if (_of(frame, "steady_numpy")["status"] == OK).any():
        legend.append(Line2D([], [], color=GREY, ls=":", lw=1.2, label="NumPy (control)"))
    if (_of(frame, "steady_empty")["status"] == OK).any():
        legend.append(
            Line2D([], [], color=GREY, ls=(0, (6, 2)), lw=1.2, label="harness alone (call floor)")
        )
    _finish(figure, frame, steps, legend)
    return figure


def speedup_against_batch(frame: pd.DataFrame, looks: Looks | None = None) -> Figure:
    """Draw the speedup over the tape against the batch, a panel for each mode.

    Above the line of parity a gradient is faster than the tape.  The shaded zone is tape against
    tape, from the smallest to the largest process value: within it is what no difference looks
    like; between the batches of the control it is interpolated.  ``frame`` holds one run, workload
    and device; ``ValueError`` as for ``time_against_batch``.
    """
    cells = speedups(frame)
    figure, panels = _panels(cells, "Speedup over the tape")
    cells = cells.rename(columns={"speedup": "value"})
    control = _of(frame, "ratio_tape_to_tape")
    _batch_axis(panels.values(), cells)
    marks = _marks(frame, looks)
    drawn = []
    for mode, axes in panels.items():
        axes.axhline(1, color="#000000", lw=0.8, zorder=1)
        _draw_zone(axes, control[control["mode"] == mode])
        drawn.append(_draw_gradients(axes, cells, mode, marks, 1.0))
    first = next(iter(panels.values()))
    first.set_yscale("log")
    first.set_ylabel("speedup over the tape\n(tape time ÷ gradient time)")
    _speedup_axis(first, crosses=len(distinct(cells["gradient"])) if any(drawn) else 0)
    last = list(panels.values())[-1]
    for text, y, side in (("faster ↑", 3, "bottom"), ("slower ↓", -3, "top")):
        last.annotate(
            text, (1.01, 1), (0, y), xycoords=last.get_yaxis_transform(),
            textcoords="offset points", ha="left", va=side, fontsize=8, color=GREY,
        )  # fmt: skip
    legend = _gradient_handles(marks, cells)
    if (control["status"] == OK).any():
        legend.append(Patch(color=GREY, alpha=0.25, lw=0, label="tape against tape (A/A)"))
    apart = cells[(cells["source"] == SEPARATE) & (cells["status"] == OK)]
    note = f"{len(apart)} of {(cells['status'] == OK).sum()} points from separate processes"
    _finish(figure, frame, cells, legend, note if len(apart) else "")
    return figure


def first_call(frame: pd.DataFrame, looks: Looks | None = None) -> Figure:
    """Draw the time of the first call (s) as bars for each mode and gradient, at one batch.

    Where tracing was measured, it is the hatched foot of a bar, and the plain rest is compiling
    and running.  The batch is the smallest one measured, since the first call hardly
    depends on it.  ``frame`` holds one run, workload and device; ``ValueError`` as for
    ``time_against_batch``.
    """
    calls = _of(frame, "first_call")
    _check(calls, "first_call")
    calls = calls[calls["batch"] == _first_batch(calls)]
    batch = int(calls["batch"].iloc[0])
    traces = _of(frame, "first_trace")
    traces = traces[(traces["batch"] == batch) & (traces["status"] == OK)]
    trace = {(row["mode"], row["gradient"]): row["value"] for row in records(traces)}
    marks = _marks(frame, looks)
    gradients, modes = distinct(calls["gradient"]), distinct(calls["mode"], MODES)
    figure = _figure(max(7.5, 0.55 * len(gradients) * len(modes) + 2.5))
    axes = figure.add_subplot()
    width = 0.8 / len(gradients)
    top = calls["high"].fillna(calls["value"]).max()
    for row in records(calls):
        gradient = row["gradient"]
        colour, marker = marks[gradient]
        place = (gradients.index(gradient) - (len(gradients) - 1) / 2) * width
        x = modes.index(row["mode"]) + place
        if row["status"] in (FAILED, DISTURBED):
            _mark(axes, x, 0.03, row["status"], colour, marker)
        if row["status"] != OK:
            continue
        foot = min(trace.get((row["mode"], gradient), 0.0), row["value"])
        axes.bar(x, row["value"], width * 0.9, color=colour, lw=0)
        axes.bar(x, foot, width * 0.9, color=colour, hatch="////", edgecolor="#FFFFFF", lw=0)
        axes.errorbar(x, row["value"], _bars(row), fmt="none", ecolor=GREY, lw=1.2, capsize=3)
        end = row["value"] if math.isnan(row["high"]) else row["high"]
        axes.annotate(
            _seconds(row["value"]), (x, end), (0, 2), textcoords="offset points", ha="center",
            fontsize=7,
        )  # fmt: skip
    axes.set_xticks(range(len(modes)), modes)
    axes.set_xlim(-0.6, len(modes) - 0.4)
    axes.set_ylim(0, 1.12 * top if top > 0 else 1)
    axes.set_ylabel("first call (s)")
    axes.set_xlabel("mode")
    axes.spines[["top", "right"]].set_visible(False)
    legend: list[Line2D | Patch] = [
        Patch(color=marks[gradient][0], label=gradient) for gradient in gradients
    ]
    if trace:
        legend.append(
            Patch(facecolor=GREY, hatch="////", edgecolor="#FFFFFF", lw=0, label="of it, tracing")
        )
    legend += _status_handles(calls)
    _title(figure, f"First call, batch {batch}", calls)
    _finish(figure, frame, calls, legend)
    return figure


class Draw(Protocol):
    """A function that draws one figure."""

    def __call__(self, frame: pd.DataFrame, looks: Looks | None = None) -> Figure:
        """Draw the figure of one run, workload and device."""


FIGURES: dict[str, tuple[str, Draw]] = {
    "speedup": ("Speedup over the tape", speedup_against_batch),
    "time": ("Time per step", time_against_batch),
    "first-call": ("First call", first_call),
}
"""The report's figures by the name of their file: a description, and the function that draws."""


# ---------------------------------------------------------------- checks and frames of figures


def _of(frame: pd.DataFrame, quantity: str) -> pd.DataFrame:
    return frame[frame["quantity"] == quantity]


def _check(cells: pd.DataFrame, what: str) -> None:
    check_one_run(cells)
    for column in ("workload", "device"):
        values = distinct(cells[column])
        if len(values) > 1:
            raise ValueError(
                f"expected the rows of one {column}, got {', '.join(values)}; see select"
            )
    if not cells["status"].isin(_TRIED).any():
        raise NothingToDrawError(f"nothing to draw: no {what} was measured")


def _figure(width: float) -> Figure:
    figure = PlainFigure(figsize=(width, 4.0), layout="constrained")
    engine = figure.get_layout_engine()
    if engine is not None:  # a strip at the bottom for the footer
        engine.set(rect=(0, 0.085, 1, 0.915))  # type: ignore[call-arg]
    return figure


def _panels(cells: pd.DataFrame, what: str) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with a panel for each mode that has anything to show, on shared axes."""
    _check(cells, what)
    tried = cells[cells["status"].isin(_TRIED)]
    modes = distinct(tried["mode"], MODES)
    figure = _figure(2.9 * len(modes) + 1.8)
    grid = figure.subplots(1, len(modes), sharex=True, sharey=True, squeeze=False)
    _title(figure, what, cells)
    panels = dict(zip(modes, grid[0], strict=True))
    for mode, axes in panels.items():
        axes.set_title(_PANELS.get(mode, mode), fontsize=9)
        axes.grid(color="#E5E5E5", lw=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _title(figure: Figure, what: str, cells: pd.DataFrame) -> None:
    workload, device = cells["workload"].iloc[0], cells["device"].iloc[0]
    text = f"{what} on {device}\n{described(workload)}"
    figure.suptitle(text, x=0.01, ha="left", fontsize=11, wrap=True)


def short_commit(commit: str) -> str:
    """Return a hash's first digits; the name of a dirty tree as it is."""
    return commit if "-" in commit else commit[:8]


def _finish(
    figure: Figure,
    frame: pd.DataFrame,
    cells: pd.DataFrame,
    legend: Sequence[Line2D | Patch],
    note: str = "",
) -> None:
    figure.legend(
        handles=list(legend), loc="outside right center", frameon=False, fontsize=8,
        handlelength=2.6,
    )  # fmt: skip
    run = frame.iloc[0]
    counts = cells.loc[cells["status"] == OK, "processes"]
    version = f"TensorFlow {run['tensorflow']}" if pd.notna(run["tensorflow"]) else None
    lines = (
        (run["machine"], run["cpu"]),
        (version, f"commit {short_commit(run['commit'])}", _processes(counts), note or None),
    )
    footer = "\n".join(" · ".join(part for part in line if pd.notna(part)) for line in lines)
    figure.text(0.01, 0.012, footer, fontsize=7, color=GREY, va="bottom")


def _processes(counts: "pd.Series[int]") -> str:
    if counts.empty:
        return "no point measured"
    low, high = int(counts.min()), int(counts.max())
    if high == 0:
        return "asv kept no samples, so no intervals"
    count = str(low) if low == high else f"{low} to {high}"
    plural = "process" if high == 1 else "processes"
    return f"{count} {plural} each" + (", whiskers are 95 % intervals" if high > 1 else "")


# ---------------------------------------------------------------- marks


def mark_of(look: int) -> tuple[str, str]:
    """Return the colour and the marker of a gradient's look."""
    return tuple(zip(_COLOURS, _MARKERS, strict=True))[look]


def _marks(frame: pd.DataFrame, looks: Looks | None) -> Marks:
    known = looks_of(frame) if looks is None else looks
    return {gradient: mark_of(look) for gradient, look in known.items()}


def _gradient_handles(marks: Marks, cells: pd.DataFrame) -> list[Line2D | Patch]:
    """Return the legend's entries for the gradients of ``cells``, and for what has no value."""
    handles: list[Line2D | Patch] = []
    for gradient in distinct(cells["gradient"]):
        colour, marker = marks[gradient]
        handles.append(Line2D([], [], color=colour, marker=marker, ms=5, label=gradient))
    return [*handles, *_status_handles(cells)]


def _status_handles(cells: pd.DataFrame) -> list[Line2D]:
    found = set(cells["status"])
    failed = Line2D([], [], color=RED, marker="x", ls="none", mew=1.8, label="failed")
    return [failed] * (FAILED in found) + [disturbed_handle()] * (DISTURBED in found)


def disturbed_handle() -> Line2D:
    """Return the legend's entry of disturbed cells."""
    return Line2D([], [], ls="none", label="disturbed: busy machine", **DISTURBED_MARK)


def _draw_gradients(axes: Axes, cells: pd.DataFrame, mode: str, marks: Marks, scale: float) -> bool:
    """Draw a mode's gradients, values times ``scale``; return whether any has a mark instead."""
    here = cells[cells["mode"] == mode]
    gradients = distinct(cells["gradient"])
    for place, gradient in enumerate(gradients):
        colour, marker = marks[gradient]
        shift = _DODGE ** (place - (len(gradients) - 1) / 2)
        mine = here[here["gradient"] == gradient].sort_values("batch")
        good = records(mine[mine["status"] == OK])
        axes.plot(
            [row["batch"] * shift for row in good],
            [row["value"] * scale for row in good],
            color=colour, marker=marker, ms=4.5, ls=LINES.get(mode, "-"), lw=1.4, zorder=3,
        )  # fmt: skip
        for row in good:
            axes.errorbar(
                row["batch"] * shift, row["value"] * scale, _bars(row, scale), fmt="none",
                ecolor=colour, elinewidth=1, capsize=2, zorder=3,
            )  # fmt: skip
        for row in records(mine[mine["status"].isin([FAILED, DISTURBED])]):
            height = (place + 0.5) * _CROSS_HEIGHT
            _mark(axes, row["batch"] * shift, height, row["status"], colour, marker)
    return bool(here["status"].isin([FAILED, DISTURBED]).any())


def _bars(row: dict[str, Any], scale: float = 1.0) -> list[list[float]]:
    """Return a row's interval as error bars; none where it has no interval."""
    if math.isnan(row["low"]) or math.isnan(row["high"]):
        return [[0.0], [0.0]]
    return [[(row["value"] - row["low"]) * scale], [(row["high"] - row["value"]) * scale]]


def _mark(axes: Axes, x: float, y: float, status: str, colour: str, marker: str) -> None:
    """Mark a cell without a value at a height ``y`` above the bottom.

    The mark is its gradient's marker, hollow, under a red cross if it failed, else under an ≈.
    """
    edge: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ls": "none", "zorder": 4}
    edge["clip_on"] = False
    axes.plot(x, y, marker=marker, ms=9, mfc="#FFFFFF", mec=colour, mew=1.2, **edge)
    sign = {"marker": "x", "ms": 5, "mew": 1.6, "color": RED}
    axes.plot(x, y, **(sign if status == FAILED else DISTURBED_MARK), **edge)


def _draw_yardstick(axes: Axes, cells: pd.DataFrame, line: Any) -> None:
    good = cells[cells["status"] == OK].sort_values("batch")
    if set(good["quantity"]) == {"steady_empty"} and len(good) == 1:
        # The harness touches no data, so one batch may stand for all.
        axes.axhline(good["value"].iloc[0] * 1e6, color=GREY, ls=line, lw=1.2)
        return
    axes.plot(
        good["batch"].astype(int), good["value"] * 1e6, color=GREY, ls=line, lw=1.2, marker=".",
        ms=2.5,
    )  # fmt: skip


def _draw_zone(axes: Axes, control: pd.DataFrame) -> None:
    good = records(control[control["status"] == OK].sort_values("batch"))
    if not good:
        return
    values = [row["samples"] or (row["value"],) for row in good]
    # To the panel's edges, lest a single batch give a zone without width.
    left, right = axes.get_xlim()
    axes.fill_between(
        [left, *[row["batch"] for row in good], right],
        [1 / max(v) for v in (values[0], *values, values[-1])],
        [1 / min(v) for v in (values[0], *values, values[-1])],
        color=GREY, alpha=0.25, lw=0, zorder=0,
    )  # fmt: skip


# ---------------------------------------------------------------- axes


def _first_batch(cells: pd.DataFrame) -> int:
    good = cells[cells["status"] == OK]
    tried = good if len(good) else cells[cells["status"].isin(_TRIED)]
    return int(tried["batch"].min())


def _batch_axis(panels: Any, cells: pd.DataFrame) -> None:
    batches = sorted(distinct(cells.loc[cells["status"].isin(_TRIED), "batch"]))
    for axes in panels:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(labelled(batches, _CHARACTERS, _ROOM)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        axes.tick_params(labelsize=8)
        axes.set_xlim(batches[0] / _ROOM, batches[-1] * _ROOM)
        axes.set_xlabel("batch (examples)")


def _speedup_axis(axes: Axes, *, crosses: int) -> None:
    """Ticks that can be read as factors, as fine as the range needs, parity always among them."""
    low, high = axes.get_ylim()
    low, high = min(low, 0.87), max(high, 1.15)  # some room on both sides of parity
    low = _below(low, high, crosses)
    axes.set_ylim(low, high)
    if high / low > 16:
        ticks = [2.0**power for power in range(-12, 13)]
    elif high / low > 4:
        ticks = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16]
    elif high / low > 1.8:
        ticks = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 2, 2.5, 3]
    else:
        ticks = [step / 20 for step in range(10, 40)]
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _below(low: float, high: float, crosses: int) -> float:
    """Return a lower end that leaves a strip for so many rows of crosses under a log axis."""
    share = min(crosses * _CROSS_HEIGHT, 0.5)
    return low * math.pow(low / high, share / (1 - share))


def _plain(value: float, _: object) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _seconds(value: float) -> str:
    number, unit = (value, "s") if value >= 0.1 else (value * 1e3, "ms")
    return f"{number:#.2g}".rstrip(".") + f" {unit}"
