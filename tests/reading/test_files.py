"""Files that are none of asv's, or no files at all: one precise error, soon, whatever they hold."""

import json
import os
import threading

import pytest
from asvfiles import DATE, SUITE, result_file_of, write_machine, write_results

from manualbp.cli import main
from manualbp.reading import files
from manualbp.reading.frame import load_results
from manualbp.reading.schema import ResultsError

RATIOS = {"ratio_to_tape": SUITE["ratio_to_tape"]}
NAME = "bench_ratio.ratio_to_tape"


@pytest.fixture
def file(tmp_path):
    return result_file_of(write_results(tmp_path / "results", suite=RATIOS))


def soon(function, *arguments):
    """Call in a thread and give up after a while; returns what it returned or raised."""
    found = []

    def call():
        try:
            found.append(function(*arguments))
        except ResultsError as error:
            found.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(60)
    assert found, "reading hung"
    return found[0]


def refused(path):
    error = soon(load_results, path)
    assert isinstance(error, ResultsError), "it was read"
    assert "\n" not in str(error)
    return str(error)


# ---------------------------------------------------------------- no regular files


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO on this system")
def test_a_fifo_among_the_results_is_refused(file):
    os.mkfifo(file.with_name("fifo.json"))
    assert "fifo.json: cannot be read (no regular file)" in refused(file.parent.parent)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device on this system")
def test_a_link_to_a_device_is_refused(file):
    file.with_name("endless.json").symlink_to("/dev/zero")
    assert "endless.json: cannot be read (no regular file)" in refused(file.parent.parent)


def test_what_a_run_is_just_saving_is_not_read(file):
    """It is there for a moment, and may be gone, or half written, at the next."""
    folder = file.parent.parent / ".saving-half"
    folder.mkdir()
    (folder / file.name).write_text("{")
    assert soon(load_results, file.parent.parent)["status"].notna().all()


@pytest.mark.parametrize("name", ["folder.json", "benchmarks.json"])
def test_a_folder_in_a_files_place_is_refused(name, file):
    folder = file.parent.parent
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    assert f"{name}: cannot be read" in refused(folder)


def test_a_link_to_nowhere_is_refused(file):
    file.with_name("nowhere.json").symlink_to("nowhere")
    assert "nowhere.json: cannot be read (No such file or directory)" in refused(file.parent)


def test_a_file_beyond_the_limit_is_refused(file, monkeypatch):
    monkeypatch.setattr(files, "FILE_LIMIT", file.stat().st_size - 1)
    assert "expected at most" in refused(file)


def test_two_files_of_one_run_are_refused(file):
    """A stale copy of a good run beside a slow one: which of them counts would be chance."""
    copied = file.with_name(f"copy-of-{file.name}")
    copied.write_bytes(file.read_bytes())
    error = refused(file.parent.parent)
    assert file.name in error
    assert copied.name in error
    assert "remove the one that is a copy" in error
    copied.unlink()
    write_machine(file.parent.parent, suite=RATIOS, machine="server", started=DATE)
    assert set(load_results(file.parent.parent)["machine"]) == {"laptop", "server"}


# ---------------------------------------------------------------- JSON of other shapes


def spoil(file, change):
    content = json.loads(file.read_text())
    columns = content["result_columns"]
    row = dict(zip(columns, content["results"][NAME], strict=False))
    change(content, row)
    if isinstance(content.get("results"), dict) and NAME in content["results"]:
        content["results"][NAME] = [row.get(str(column)) for column in columns]
    file.write_text(json.dumps(content))


def put(where, key, value):
    return lambda content, row: {"content": content, "row": row}[where].update({key: value})


@pytest.mark.parametrize(
    "change",
    [
        put("content", "commit_hash", None),
        put("content", "params", []),
        put("content", "params", {"machine": ["a"], "num_cpu": "9" * 5000, "ram": {}, "cpu": 7}),
        put("content", "requirements", 3),
        put("content", "env_vars", [1]),
        put("content", "env_name", {"a": 1}),
        put("content", "date", [1]),
        put("content", "date", 10**30),
        put("content", "version", {"two": 2}),
        put("content", "results", []),
        put("content", "results", {}),
        put("content", "results", {NAME: None}),
        put("content", "results", {NAME: []}),
        put("content", "results", {"": [1.0]}),
        put("content", "result_columns", [["result"], {"a": 1}, None]),
        put("content", "result_columns", ["params", "result"]),
        put("content", "result_columns", ["result"] * 13),
        put("row", "params", "abc"),
        put("row", "params", [["1"], "abc"]),
        put("row", "params", [[["nested"]]]),
        put("row", "params", [[{"a": 1}]]),
        put("row", "params", {}),
        put("row", "params", [[], []]),
        put("row", "result", 3),
        put("row", "result", "abc"),
        put("row", "result", {"a": 1}),
        put("row", "result", [[1.0]]),
        put("row", "samples", 3),
        put("row", "samples", {"a": [1.0]}),
        put("row", "samples", [5]),
        put("row", "samples", ["abc"]),
        put("row", "started_at", "yesterday"),
        put("row", "started_at", 10**20),
        put("row", "version", ["a"]),
    ],
)
def test_what_has_another_shape_is_refused_or_missing(change, file):
    """It has one error, or what can be read is there; no other exception, and no number of it."""
    spoil(file, change)
    found = soon(load_results, file)
    if not isinstance(found, ResultsError):
        assert (found["status"] == "ok").tolist() == found["value"].notna().tolist()


@pytest.mark.parametrize("bad", ["x", ["1e-3"], [None], [True, "a"], [[1.0]]])
def test_samples_that_are_no_numbers_are_refused(bad, file):
    def change(content, row):
        row["samples"] = [bad if values else values for values in row["samples"]]

    spoil(file, change)
    refused(file)


@pytest.mark.parametrize("bad", [0.0, -0.5, float("inf"), 10**400])
def test_a_result_that_cannot_be_is_refused_beside_good_samples(bad, file):
    def change(content, row):
        place = next(place for place, values in enumerate(row["samples"]) if values)
        row["result"][place] = bad

    spoil(file, change)
    assert "expected positive finite values" in refused(file)


def test_more_cells_than_any_suite_has_are_not_built(file):
    """Three kilobytes that declare 10^15 cells."""

    def change(content, row):
        row["params"] = [[str(value) for value in range(1000)] for _ in range(5)]
        row["result"] = row["samples"] = None

    spoil(file, change)
    assert "expected at most 200000 cells in a file" in refused(file)


@pytest.mark.parametrize("batch", ["0", "-1", "1.5", str(10**30), "'many'", "True", "None"])
def test_a_batch_that_is_none_is_in_no_column(batch, file):
    def change(content, row):
        row["params"][4] = [batch, *row["params"][4][1:]]

    spoil(file, change)
    frame = load_results(file)
    assert (frame["batch"].dropna() > 0).all()
    assert f"batch={batch}" in set(frame["parameters"].dropna())


@pytest.mark.parametrize(
    "described",
    [
        {"type": 3, "unit": ["s"], "param_names": "abc"},
        {"type": None, "unit": None, "param_names": [1, 2, 3, 4, 5]},
        {"param_names": ["a"] * 5},
        {"param_names": ["batch", "batch", "batch", "batch", "batch"]},
        {},
    ],
)
def test_a_description_of_another_shape_says_nothing(described, file):
    path = file.parent.parent / "benchmarks.json"
    content = json.loads(path.read_text())
    content[NAME] = described
    path.write_text(json.dumps(content))
    assert len(load_results(file))


@pytest.mark.parametrize("command", ["report", "show", "export", "compare", "publish"])
def test_every_command_says_it_in_one_line(command, file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil(file, put("row", "params", [[{"a": 1}]]))
    arguments = [str(file)] * (2 if command == "compare" else command != "publish")
    if command == "publish":
        (tmp_path / "asv.conf.json").write_text("{}")
    assert main([command, *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("manualbp: ")


def test_extreme_samples_have_an_interval_all_the_same(file):
    def change(content, row):
        row["samples"] = [[1e-300, 1e300] if values else values for values in row["samples"]]

    spoil(file, change)
    frame = load_results(file)
    measured = frame[frame["status"] == "ok"]
    assert (measured["low"] == 0).all()
    assert (measured["high"] == float("inf")).all()
