"""The journal beside a result file: what each process made of a cell, and what disturbed it.

``manualbp run`` appends a JSON object a line to ``STEM.processes.jsonl`` beside ``STEM.json``.  A
value taken on a busy machine stands in the journal alone, with its reason: asv's file has the
accepted values only.  The file may be absent, torn, or not ours at all.  What is no line of the
format is skipped, and no file is read beyond a bound.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manualbp.reading.files import content_of

ENDING = ".processes.jsonl"
"""The journal's name is that of the result file with this in place of ``.json``."""

STATUSES = ("ok", "disturbed", "failed", "skipped")
"""What a process can make of a cell; a line with any other word is skipped."""

FILE_LIMIT = 64 * 2**20
"""Bytes read of one journal, its newest: 3,000 lines, a run of the whole suite, are 1 MiB."""

LINE_LIMIT = 64 * 2**10
"""Bytes of a line; a longer one is skipped."""

REASON_LIMIT = 300
"""Characters kept of a reason, and of a fact's text."""

FACTS_LIMIT = 100
"""Facts kept of one line."""

Fact = str | float | None

_SILENT = (b'"status": "ok"', b'"status":"ok"')
"""Marks of the lines of accepted values, whose samples are in asv's file."""

Key = tuple[str, str, tuple[str, ...]]
"""A cell: benchmark, version, and the reprs of its parameters."""


@dataclass
class Told:
    """What a journal says of a cell beyond its samples.

    ``discarded`` counts the disturbed values; ``last`` is the status of the newest line that is
    *disturbed* or *failed*; ``reasons`` has the newest reason for each status.
    """

    discarded: int = 0
    last: str = ""
    reasons: dict[str, str] = field(default_factory=dict)


def journal_of(result_file: Path) -> Path:
    """Return where the journal of a result file lies."""
    return result_file.with_name(result_file.name.removesuffix(".json") + ENDING)


def environments(result_file: Path) -> list[dict[str, Fact]]:
    """Return the facts of each environment line of a result file's journal, the oldest first."""
    return [
        read_facts(line["facts"])
        for line in objects(result_file)
        if line.get("kind") == "environment" and isinstance(line.get("facts"), dict)
    ]


def objects(result_file: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a result file's journal; what is torn or damaged is skipped."""
    return _objects(_lines(journal_of(result_file)))


def told(result_file: Path) -> dict[Key, Told]:
    """Return what the journal of a result file says of its cells, but for accepted values.

    Lines of accepted values are not even parsed: a long history has hundreds of thousands.
    """
    found: dict[Key, Told] = {}
    lines = _lines(journal_of(result_file))
    notable = (line for line in lines if not (_SILENT[0] in line or _SILENT[1] in line))
    for line in _objects(notable):
        key = _key(line)
        if key is None or line["status"] == "ok":
            continue
        status = line["status"]
        cell = found.setdefault(key, Told())
        if status == "disturbed":
            cell.discarded += 1
        if status in ("disturbed", "failed"):
            cell.last = status
        if reason := clean(line.get("reason")):
            cell.reasons[status] = reason
    return found


def newest_of(cells: Mapping[Key, Told], benchmark: str) -> tuple[str, dict[tuple[str, ...], Told]]:
    """Return the version of a benchmark that was written last, and its cells by parameters."""
    newest = [version for name, version, _ in cells if name == benchmark][-1]
    return newest, {
        parameters: cell
        for (name, version, parameters), cell in cells.items()
        if name == benchmark and version == newest
    }


# ---------------------------------------------------------------- from bytes to objects


def _lines(file: Path) -> Iterator[bytes]:
    """Yield the newest lines of a regular file; nothing where there is none that can be read."""
    try:
        content = content_of(file, FILE_LIMIT)
    except (OSError, ValueError):  # the latter for a name that no file can have
        return
    for line in content.split(b"\n"):
        if 2 <= len(line) <= LINE_LIMIT:
            yield line


def _objects(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(parsed, dict):
            yield parsed


def _key(line: Mapping[str, Any]) -> Key | None:
    """Return the cell of a process line, or nothing where the line is not of the format."""
    benchmark, version = line.get("benchmark"), line.get("version")
    parameters = line.get("parameters")
    if line.get("kind") != "process" or line.get("status") not in STATUSES:
        return None
    if not isinstance(parameters, list):
        return None
    names = (benchmark, version, *parameters)
    if not all(isinstance(name, str) and name.isprintable() for name in names):
        return None
    return str(benchmark), str(version), tuple(parameters)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def clean(value: object) -> str:
    """Return text on one line without what cannot be printed; nothing for what is no text."""
    if not isinstance(value, str):
        return ""
    cut = value[: 4 * REASON_LIMIT]
    words = "".join(letter if letter.isprintable() else " " for letter in cut).split()
    text = " ".join(words)
    return text if len(text) <= REASON_LIMIT else text[: REASON_LIMIT - 1] + "…"


def read_facts(stored: Mapping[str, Any]) -> dict[str, Fact]:
    """Return the facts that are text, a finite number or null."""
    facts: dict[str, Fact] = {}
    for name, value in list(stored.items())[:FACTS_LIMIT]:
        if value is None or isinstance(value, str):
            facts[clean(name)] = None if value is None else clean(value)
        elif not math.isnan(number := _number(value)):
            facts[clean(name)] = value if isinstance(value, int) else number
    return facts
