"""Stored files at the door: they may be anybody's, so each is checked before it is used.

What is read is a regular file of bounded size, JSON of bounded depth, and of asv's shapes; how many
cells it declares is known before any of them is made.
"""

import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manualbp.reading.schema import ResultsError

FILE_LIMIT = 64 * 2**20
"""Bytes of a result file: one of our whole suite, with 20 values a cell, has less than 1 MiB."""

CELLS_LIMIT = 200_000
"""Cells that one file may declare; our whole suite has 3,000."""

COLUMNS = ("result", "samples")
"""Of asv's columns, those that are read with an entry for each cell."""

REMEDY = "restore or remove the file"


def content_of(file: Path, limit: int) -> bytes:
    """Return the last ``limit`` bytes of a regular file.

    ``OSError`` is raised for anything else, which might never end, and for what cannot be read.
    """
    # Looked at first: opening a device may have effects, and a FIFO would wait for a writer.
    _check_regular(os.stat(file), file)
    with open(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
        known = os.fstat(stream.fileno())
        _check_regular(known, file)  # it may have become another file since
        stream.seek(max(0, known.st_size - limit))
        return stream.read(limit)


def _check_regular(known: os.stat_result, file: Path) -> None:
    if not stat.S_ISREG(known.st_mode):
        raise OSError(0, "no regular file", str(file))


def result_files(path: Path) -> list[Path]:
    """List asv's result files: ``path`` itself, or those in a results directory or a machine's."""
    if path.is_file():
        return [path]
    # Hidden folders are those in which a run that saves just now writes, and are soon gone.
    folders = [path, *(f for f in _listed(path) if f.is_dir() and not f.name.startswith("."))]
    files = sorted(
        file
        for folder in folders
        for file in folder.glob("*.json")
        if file.name not in ("benchmarks.json", "machine.json")
    )
    if not files:
        raise ResultsError(
            f"{path}: expected asv result files (<machine>/<commit>-<environment>.json), "
            "found none; run `asv run` or give the results directory"
        )
    return files


def _listed(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:  # no folder, or one that may not be read
        return []


def load_json(file: Path) -> Any:
    """Read a JSON file; ``ResultsError`` is raised for one that cannot be read or is none."""
    try:
        content = content_of(file, FILE_LIMIT + 1)
        if len(content) > FILE_LIMIT:
            raise ResultsError(
                f"{file}: expected at most {FILE_LIMIT / 2**20:.0f} MiB, got more; {REMEDY}"
            )
        text = content.decode("utf-8")
        parsed = json.loads(text)
        if "\\ud" in text.lower():  # half of a surrogate pair is JSON, but no text
            json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except OSError as error:
        raise ResultsError(f"{file}: cannot be read ({error.strerror}); check the file") from error
    except ResultsError:
        raise
    except (ValueError, RecursionError) as error:  # broken JSON, not even text, too deep
        raise ResultsError(
            f"{file}: expected JSON, got something else ({error}); {REMEDY}"
        ) from error
    return parsed


def load_benchmarks(folder: Path) -> dict[str, dict[str, Any]]:
    """Read what asv discovered: each benchmark's ``type``, ``unit`` and ``param_names``, if known.

    ``benchmarks.json`` is looked for in the folder and in the one above.  An entry of another type
    than asv writes is left out: it says nothing of the benchmark.
    """
    for file in (folder / "benchmarks.json", folder.parent / "benchmarks.json"):
        if file.exists():
            content = load_json(file)
            if not isinstance(content, dict):
                raise ResultsError(
                    f"{file}: expected an object of benchmarks, got {_kind(content)}; "
                    "run `asv run --bench just-discover` to write it anew"
                )
            # The file's own "version" stands between the benchmarks.
            entries = {name: entry for name, entry in content.items() if isinstance(entry, dict)}
            return {name: _described(entry) for name, entry in entries.items()}
    return {}


def _described(entry: Mapping[str, Any]) -> dict[str, Any]:
    names = entry.get("param_names")
    texts = {key: entry[key] for key in ("type", "unit") if isinstance(entry.get(key), str)}
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return {**texts, "param_names": names}
    return texts


def load_result(file: Path) -> dict[str, Any]:
    """Read a result file of asv's format 2 and check its shapes.

    In ``results`` it has an object for each benchmark, by column: ``params`` is a list of lists of
    text, ``result`` and ``samples`` have an entry for each of their combinations, those of
    ``samples`` a list or none.
    """
    content = load_json(file)
    needed = {"commit_hash", "params", "result_columns", "results"}
    missing = needed - set(content) if isinstance(content, dict) else needed
    if missing:
        raise ResultsError(
            f"{file}: expected an asv result file, but it lacks {', '.join(sorted(missing))}; "
            "give asv's own results, or run `asv update` if they are old"
        )
    version = content.get("version", 2)
    if version != 2:
        raise ResultsError(
            f"{file}: expected asv's result format 2, got {version!r:.40}; run `asv update`"
        )
    shapes = {"params": dict, "result_columns": list, "results": dict}
    for key, shape in shapes.items():
        if not isinstance(content[key], shape):
            raise ResultsError(
                f"{file}: expected {key!r} to be a {shape.__name__}, "
                f"got {_kind(content[key])}; {REMEDY}"
            )
    columns = content["result_columns"]
    if not all(isinstance(column, str) for column in columns):
        raise ResultsError(f"{file}: expected the names of columns to be text; {REMEDY}")
    left = CELLS_LIMIT
    rows = {}
    for name, row in content["results"].items():
        if not isinstance(row, list):
            raise ResultsError(
                f"{file}: expected the row of {name} to be a list, got {_kind(row)}; {REMEDY}"
            )
        rows[name] = dict(zip(columns, row, strict=False))
        left -= _check_row(f"{file}: {name}", rows[name], left)
    return {**content, "results": rows}


def _check_row(origin: str, row: dict[str, Any], limit: int) -> int:
    """Check a benchmark's row and give its columns an entry for each cell; return their number."""
    params = row["params"] = row.get("params") or []
    if not (isinstance(params, list) and all(_is_list_of_scalars(values) for values in params)):
        raise ResultsError(f"{origin}: expected 'params' to be lists of text; {REMEDY}")
    count = math.prod(map(len, params))
    if count > limit:
        raise ResultsError(
            f"{origin}: expected at most {CELLS_LIMIT} cells in a file, got more; {REMEDY}"
        )
    for key in COLUMNS:
        row[key] = _column(origin, key, row.get(key), count)
    if not len(row["result"]) == len(row["samples"]) == count:
        raise ResultsError(
            f"{origin}: expected {count} results and samples, one for each combination "
            f"of parameters, got {len(row['result'])} and {len(row['samples'])}; measure again"
        )
    if not all(isinstance(values, list | None) for values in row["samples"]):
        raise ResultsError(f"{origin}: expected the samples of a cell to be a list; {REMEDY}")
    return count


def _column(origin: str, key: str, stored: object, count: int) -> list[Any]:
    """Return a stored column with one entry for each of ``count`` combinations of parameters."""
    if not stored:  # asv shortens a list of nulls to one null: every cell failed
        return [None] * count
    if not isinstance(stored, list):
        raise ResultsError(
            f"{origin}: expected {key!r} to be a list, got {_kind(stored)}; measure again"
        )
    if key == "samples" and count == 1 and not isinstance(stored[0], list | None):
        return [stored]  # `asv update` leaves samples of a benchmark without parameters so
    return stored


def _is_list_of_scalars(values: object) -> bool:
    return isinstance(values, list) and not any(isinstance(v, list | dict) for v in values)


def _kind(found: object) -> str:
    return type(found).__name__
