"""The journal beside a result file: what each process made of a cell, and what disturbed it.

``manualbp run`` appends a JSON object a line to ``STEM.processes.jsonl`` beside ``STEM.json``.  A
value taken on a busy machine stands in the journal alone, with its reason: asv's file has the
accepted values only.  The file may be absent, torn, or not ours at all.  What is no line of the
format is skipped, and no file is read beyond a bound.
"""

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

ENDING = ".processes.jsonl"
"""The journal's name is that of the result file with this in place of ``.json``."""

STATUSES = ("ok", "disturbed", "failed", "skipped")
"""What a process can make of a cell; a line with any other word is skipped."""

DISTURBANCES = ("switched", "others", "stalled", "stolen")
"""What disturbed a process, as shares from 0 to 1: blocks during which it was switched out, cores'
time that other programs took, time stalled for want of a core, time stolen by other guests."""

FILE_LIMIT = 64 * 2**20
"""Bytes read of one journal, its newest: 3,000 lines, a run of the whole suite, are 1 MiB."""

LINE_LIMIT = 64 * 2**10
"""Bytes of a line; a longer one is skipped."""

REASON_LIMIT = 300
"""Characters kept of a reason, and of a fact's text."""

_SILENT = (b'"status": "ok"', b'"status":"ok"')
"""Marks of the lines of accepted values, whose samples are in asv's file."""

Key = tuple[str, str, tuple[str, ...]]
"""A cell: benchmark, version, and the reprs of its parameters."""


class Journal(NamedTuple):
    """What a journal holds.

    ``environments`` has a dict for each environment line: ``started`` (text) and ``facts``, a dict
    from name to text, number or None.  ``processes`` has a row for each process line, in time
    order: ``benchmark``, ``version``, ``status``, ``reason`` (text), ``parameters`` (tuple of
    reprs), ``value`` and ``seconds`` (float, NaN if unknown), ``started`` (UTC), ``environment``
    (place in ``environments``, -1 if none was written before), and the shares in
    :data:`DISTURBANCES` (float, NaN if unknown).
    """

    environments: tuple[dict[str, Any], ...]
    processes: pd.DataFrame


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


def load_journal(result_file: Path) -> Journal:
    """Read the whole journal of a result file; an empty one where there is none to read."""
    environments: list[dict[str, Any]] = []
    rows: list[tuple[Any, ...]] = []
    for line in _objects(_lines(journal_of(result_file))):
        if line.get("kind") == "environment":
            facts = line.get("facts")
            facts = _facts(facts) if isinstance(facts, dict) else {}
            environments.append({"started": _clean(line.get("started")), "facts": facts})
        elif (key := _key(line)) is not None:
            disturbance = line.get("disturbance")
            known = disturbance if isinstance(disturbance, dict) else {}
            rows.append(
                (
                    *(*key, line["status"], _clean(line.get("reason")), _number(line.get("value"))),
                    *(_number(line.get("seconds")), _clean(line.get("started"))),
                    *(len(environments) - 1, *(_number(known.get(name)) for name in DISTURBANCES)),
                )
            )
    names = ["benchmark", "version", "parameters", "status", "reason", "value", "seconds"]
    columns = [*names, "started", "environment", *DISTURBANCES]
    table = pd.DataFrame.from_records(rows, columns=columns)
    table["started"] = pd.to_datetime(table["started"], utc=True, errors="coerce", format="ISO8601")
    numbers = dict.fromkeys(["value", "seconds", *DISTURBANCES], "float64")
    return Journal(tuple(environments), table.astype({**numbers, "environment": "int64"}))


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
        if reason := _clean(line.get("reason")):
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
    content = _content(file)
    for line in content.split(b"\n"):
        if 2 <= len(line) <= LINE_LIMIT:
            yield line


def _content(file: Path) -> bytes:
    try:
        # Looked at first: opening a device may have effects, and a FIFO would wait for a writer.
        if not stat.S_ISREG(file.stat().st_mode):
            return b""
        # It may have become another file since.
        number = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(number, "rb") as stream:
            known = os.fstat(number)
            if not stat.S_ISREG(known.st_mode):
                return b""
            stream.seek(max(0, known.st_size - FILE_LIMIT))
            return stream.read(FILE_LIMIT)
    except (OSError, ValueError):  # the latter for a name that no file can have
        return b""


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


def _clean(value: object) -> str:
    """Return text on one line without what cannot be printed; nothing for what is no text."""
    if not isinstance(value, str):
        return ""
    cut = value[: 4 * REASON_LIMIT]
    words = "".join(letter if letter.isprintable() else " " for letter in cut).split()
    text = " ".join(words)
    return text if len(text) <= REASON_LIMIT else text[: REASON_LIMIT - 1] + "…"


def _facts(stored: Mapping[str, Any]) -> dict[str, str | float | None]:
    """Return the facts that are text, a number or null."""
    facts: dict[str, str | float | None] = {}
    for name, value in stored.items():
        if value is None or isinstance(value, str):
            facts[_clean(name)] = None if value is None else _clean(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = _number(value)
            whole = isinstance(value, int) and not math.isnan(number)
            facts[_clean(name)] = value if whole else None if math.isnan(number) else number
    return facts
