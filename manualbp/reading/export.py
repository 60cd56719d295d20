"""The tidy table as a file for other programs, CSV or Parquet, and what each column means."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import pandas as pd

from manualbp.reading.staging import staged
from manualbp.reading.text import in_cells

ENDINGS = (".csv", ".parquet")
"""What ``write_table`` writes, by the file's ending."""


class Column(NamedTuple):
    """What a column of the table holds: its Parquet type, the unit of its values, its meaning."""

    type: str
    unit: str
    meaning: str


_TEXT, _COUNT, _NUMBER, _TIME = "string", "int64", "double", "timestamp[us, tz=UTC]"
_VARIES = "as in `unit`"

COLUMN_NOTES = {
    "machine": Column(
        _TEXT, "", "its name; in brackets what differs where two machines were stored under one"
    ),
    "cpu": Column(_TEXT, "", "its processor"),
    "cores": Column(_COUNT, "cores", "how many it has; missing where asv stored none"),
    "memory": Column(_COUNT, "bytes", "how much it has; missing where asv stored none"),
    "system": Column(_TEXT, "", "the operating system and its release"),
    "python": Column(_TEXT, "", "version of Python"),
    "environment": Column(
        _TEXT, "", "asv's name of the environment, with the versions of its requirements"
    ),
    "tensorflow": Column(_TEXT, "", "version required of TensorFlow; missing where none was"),
    "flags": Column(
        _TEXT,
        "",
        "environment variables that asv set: `XLA_FLAGS=…`; missing where there were none",
    ),
    "commit": Column(_TEXT, "", "full hash of the commit measured"),
    "date": Column(_TIME, "UTC", "when the commit was made"),
    "started": Column(_TIME, "UTC", "when the benchmark started"),
    "benchmark": Column(_TEXT, "", "asv's full name of the benchmark"),
    "version": Column(_TEXT, "", "the benchmark's version; two are not to be compared"),
    "quantity": Column(_TEXT, "", "the name's last component: what is measured"),
    "kind": Column(_TEXT, "", "asv's type of benchmark: `time`, `ratio`, `track` and others"),
    "unit": Column(_TEXT, "", "unit of `value`, `low`, `high` and `samples`: `seconds` for times"),
    "workload": Column(_TEXT, "", "what is differentiated: `exercise`, or a name of yours"),
    "gradient": Column(_TEXT, "", "how gradients are computed: `tape`, `chain`, a name of yours"),
    "mode": Column(_TEXT, "", "how TensorFlow executes them: `eager`, `graph`, `xla`"),
    "device": Column(_TEXT, "", "logical device: `CPU:0`, `GPU:0`"),
    "batch": Column(_COUNT, "examples", "size of the batch"),
    "peer": Column(_TEXT, "", "another library's step: `jax`, `torch`, `numba` and others"),
    "steps_per_call": Column(_COUNT, "steps", "SGD steps in one call, for `steady_sgd`"),
    "parameters": Column(
        _TEXT, "", "another suite's parameters, as asv wrote them: `size=10, dtype='float'`"
    ),
    "bench": Column(
        _TEXT,
        "",
        "regular expression that selects this cell alone: `manualbp run --bench '…'` measures it "
        "again",
    ),
    "status": Column(
        _TEXT,
        "",
        "`ok`; `failed` (an error, or out of time); `skipped` (not chosen, no device or library); "
        "`disturbed` (measured, but every value discarded: the machine was busy)",
    ),
    "value": Column(
        _NUMBER,
        _VARIES,
        "this suite's times and ratios: geometric mean of `samples`; others: the number asv "
        "stored; a ratio is a step's time over the tape's, or over what the quantity names, below "
        "1 is faster; missing unless `ok`",
    ),
    "low": Column(
        _NUMBER,
        _VARIES,
        "lower end of the value's 95 % interval; missing with fewer than two samples, for tracked "
        "numbers and for other suites",
    ),
    "high": Column(_NUMBER, _VARIES, "upper end of it"),
    "processes": Column(
        _COUNT, "processes", "number of samples: this suite stores one for each process"
    ),
    "samples": Column(
        "list<double>", _VARIES, "the stored values; in CSV separated by spaces, in full precision"
    ),
    "discarded": Column(
        _COUNT,
        "processes",
        "further values, discarded because the machine was busy; 0 where no journal was kept",
    ),
    "reason": Column(
        _TEXT, "", "why the cell failed, was skipped or is disturbed; missing where not recorded"
    ),
}
"""What each column of ``load_results`` holds, in the table's order."""


class ExportError(ValueError):
    """A table that cannot be written as asked; the message says what can."""


def describe_columns() -> str:
    """Return what each column holds as a Markdown table: name, type, unit, meaning."""
    notes = COLUMN_NOTES.items()
    rows = [(f"`{name}`", note.type, note.unit, note.meaning) for name, note in notes]
    table = pd.DataFrame(rows, columns=["column", "type", "unit", "meaning"])
    return str(table.to_markdown(index=False, disable_numparse=True)) + "\n"


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write ``load_results``'s table, or some of its rows, as the ending of ``path`` says.

    A ``.csv`` has a header, missing values as nothing, times in ISO 8601 and samples separated by
    spaces (see ``write_csv``).  A ``.parquet`` has the types of ``COLUMN_NOTES``, missing values as
    null, and each column's unit and meaning in its metadata.  The folder is made where it is
    missing, and a file that is there is replaced when the new one is whole.  ``ExportError`` is
    raised for another ending, before anything is written.
    """
    check_ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write = write_csv if path.suffix == ".csv" else _write_parquet
    with staged(path.parent, path.name) as new:
        write(frame, new / path.name)


def check_ending(path: Path) -> None:
    """Raise ``ExportError`` unless the ending of ``path`` is one that ``write_table`` knows."""
    if path.suffix not in ENDINGS:
        raise ExportError(f"{path}: expected a name ending in {' or '.join(ENDINGS)}")


def write_csv(frame: pd.DataFrame, target: Path | IO[str]) -> None:
    """Write the table as CSV to a file or a text stream.

    Numbers read back as they were.  Text that a spreadsheet would run as a formula has an
    apostrophe before it, and control characters are written as escapes.
    """
    joined = frame["samples"].map(_join)
    in_cells(frame).assign(samples=joined).to_csv(target, index=False, lineterminator="\n")


def _join(samples: Sequence[float]) -> str:
    return " ".join(map(repr, samples))


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa  # 0.2 s, for those alone who want this format
    import pyarrow.parquet as pq

    types = {
        _TEXT: pa.string(),
        _COUNT: pa.int64(),
        _NUMBER: pa.float64(),
        _TIME: pa.timestamp("us", tz="UTC"),
        "list<double>": pa.list_(pa.float64()),
    }
    schema = pa.schema(
        [
            pa.field(name, types[note.type], metadata={"unit": note.unit, "meaning": note.meaning})
            for name, note in COLUMN_NOTES.items()
        ]
    )
    pq.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), path)
