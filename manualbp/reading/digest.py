"""The run as Markdown for a job summary or a pull request: never too long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from manualbp.reading import summary
from manualbp.reading.frame import check_one_run, only, places
from manualbp.reading.schema import DISTURBED, FAILED, OK, SKIPPED
from manualbp.reading.speedups import speedups
from manualbp.reading.text import in_markdown, markdown, markdown_summary

LIMIT = 60_000
"""Bytes.  A comment on GitHub holds 65,536 characters; the rest is for what stands around this."""


@dataclass(frozen=True)
class _Block:
    """Lines that stand or are cut together with what opens and closes them."""

    opening: tuple[str, ...]
    lines: tuple[str, ...]
    closing: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.opening, *self.lines, *self.closing)


def digest(
    frame: pd.DataFrame,
    workloads: Sequence[str] | None = None,
    modes: Sequence[str] | None = None,
    devices: Sequence[str] | None = None,
    *,
    limit: int = LIMIT,
) -> str:
    """Return a run in Markdown, at most ``limit`` bytes of UTF-8.

    The headline and a matrix of speedups for each workload and device stand open; the facts of the
    run, the failed and the disturbed cells and all other tables are folded.  What does not fit is
    cut at the end of a line, the least important first, and a last line says how much.  Names
    restrict it to their rows.  ``ResultsError`` is raised for a name without results.  ``frame``
    holds one run; ``ValueError`` is raised for more.
    """
    check_one_run(frame)
    for column, names in (("workload", workloads), ("mode", modes), ("device", devices)):
        frame = only(frame, column, names)
    return _fit(_blocks(frame), limit)


def _blocks(frame: pd.DataFrame) -> list[_Block]:
    """Return the parts, the most important first."""
    tried_places = places(frame[frame["status"] != SKIPPED])
    frame = in_markdown(frame)
    cells = speedups(frame)
    said = summary.headline(frame).splitlines()
    title = "### What a hand-written backward pass buys over the tape"
    blocks = [_Block((title, ""), (*(f"- {line}" for line in said), ""))]
    tried = cells[cells["status"] != SKIPPED]
    for workload, device in places(tried):
        here = tried[(tried["workload"] == workload) & (tried["device"] == device)]
        here = here.sort_values("mode", key=summary.order_of_modes, kind="stable")
        table = summary.grid(here, ["mode", "gradient"], summary.speedup_words)
        heading = f"**{workload} on {device}: speedup over the tape**"
        blocks.append(_Block((heading, ""), (*table.splitlines(), "")))
    if (cells["status"] == OK).any():
        blocks.append(_folded("How to read this", summary.HOW_TO_READ))
    blocks.append(_folded("The run", summary.facts(frame)))
    for title, status in (("Failed", FAILED), ("Disturbed", DISTURBED)):
        count = int((frame["status"] == status).sum())
        if count:
            text = summary.listed_cells(frame, status)
            blocks.append(_folded(f"{title} cells ({count})", text))
    for workload, device in tried_places:
        # The heading is said by the fold.
        _, *tables = summary.place_sections(frame, cells, markdown(workload), markdown(device), ())
        title = f"{markdown_summary(workload)} on {markdown_summary(device)}: every table"
        blocks += [_folded(title, "\n\n".join(tables))] if tables else []
    return blocks


def _folded(title: str, text: str) -> _Block:
    # Without the empty lines GitHub takes what is inside for HTML.
    opening = ("<details>", f"<summary>{title}</summary>", "")
    return _Block(opening, tuple(text.splitlines()), ("", "</details>", ""))


def _fit(blocks: Sequence[_Block], limit: int) -> str:
    """Join the blocks; cut where ``limit`` bytes would be passed, and say so."""
    total = sum(len(block.lines) for block in blocks)
    if _size(line for block in blocks for line in block.all) <= limit:
        return _joined(line for block in blocks for line in block.all)
    room = limit - _size(_notice(total, limit))
    kept: list[str] = []
    told = 0
    for block in blocks:
        room -= _size((*block.opening, *block.closing))
        lines: list[str] = []
        for line in block.lines:
            if _size([line]) > room:
                break
            room -= _size([line])
            lines.append(line)
        if lines:
            kept += [*block.opening, *lines, *block.closing]
        told += len(lines)
        if len(lines) < len(block.lines):
            break
    return _joined([*kept, *_notice(total - told, limit)])


def _notice(left_out: int, limit: int) -> tuple[str, ...]:
    return (
        "",
        f"*Cut to stay under {limit // 1000} KB: {left_out} lines are left out; "
        "`manualbp report` writes them all.*",
    )


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _size(lines: Iterable[str]) -> int:
    return len(_joined(lines).encode("utf-8"))
