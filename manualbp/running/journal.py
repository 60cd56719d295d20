"""The journal beside a result file: a line for each run's environment and each process's value.

asv's result file says what was measured; the journal says under which conditions, in which order,
and what was discarded.  Lines are only ever appended, and several runs may append at once.
"""

import datetime as dt
import errno
import json
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manualbp.reading.journal import journal_of
from manualbp.running.environment import Fact

__all__ = ["ProcessRecord", "append_environment", "append_process", "journal_of"]

LONGEST = 1000
"""Characters kept of a reason."""


@dataclass(frozen=True)
class ProcessRecord:
    """What one process made of one cell.

    ``parameters`` are the reprs that asv stores; ``status`` is ``ok``, ``disturbed``, ``failed`` or
    ``skipped``; ``seconds`` is the cell's share of the process's duration.  ``disturbance`` has
    shares by name (``switched``, ``others``, ``stalled``, ``stolen``), None where unknown.
    """

    benchmark: str
    parameters: tuple[str, ...]
    version: str
    status: str
    started: dt.datetime
    seconds: float
    value: float | None = None
    reason: str = ""
    disturbance: Mapping[str, float | None] | None = None


def append_environment(
    path: Path, facts: Mapping[str, Fact], started: dt.datetime | None = None
) -> None:
    """Append the facts of a run that begins, now if no time is given; errors as for a process."""
    moment = _moment(started or dt.datetime.now(dt.UTC))
    _append(path, {"kind": "environment", "started": moment, "facts": _plain(facts)})


def append_process(path: Path, record: ProcessRecord) -> None:
    """Append what a process made of a cell.

    The folder is made where it is missing.  ``OSError`` is raised when the line cannot be written,
    or when ``path`` is no regular file.
    """
    _append(
        path,
        {
            "kind": "process",
            "benchmark": record.benchmark,
            "parameters": list(record.parameters),
            "version": record.version,
            "status": record.status,
            "value": _number(record.value),
            "reason": _without_paths(record.reason),
            "started": _moment(record.started),
            "seconds": _number(record.seconds),
            "disturbance": None if record.disturbance is None else _plain(record.disturbance),
        },
    )


def _append(path: Path, line: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
    # Without O_NONBLOCK a FIFO in the journal's place would wait for a reader.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        known = os.fstat(descriptor)
        if not stat.S_ISREG(known.st_mode):
            raise OSError(errno.EINVAL, "expected a regular file", str(path))
        if known.st_size and os.pread(descriptor, 1, known.st_size - 1) != b"\n":
            text = "\n" + text  # a run was killed while it wrote
        data = text.encode("utf-8", "replace")
        # One write: the system puts it at the end as a whole, whoever else appends meanwhile.
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, "only a part of the line was written", str(path))
    finally:
        os.close(descriptor)


def _moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(values: Mapping[str, Fact]) -> dict[str, Fact]:
    return {name: v if isinstance(v, str) else _number(v) for name, v in values.items()}


def _number(value: float | None) -> float | None:
    """Return a number that JSON has: what is not finite is unknown."""
    return None if value is None or not math.isfinite(value) else value


def _without_paths(reason: str) -> str:
    """Return an error's text without absolute paths, which say whose machine it was.

    A case's name has slashes too, but none at its beginning.
    """
    hidden = re.sub(r"(?<![\w./\\…])(?:~|[A-Za-z]:)?[/\\][^\s'\",;:()]+", "…", reason)
    return hidden if len(hidden) <= LONGEST else hidden[: LONGEST - 1] + "…"
