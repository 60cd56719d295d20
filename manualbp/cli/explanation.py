"""An explanation of one case as text for a terminal, as Markdown or as JSON."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from manualbp.cli import terminal
from manualbp.measuring.explain import Arm, Explanation
from manualbp.measuring.profile import Kernel
from manualbp.measuring.reasons import EXECUTOR, percent, us, verdict
from manualbp.measuring.roofline import Bound

TOP = 12
"""Kernels that are named; the others, if they are more than one, are summed up."""


@dataclass(frozen=True)
class Section:
    """A table with its title and a note about it: what both kinds of text are made of."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def print_as(form: str, found: Explanation) -> None:
    """Print an explanation in a form: ``terminal``, ``markdown`` or ``json``."""
    if form == "json":
        print(json.dumps({"verdict": verdict(found), **asdict(found)}, indent=2))
    elif form == "markdown":
        print(markdown(found), end="")
    else:
        print_text(terminal.console(), found)


def markdown(found: Explanation) -> str:
    """Return an explanation as Markdown, the verdict first."""
    blocks = [f"### {title(found)}", f"**{verdict(found)}**"]
    for section in sections(found):
        ruler = ("---", *("---:" for _ in section.heads[1:]))
        table = "\n".join(map(line, (section.heads, ruler, *section.rows)))
        blocks += [f"#### {section.title}", table]
        if section.note:
            blocks.append(section.note)
    return "\n\n".join(blocks) + "\n"


def line(cells: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def print_text(console: Console, found: Explanation) -> None:
    """Print an explanation for a person, the verdict first; no number is cut or folded."""
    wide = console.options.update(max_width=10_000)
    console.print(Text(verdict(found), "bold"), soft_wrap=True)
    console.print(title(found), soft_wrap=True)
    for section in sections(found):
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        for number, head in enumerate(section.heads):
            table.add_column(head, justify="right" if number else "left", no_wrap=True)
        for row in section.rows:
            table.add_row(*row)
        console.width = max(console.width, Measurement.get(console, wide, table).maximum)
        console.print()
        console.print(Text(section.title, "bold"), soft_wrap=True)
        console.print(table)
        if section.note:
            console.print(Text(section.note, "dim"), soft_wrap=True)


def title(found: Explanation) -> str:
    """Say what was measured beside what."""
    beside = f" beside {found.baseline.case.gradient}" if len(arms_of(found)) == 2 else ""
    return f"{found.arm.case}{beside}, TensorFlow {found.tensorflow}"


def arms_of(found: Explanation) -> tuple[Arm, ...]:
    """Return the case and its baseline, or the one arm that is both."""
    return (found.arm,) if found.arm.case == found.baseline.case else (found.arm, found.baseline)


def sections(found: Explanation) -> tuple[Section, ...]:
    """Return the tables of an explanation."""
    arms = arms_of(found)
    return (
        times(found, arms),
        parts(found, arms),
        profiles(arms),
        *(kernels(arm) for arm in arms),
        structure(arms),
        roofline(found, arms),
    )


def heads(arms: tuple[Arm, ...]) -> tuple[str, ...]:
    """Return the heads of a table with a column for each arm."""
    return ("", *(arm.case.gradient for arm in arms))


def row(name: str, arms: tuple[Arm, ...], cell: Callable[[Arm], str]) -> tuple[str, ...]:
    """Return a line of such a table."""
    return (name, *map(cell, arms))


def with_share(seconds: float | None, whole: float) -> str:
    """Return microseconds, and their share of the whole."""
    if seconds is None:
        return "not apart"
    return f"{us(seconds)} ({percent(seconds / whole)})"


def times(found: Explanation, arms: tuple[Arm, ...]) -> Section:
    """Show the ratio and each step's time."""
    ratio = (f"ratio to {found.baseline.case.gradient}", f"{found.ratio:.3f}", "1")
    rows = (ratio[: len(arms) + 1], row("step (us)", arms, lambda arm: us(arm.step_s)))
    note = "The ratio is measured by turns and is the number to trust; times move with the machine."
    return Section("Time of a step", heads(arms), rows, note)


def parts(found: Explanation, arms: tuple[Arm, ...]) -> Section:
    """Show the parts that can be timed by themselves."""
    eager = found.arm.case.mode == "eager"
    backward = "backward pass alone" if eager else "backward pass: the step less the forward pass"
    rows = (
        row("forward pass alone", arms, lambda arm: with_share(arm.forward_s, arm.step_s)),
        row(backward, arms, lambda arm: with_share(arm.backward_s, arm.step_s)),
        row("call: an empty step", arms, lambda arm: with_share(arm.empty_s, arm.step_s)),
        row("waiting: a scalar read", arms, lambda arm: with_share(found.reading_s, arm.step_s)),
    )
    note = (
        "Each is timed by itself and pays for a call of its own. An empty step has a step's "
        "arguments, variables and outputs, and computes nothing."
    )
    return Section("Parts of a step (us, share)", heads(arms), rows, note)


def profiles(arms: tuple[Arm, ...]) -> Section:
    """Show what passes meanwhile, by the profiler's shares."""
    mode = arms[0].case.mode

    def part(name: str, seconds: Callable[[Arm], float]) -> tuple[str, ...]:
        def cell(arm: Arm) -> str:
            scale = arm.step_s / arm.profile.step_s
            return with_share(scale * seconds(arm), arm.step_s)

        return row(name, arms, cell)

    waiting = part("waiting for XLA's threads, no kernel running", lambda a: a.profile.waiting_s)
    rows = (
        part("Python", lambda arm: arm.profile.python_s),
        part("TensorFlow's runtime", lambda arm: arm.profile.runtime_s),
        part(f"{EXECUTOR[mode]}, no kernel running", lambda arm: arm.profile.executor_s),
        *((waiting,) if mode == "xla" else ()),
        part("kernels running, in any thread", lambda arm: arm.profile.kernels_s),
    )
    longer = " and ".join(
        f"{arm.profile.step_s / arm.step_s:.2f} ({arm.case.gradient})" for arm in arms
    )
    note = (
        "The profiler's shares of the step's time without it. Under it a step takes longer by a "
        f"factor of {longer}, of which the parts with the most events bear the most."
    )
    return Section("What passes in a step (us, share)", heads(arms), rows, note)


def kernels(arm: Arm) -> Section:
    """Show the slowest kernels of an arm, and the sum of the others."""
    top = TOP + 1 if len(arm.profile.kernels) == TOP + 1 else TOP
    named, others = arm.profile.kernels[:top], arm.profile.kernels[top:]
    groups: list[tuple[str, tuple[Kernel, ...]]] = [(each.name, (each,)) for each in named]
    if others:
        groups.append((f"{len(others)} others", others))
    groups.append(("all", arm.profile.kernels))
    rows = tuple(
        (
            name,
            f"{sum(each.calls for each in group):.3g}",
            us(sum(each.seconds for each in group)),
        )
        for name, group in groups
    )
    note = (
        f"{arm.profile.pool_calls:.3g} of the calls are in threads of a pool. Times are from a "
        "kernel's start to its end; two that run at the same time count in full."
    )
    if arm.case.mode == "graph":
        note += " The profiler leaves out nodes that TensorFlow takes for cheap."
    columns = ("kernel", "calls per step", "us per step")
    return Section(f"Kernels of {arm.case.gradient}, under the profiler", columns, rows, note)


def structure(arms: tuple[Arm, ...]) -> Section:
    """Show the counts of the mode."""
    names = dict.fromkeys(name for arm in arms for name in arm.counts)
    rows = tuple(
        (name, *(f"{arm.counts[name]:,}" if name in arm.counts else "uncounted" for arm in arms))
        for name in names
    )
    return Section("Structure", heads(arms), rows)


def roofline(found: Explanation, arms: tuple[Arm, ...]) -> Section:
    """Show the least time that the machine allows, and how near to it the steps come."""

    def of_bound(name: str, said: Callable[[Bound, float], str]) -> tuple[str, ...]:
        def cell(arm: Arm) -> str:
            return "uncounted" if arm.bound is None else said(arm.bound, arm.step_s)

        return row(name, arms, cell)

    rows = (
        of_bound("FLOPs", lambda bound, _: f"{bound.flops:,}"),
        of_bound("bytes accessed", lambda bound, _: f"{bound.bytes:,}"),
        of_bound("bytes of all buffers", lambda bound, _: f"{bound.buffers:,}"),
        of_bound("least time (us)", lambda bound, _: us(bound.seconds)),
        of_bound("limit that binds", lambda bound, _: bound.limit),
        of_bound("least time / step", lambda bound, step_s: percent(bound.seconds / step_s)),
        of_bound("buffers fit the last cache", lambda bound, _: "yes" if bound.in_cache else "no"),
    )
    machine = found.machine
    note = (
        "All counts are of XLA's program of the gradient, whatever the mode. This "
        f"machine: {machine.flops_per_s / 1e9:.0f} GFLOP/s (a large float32 product on all cores), "
        f"{machine.bytes_per_s / 1e9:.1f} GB/s (a copy of arrays far beyond the last cache of "
        f"{machine.cache_bytes / 2**20:.0f} MiB). Buffers that fit this cache need not come from "
        "memory: then a step can be faster than the limit by memory. (Williams, Waterman and "
        "Patterson 2009.)"
    )
    return Section("Roofline", heads(arms), rows, note)
