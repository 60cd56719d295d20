import csv
import errno
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from asvfiles import DATE, write_machine, write_results

from manualbp.cli import main
from manualbp.reading import export
from manualbp.reading.frame import load_results
from manualbp.reading.schema import COLUMNS

DOCS = Path(__file__).parents[2] / "docs" / "columns.md"


# ---------------------------------------------------------------- the columns' notes


def test_the_notes_the_table_and_the_docs_name_the_same_columns(complete):
    assert list(export.COLUMN_NOTES) == COLUMNS == list(load_results(complete).columns)
    assert export.describe_columns() in DOCS.read_text(encoding="utf-8")
    for column in COLUMNS:
        assert f"``{column}``" in load_results.__doc__


def test_the_notes_say_the_tables_types(complete):
    frame = load_results(complete)
    checks = {
        "string": pd.api.types.is_string_dtype,
        "int64": pd.api.types.is_integer_dtype,
        "double": pd.api.types.is_float_dtype,
        "timestamp[us, tz=UTC]": lambda dtype: str(dtype) == "datetime64[us, UTC]",
        "list<double>": pd.api.types.is_object_dtype,
    }
    for name, note in export.COLUMN_NOTES.items():
        # Columns without any entry may be of any type.
        assert frame[name].isna().all() or checks[note.type](frame[name].dtype), name


def test_the_columns_are_printed(capsys):
    assert main(["export", "--columns", "no-such-folder"]) == 0
    assert capsys.readouterr().out == export.describe_columns()


# ---------------------------------------------------------------- files


@pytest.fixture
def frame(tmp_path):
    """A table with failed cells, infinity, and another suite's parameters."""
    extra = {
        "other.track_size": [[math.inf, None, 3], [["'a, b'", "1", "2"]]],
        "b.track_peak_memory_import": [[0.1 + 0.2]],
    }
    write_results(tmp_path / "results", extra=extra)
    with pytest.warns(UserWarning, match="param1"):
        return load_results(tmp_path / "results")


def test_csv_reads_back_as_it_was(frame, tmp_path):
    path = tmp_path / "new" / "folder" / "table.csv"
    export.write_table(frame, path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    assert len(rows) == len(frame)
    for row, known in zip(rows, frame.to_dict("records"), strict=True):
        for column in ("machine", "benchmark", "workload", "parameters", "status"):
            assert row[column] == ("" if pd.isna(known[column]) else known[column])
        for column in ("value", "low", "high", "batch"):
            assert row[column] == "" or float(row[column]) == known[column]
            assert (row[column] == "") == bool(pd.isna(known[column]))
        assert tuple(map(float, row["samples"].split())) == known["samples"]
        assert pd.isna(known["started"]) or pd.Timestamp(row["started"]) == known["started"]


def test_parquet_reads_back_as_it_was(frame, tmp_path):
    path = tmp_path / "table.parquet"
    export.write_table(frame, path)
    schema = pq.read_schema(path)
    assert {field.name: str(field.type) for field in schema} == {
        name: note.type.replace("list<double>", "list<element: double>")
        for name, note in export.COLUMN_NOTES.items()
    }
    assert schema.field("batch").metadata[b"unit"] == b"examples"
    back = pd.read_parquet(path)
    assert [tuple(samples) for samples in back["samples"]] == list(frame["samples"])
    for column in ("value", "low", "high"):
        np.testing.assert_array_equal(back[column], frame[column])
    assert list(back["batch"].fillna(-1)) == list(frame["batch"].fillna(-1))
    for column in ("machine", "workload", "parameters", "date", "status"):
        assert list(back[column].isna()) == list(frame[column].isna())
        assert list(back[column].dropna()) == list(frame[column].dropna())


def test_another_ending_is_refused_before_anything_is_read_or_written(tmp_path, capsys):
    for name in ("table.xlsx", "table", "table.CSVX"):
        assert main(["export", "no-such-folder", "-o", str(tmp_path / "a" / name)]) == 1
        assert "expected a name ending in .csv or .parquet" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_a_table_that_cannot_be_written_leaves_the_old_one(complete, tmp_path, monkeypatch):
    def half_written(frame, path):
        path.write_text("half a li")
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "a.csv"
    file.write_text("the old one")
    monkeypatch.setattr(export, "write_csv", half_written)
    with pytest.raises(OSError, match="No space left"):
        export.write_table(load_results(complete), file)
    assert file.read_text() == "the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


# ---------------------------------------------------------------- the command


def test_every_run_is_exported_unless_one_is_named(tmp_path, capsys):
    results = tmp_path / "results"
    write_results(results)
    write_machine(results, machine="server")
    write_machine(results, commit="feed" * 10, started=DATE + 1)

    def exported(*arguments):
        assert main(["export", str(results), "-o", str(tmp_path / "a.csv"), *arguments]) == 0
        table = pd.read_csv(tmp_path / "a.csv")
        assert f"a.csv: {len(table)} rows, {len(COLUMNS)} columns" in capsys.readouterr().out
        return {(m, c[:4]) for m, c in zip(table["machine"], table["commit"], strict=True)}

    assert exported() == {("laptop", "0123"), ("server", "0123"), ("laptop", "feed")}
    assert exported("--machine", "laptop") == {("laptop", "0123"), ("laptop", "feed")}
    assert exported("--commit", "feed") == {("laptop", "feed")}


def test_without_a_file_it_is_csv_on_the_standard_output(complete, tmp_path, capsys):
    assert main(["export", str(complete), "-o", str(tmp_path / "a.csv")]) == 0
    capsys.readouterr()
    assert main(["export", str(complete)]) == 0
    assert capsys.readouterr().out == (tmp_path / "a.csv").read_text()
