"""The run in words and tables: what the hand-written pass buys, where, and what was not measured.

A failed, a skipped, a disturbed and a slow cell are four different things in every line.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from manualbp.cases import MODES, describe_workload
from manualbp.reading import beside, gaps
from manualbp.reading.frame import check_one_run, distinct, places, records, select
from manualbp.reading.intervals import Estimate, product
from manualbp.reading.schema import DISTURBED, FAILED, OK, SKIPPED
from manualbp.reading.speedups import SEPARATE, speedups
from manualbp.reading.text import code, in_markdown, markdown_table
from manualbp.reading.text import markdown as as_markdown

Cell = dict[str, Any]

Pictures = Mapping[tuple[str, str], Sequence[tuple[str, str]]]
"""For a workload and a device, its pictures: a description and a relative path each."""

_TIMES, _DASH = "×", "–"

HOW_TO_READ = f"""\
A speedup is the tape's time over the gradient's: 2 is twice as fast as the tape, 0.5 half as fast.
In parentheses stands the 95 % interval, from one value for each process; **bold** is a speedup
whose interval leaves out 1. It is measured with both gradients in one process, by turns, so it is
more certain than the quotient of two times in the tables. A † marks the exception: a speedup from
times of separate processes. *failed* raised an error or ran out of time, *skipped* was not
chosen or needs a device or library that is not there, *disturbed* was measured, but every value was
discarded because the machine was busy, and {_DASH} is no cell of the suite."""


def headline(frame: pd.DataFrame) -> str:
    """Say what the run shows: a line for each workload, device and mode, and what is missing.

    A line names the gradient with the highest geometric mean of its speedups over
    the batches, its 95 % interval, and its best and worst batch.  "Faster" and "slower" are said
    only where the interval leaves out 1.  When there is no speedup at all the text says so.  Then
    come the speedups without an interval and those not reached, and what was discarded because the
    machine was busy.  ``frame`` holds one run; ``ValueError`` is raised for more.
    """
    check_one_run(frame)
    cells = speedups(frame)
    lines = []
    for workload, device in places(cells):
        here = cells[(cells["workload"] == workload) & (cells["device"] == device)]
        lines += [
            f"{workload}, {device}, {mode}: {_verdict(here[here['mode'] == mode])}."
            for mode in distinct(here.loc[here["status"] != SKIPPED, "mode"], MODES)
        ]
        if (here["status"] != SKIPPED).any() and (lacking := gaps.gaps(here)):
            lines.append(f"{workload}, {device}: {lacking}.")
    if not (cells["status"] == OK).any():
        measured = int((frame["status"] == OK).sum())
        rest = f" ({measured} cells of other quantities were)" if measured else ""
        lines = [f"No speedup was measured{rest}: this run says neither faster nor slower."]
    return "\n".join([*lines, *disturbances(frame), missing(frame)])


def markdown(frame: pd.DataFrame, pictures: Pictures | None = None) -> str:
    """Return the whole report as Markdown: headline, facts of the run, tables, failed cells.

    Times are in the unit printed beside them, errors in ulp, memory in MiB.  ``pictures`` are
    linked under their workload and device.  ``frame`` holds one run; ``ValueError`` for more.
    """
    check_one_run(frame)
    frame = in_markdown(frame)
    shown = {
        (as_markdown(workload), as_markdown(device)): [
            (as_markdown(description), path) for description, path in listed
        ]
        for (workload, device), listed in (pictures or {}).items()
    }
    parts = ["# What a hand-written backward pass buys over the tape"]
    parts.append("\n".join(f"- {line}" for line in headline(frame).splitlines()))
    parts += ["## How to read this", HOW_TO_READ, "## The run", facts(frame)]
    cells = speedups(frame)
    for workload, device in places(frame[frame["status"] != SKIPPED]):
        here = shown.get((workload, device), ())
        parts += place_sections(frame, cells, workload, device, here)
    memory = frame[(frame["quantity"] == "track_peak_memory_import") & (frame["status"] == OK)]
    if not memory.empty:
        parts.append("## Peak memory of the import alone")
        parts.append(", ".join(_mebibytes(value) for value in memory["value"]))
    parts += ["## Failed cells", listed_cells(frame, FAILED)]
    parts += ["## Disturbed cells", listed_cells(frame, DISTURBED)]
    parts += ["## Skipped cells", _skipped(frame)]
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------- the headline


class _Overall(NamedTuple):
    gradient: str
    known: Estimate
    cells: list[Cell]


def _overall(cells: pd.DataFrame, gradient: str) -> _Overall | None:
    """Return a gradient's geometric mean over its batches, which are independent processes."""
    mine = records(cells[(cells["gradient"] == gradient) & (cells["status"] == OK)])
    if not mine:
        return None
    estimates = [Estimate(math.log(c["speedup"]), c["error"], c["freedom"]) for c in mine]
    return _Overall(gradient, product(estimates, [1 / len(mine)] * len(mine)), mine)


def _verdict(cells: pd.DataFrame) -> str:
    """Say what a mode's best gradient does, and over which batches."""
    found = [_overall(cells, gradient) for gradient in distinct(cells["gradient"])]
    known = [overall for overall in found if overall is not None]
    if not known:
        failed, disturbed = (int((cells["status"] == each).sum()) for each in (FAILED, DISTURBED))
        said = [f"{_count(failed)} failed"] if failed or not disturbed else []
        said += [f"{_count(disturbed)} disturbed"] if disturbed else []
        return f"nothing measured, {', '.join(said)}"
    best = max(known, key=lambda overall: overall.known.value)
    value, low, high = best.known.value, best.known.low, best.known.high
    name = f"{best.gradient} {value:.2f}{_TIMES}"
    interval = f"(95 % interval {low:.2f} to {high:.2f})"
    if math.isnan(low):
        alone = all(cell["processes"] == 1 for cell in best.cells)
        why = "in one process (no interval)" if alone else f"({gaps.no_interval(best.cells)})"
        verdict = f"{name} the tape's speed {why}"
    elif low > 1:
        verdict = f"{name} as fast as the tape {interval}"
    elif high < 1:
        verdict = f"slower, the best is {name} as fast as the tape {interval}"
    else:
        verdict = f"no difference shown, {name} {interval}"
    return verdict + _over_batches(best, tried=cells)


def _over_batches(best: _Overall, tried: pd.DataFrame) -> str:
    """Add the best and the worst batch, those without a gain, and what the mean leaves out."""
    parts = []
    worst = min(best.cells, key=lambda cell: float(cell["speedup"]))
    top = max(best.cells, key=lambda cell: float(cell["speedup"]))
    if len(best.cells) > 1:
        parts.append(
            f"from {worst['speedup']:.2f}{_TIMES} at batch {worst['batch']} "
            f"to {top['speedup']:.2f}{_TIMES} at batch {top['batch']}"
        )
    if best.known.low > 1:
        slow = [str(cell["batch"]) for cell in best.cells if cell["high"] < 1]
        flat = [str(cell["batch"]) for cell in best.cells if cell["low"] <= 1 <= cell["high"]]
        parts += [f"slower at batch {', '.join(slow)}"] if slow else []
        parts += [f"no difference shown at batch {', '.join(flat)}"] if flat else []
    if lacking := gaps.over_batches(best.cells, tried[tried["gradient"] == best.gradient]):
        parts.append(lacking)
    if any(cell["source"] == SEPARATE for cell in best.cells):
        parts.append("from times of separate processes")
    return "".join(f", {part}" for part in parts)


def missing(frame: pd.DataFrame) -> str:
    """Say how many cells failed, are disturbed and were skipped, and on which devices."""
    failed, disturbed, skipped = (
        int((frame["status"] == status).sum()) for status in (FAILED, DISTURBED, SKIPPED)
    )
    also = f", {disturbed} {'is' if disturbed == 1 else 'are'} disturbed" if disturbed else ""
    text = (
        f"Of {_count(len(frame))}, {failed} failed{also} and {skipped} were skipped or not chosen"
    )
    return f"{text} ({_by_device(frame)})." if skipped else f"{text}."


def disturbances(frame: pd.DataFrame) -> list[str]:
    """Say how many values were discarded, and which cells have none left; nothing if none were."""
    return [said for said in (gaps.discarded(frame), gaps.never_quiet(frame)) if said]


def _by_device(frame: pd.DataFrame) -> str:
    devices = frame.loc[frame["status"] == SKIPPED, "device"].fillna("no device")
    return ", ".join(f"{device}: {(devices == device).sum()}" for device in distinct(devices))


def _count(number: int) -> str:
    return f"{number} cell" if number == 1 else f"{number} cells"


# ---------------------------------------------------------------- sections of the report


def facts(frame: pd.DataFrame) -> str:
    """Return the facts of the run as a Markdown table.

    ``frame`` is ``in_markdown`` here, in ``place_sections`` and in ``failed_cells``.
    """
    run = frame.iloc[0]
    started = frame["started"].max()
    facts = {
        "machine": run["machine"],
        "processor": run["cpu"],
        "TensorFlow": run["tensorflow"],
        "Python": run["python"],
        "environment": run["environment"],
        "commit": code(run["commit"]),
        "commit's date": f"{run['date']:%Y-%m-%d %H:%M} UTC" if pd.notna(run["date"]) else None,
        "measured": f"{started:%Y-%m-%d %H:%M} UTC" if pd.notna(started) else None,
    }
    rows = [(name, value if pd.notna(value) else "not recorded") for name, value in facts.items()]
    return markdown_table(rows, ["", ""])


def place_sections(
    frame: pd.DataFrame,
    cells: pd.DataFrame,
    workload: str,
    device: str,
    pictures: Sequence[tuple[str, str]],
) -> list[str]:
    """Return the Markdown of one workload on one device: its heading, then its tables."""
    here = select(frame, workload, device)
    fast = select(cells, workload, device)
    parts = [f"## {workload} on {device}"]
    described = describe_workload(workload)
    parts += [as_markdown(described)] if described else []
    parts += [f"![{description}]({path})" for description, path in pictures]
    for mode in distinct(here.loc[here["status"] != SKIPPED, "mode"], MODES):
        ratios = fast[fast["mode"] == mode]
        parts += _section(f"{mode}: speedup over the tape", ratios, ["gradient"], speedup_words)
        parts += _section(f"{mode}: time per step", _times(here, mode), ["gradient"], _time)
    for title, quantity, text in (
        ("Step over the tape's, both in one thread", "ratio_to_tape_one_thread", _ratio),
        ("Forward pass alone", "steady_forward", _time),
        ("Backward pass alone", "steady_backward", _time),
        ("SGD, time per step", "steady_sgd", _time),
        ("First call", "first_call", _time),
        ("First call: tracing", "first_trace", _time),
        ("First call: execution", "first_execution", _time),
        ("Error against the reference (ulp)", "track_error_ulp", _ulp),
        ("Peak memory", "track_peak_memory", _memory),
        ("Eager operations", "track_eager_operations", _whole),
        ("Graph nodes after grappler", "track_graph_nodes", _whole),
        ("XLA instructions", "track_xla_instructions", _whole),
        ("XLA fusions", "track_xla_fusions", _whole),
        ("XLA kernels", "track_xla_kernels", _whole),
        ("XLA FLOPs", "track_xla_flops", _whole),
        ("Bytes accessed by XLA's kernels", "track_xla_bytes", _whole),
        ("XLA's temporary buffers (bytes)", "track_xla_temporary_bytes", _whole),
        ("Traces for a sequence of batches", "track_traces", _whole),
        ("XLA compilations for a sequence of batches", "track_compilations", _whole),
    ):
        mine = here[here["quantity"] == quantity]
        # By mode, as everywhere; the sort is stable and leaves the gradients in their order.
        mine = mine.sort_values("mode", key=order_of_modes, kind="stable")
        labels = ("mode", "gradient", "steps_per_call")
        known = [label for label in labels if mine[label].notna().any()]
        parts += _section(title, mine, known, text)
    for table in beside.tables(here):
        title = f"{table.title}, beside other libraries"
        parts += _section(title, table.rows, ["step"], _ratio)
    return parts


def order_of_modes(modes: "pd.Series[str]") -> "pd.Series[int]":
    """Return a key that sorts by mode as everywhere, unknown ones as they appear."""
    order = distinct(modes, MODES)
    return modes.map(lambda mode: order.index(mode) if mode in order else len(order))


def _times(here: pd.DataFrame, mode: str) -> pd.DataFrame:
    """Return the rows of a mode's table of times, the yardsticks named in the gradient's column."""
    of_mode = here["mode"] == mode
    steps = here[of_mode & (here["quantity"] == "steady_step")]
    if (steps["status"] == SKIPPED).all():  # or there are none: yardsticks measure nothing then
        return steps
    return pd.concat(
        [
            steps,
            here[here["quantity"] == "steady_numpy"].assign(gradient="NumPy (control)"),
            here[of_mode & (here["quantity"] == "steady_empty")].assign(gradient="harness alone"),
        ]
    )


def _section(
    title: str, cells: pd.DataFrame, labels: Sequence[str], text: Callable[[Cell], str]
) -> list[str]:
    """Return a heading and its table, or nothing where every cell was skipped."""
    if not (cells["status"] != SKIPPED).any():
        return []
    return [f"### {title}", grid(cells, labels, text)]


def grid(cells: pd.DataFrame, labels: Sequence[str], text: Callable[[Cell], str]) -> str:
    """Return a Markdown table: a row for each combination of ``labels``, a column for each batch.

    ``text`` puts a measured cell into words; others are called what they are.
    """
    batches = sorted(distinct(cells["batch"]))
    grid: dict[tuple[Any, ...], dict[Any, str]] = {}
    for cell in records(cells):
        words = text(cell) if cell["status"] == OK else str(cell["status"])
        batch = None if pd.isna(cell["batch"]) else cell["batch"]
        grid.setdefault(tuple(cell[label] for label in labels), {})[batch] = words
    # A benchmark without batches has a single column.
    columns = batches or [None]
    rows = [
        (*label, *(words.get(batch, _DASH) for batch in columns))
        for label, words in grid.items()
        if set(words.values()) != {SKIPPED}  # such rows stand in the count of skipped cells
    ]
    heads = [f"batch {batch}" for batch in batches] or ["value"]
    return markdown_table(rows, [*(label.replace("_", " ") for label in labels), *heads])


def listed_cells(frame: pd.DataFrame, status: str) -> str:
    """Return the cells of a status as a Markdown list, with reasons, or that there are none."""
    found = records(frame[frame["status"] == status])
    if not found:
        return "None."
    names = ("workload", "peer", "gradient", "mode", "device", "batch", "steps_per_call")
    lines: dict[str, int] = {}
    for cell in found:
        case = ", ".join(f"{name} {cell[name]}" for name in names if not pd.isna(cell[name]))
        line = f"- {code(cell['benchmark'])}" + (f": {case.replace('_', ' ')}" if case else "")
        reason = gaps.reason_of(cell)
        line += f": {code(reason)}" if reason else ""
        lines[line] = lines.get(line, 0) + 1  # a foreign benchmark's parameters have no column
    return "\n".join(
        line if count == 1 else f"{line} ({count} cells)" for line, count in lines.items()
    )


def _skipped(frame: pd.DataFrame) -> str:
    return f"{_by_device(frame)}." if (frame["status"] == SKIPPED).any() else "None."


# ---------------------------------------------------------------- one cell's words


def speedup_words(cell: Cell) -> str:
    """Return a speedup with its interval, in bold where that leaves out 1."""
    value, low, high = cell["speedup"], cell["low"], cell["high"]
    number = f"{value:.2f}" + (" †" if cell["source"] == SEPARATE else "")
    if math.isnan(low):
        return f"{number} (no interval)"
    if low > 1 or high < 1:
        number = f"**{number}**"
    return f"{number} ({low:.2f}{_DASH}{high:.2f})"


def _time(cell: Cell) -> str:
    for scale, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if cell["value"] * scale < 999.5:
            return f"{_three_digits(cell['value'] * scale)} {unit}"
    return f"{_three_digits(cell['value'])} s"


def _three_digits(value: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(value))) if 0 < value < 1e3 else 0
    return f"{value:.{digits}f}"


def _ratio(cell: Cell) -> str:
    """Return a ratio with its interval; it may be far from 1 on either side."""
    number, low, high = (_three_digits(cell[name]) for name in ("value", "low", "high"))
    interval = "no interval" if math.isnan(cell["low"]) else f"{low}{_DASH}{high}"
    return f"{number} ({interval})"


def _ulp(cell: Cell) -> str:
    return f"{cell['value']:.3g}"


def _whole(cell: Cell) -> str:
    return f"{cell['value']:,.0f}"


def _memory(cell: Cell) -> str:
    return _mebibytes(cell["value"])


def _mebibytes(value: float) -> str:
    return f"{value / 2**20:,.0f} MiB"
