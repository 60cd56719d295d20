"""Every layout of result files that asv 0.6 writes, written by asv itself where it can.

asv reading its own file back is the oracle.
"""

import datetime as dt
import itertools
import json
import math
import warnings

import asv.results
import asv.runner
import pytest

from manualbp.cli import main
from manualbp.reading.frame import load_results
from manualbp.reading.schema import ResultsError

NOW = dt.datetime(2025, 10, 9, 8, 0, tzinfo=dt.UTC)
MACHINE = {"machine": "desk", "os": "Linux", "cpu": "", "ram": None, "num_cpu": "2", "python": "3"}
NAN = math.nan


def result(values, samples=None, number=None, profile=None):
    count = len(values)
    return asv.runner.BenchmarkResult(
        result=values,
        samples=samples or [None] * count,
        number=number or [None] * count,
        errcode=0,
        stderr="",
        profile=profile,
    )


# For each benchmark its parameters (as asv writes them), their names, and what was measured.
OBJECTS = ["<object at 0x7f>", "<function f>", "{[]: 1}", "10 (0)", "nan", "'a, b'", "b'x'"]
BENCHMARKS = {
    "algorithms.time_sort": ([], [], result([0.25], [[0.2, 0.25, 0.3]], [7])),
    "algorithms.time_one_sample": ([], [], result([0.25], [[0.25]], [1])),
    "algorithms.time_zero": ([], [], result([0.0], [[0.0, 0.0]], [1])),
    "algorithms.time_failed": ([], [], result([None])),
    "algorithms.time_skipped": ([], [], result([NAN])),
    "algorithms.time_profiled": ([], [], result([1.0], [[1.0, 1.0]], [1], profile=b"profile")),
    "Tracked.track_length": ([], [], result([10**400])),
    "Tracked.track_negative": ([], [], result([-3.5])),
    "Tracked.track_infinite": ([], [], result([math.inf])),
    "Tracked.track_flag": ([], [], result([True])),
    "Tracked.track_words": ([], [], result(["seven"])),
    "Tracked.peakmem_objects": ([OBJECTS], ["thing"], result([1, 2, None, NAN, 5, 6, 7])),
    "time_in_top_module": ([["1", "2"]], ["n"], result([None, None])),
    "deep.module.Class.time_grid": (
        [["1", "10"], ["'float'", "None", "<class 'int'>"]],
        ["size", "dtype"],
        result([1.0, None, NAN, 4.0, 5.0, 6.0],
               [[1.0, 1.1], None, None, [4.0], [5.0, 5.5, 6.0], [6.0]], [1, None, None, 3, 4, 5]),
    ),
    "names.time_like_ours": (
        [["'small'", str(10**30), "64"], ["True"]],
        ["batch", "mode"],
        result([1.0, 2.0, 3.0]),
    ),
    "names.time_of_nothing": ([["1"], []], ["n", "none"], result([])),
}  # fmt: skip


def write(folder, *, samples=True, described=True, names=BENCHMARKS):
    """Have asv write one result file of ``BENCHMARKS``, and benchmarks.json where described."""
    stored = asv.results.Results(
        MACHINE, {"numpy": "2.0", "six": ""}, "c0ffee" * 6, 0, "3", "virtualenv-py3-numpy2.0", {}
    )
    for name in names:
        params, param_names, measured = BENCHMARKS[name]
        benchmark = {"name": name, "version": "1", "params": params, "param_names": param_names}
        stored.add_result(benchmark, measured, NOW, 1.5, record_samples=samples)
    stored.save(str(folder))
    if described:
        entries = {
            name: {"type": "time", "unit": "seconds", "params": params, "param_names": param_names}
            for name, (params, param_names, _) in BENCHMARKS.items()
        }
        (folder / "benchmarks.json").write_text(json.dumps({**entries, "version": 2}))
    return folder / stored._filename


def status(value):
    if not isinstance(value, int | float):
        return "failed"
    return "skipped" if isinstance(value, float) and math.isnan(value) else "ok"


@pytest.mark.parametrize("samples", [True, False])
def test_what_asv_reads_is_what_the_table_holds(tmp_path, samples):
    file = write(tmp_path, samples=samples)
    frame = load_results(tmp_path)
    oracle = asv.results.Results.load(str(file))
    for name, (params, _, _) in BENCHMARKS.items():
        mine = frame[frame["benchmark"] == name]
        values = oracle.get_result_value(name, params)
        kept = oracle.get_result_samples(name, params)
        assert list(mine["status"]) == [status(value) for value in values], name
        for row, value, expected in zip(mine.itertuples(), values, kept, strict=True):
            if status(value) == "ok":
                assert row.value == (math.inf if value == 10**400 else value)
                assert row.samples == tuple(expected or ())
            else:
                assert math.isnan(row.value)
            # Another suite's samples are no processes of ours: no interval is claimed.
            assert math.isnan(row.low)
            assert math.isnan(row.high)


def test_other_parameters_stand_as_asv_wrote_them(tmp_path):
    write(tmp_path)
    frame = load_results(tmp_path)
    grid = frame[frame["quantity"] == "time_grid"]
    assert list(grid["parameters"]) == [
        f"size={size}, dtype={dtype}"
        for size, dtype in itertools.product(["1", "10"], ["'float'", "None", "<class 'int'>"])
    ]
    things = frame[frame["quantity"] == "peakmem_objects"]
    assert list(things["parameters"]) == [f"thing={text}" for text in OBJECTS]
    ours = frame[frame["quantity"] == "time_like_ours"]
    assert list(ours["parameters"].fillna("")) == ["batch='small'", f"batch={10**30}", ""]
    assert list(ours["batch"].fillna(0)) == [0, 0, 64]
    assert set(ours["mode"]) == {"True"}
    assert frame.loc[frame["quantity"] == "time_sort", "parameters"].isna().all()


def test_without_descriptions_parameters_have_numbers(tmp_path):
    write(tmp_path, described=False)
    with pytest.warns(UserWarning, match="the table calls them param1, param2"):
        frame = load_results(tmp_path)
    grid = frame[frame["quantity"] == "time_grid"]
    assert grid["parameters"].iloc[0] == "param1=1, param2='float'"


def test_nothing_that_asv_leaves_empty_is_called_something(tmp_path):
    write(tmp_path)
    frame = load_results(tmp_path)
    assert frame[["cpu", "tensorflow", "workload", "gradient"]].isna().all(axis=None)
    assert set(frame["machine"]) == {"desk"}
    assert set(frame["environment"]) == {"virtualenv-py3-numpy2.0"}


def rewrite(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_every_number_of_missing_trailing_columns_is_read(tmp_path):
    file = write(tmp_path, names=["algorithms.time_sort"])
    (name,) = json.loads(file.read_text())["results"]
    columns = len(json.loads(file.read_text())["results"][name])
    for kept in range(columns, -1, -1):
        rewrite(file, lambda content: content["results"][name].__delitem__(slice(kept, None)))  # noqa: B023
        frame = load_results(tmp_path)
        assert list(frame["status"]) == ["ok" if kept else "failed"]
        assert frame["processes"].item() == (3 if kept == columns else 0)


def test_facts_may_be_missing_or_of_another_type(tmp_path):
    file = write(tmp_path)

    def change(content):
        content["params"] = {"python": 3.11, "cpu": 7}
        content["requirements"] = []
        content["env_name"] = None
        content["date"] = 10**20  # no calendar reaches so far
        for row in content["results"].values():
            row[3:] = []

    rewrite(file, change)
    frame = load_results(tmp_path)
    assert set(frame["machine"]) == {"desk"}  # the folder's name
    assert (frame["python"].iloc[0], frame["cpu"].iloc[0]) == ("3.11", "7")
    assert set(frame["environment"]) == {"unknown"}
    assert frame[["date", "started"]].isna().all(axis=None)


def test_files_of_the_old_format_are_read_once_asv_has_updated_them(tmp_path):
    folder = tmp_path / "desk"
    folder.mkdir()
    old = {
        "commit_hash": "c0ffee", "date": 0, "params": MACHINE, "python": "3", "requirements": {},
        "results": {
            "a.time_number": 1.5,
            "a.time_null": None,
            "a.time_alone": {"result": 2.0, "samples": [1.9, 2.0], "stats": {"ci_99": [1, 3]}},
            "a.time_grid": {"result": [1.0, None], "params": [["1", "2"]],
                            "samples": [[0.9, 1.1], None], "stats": [{"ci_99": [0, 2]}, None]},
        },
        "started_at": {"a.time_number": 5}, "duration": {"<build>": 3.0}, "version": 1,
    }  # fmt: skip
    file = folder / "c0ffee-py3.json"
    file.write_text(json.dumps(old))
    with pytest.raises(ResultsError, match="run `asv update`"):
        load_results(tmp_path)
    asv.results.Results.update(str(file))
    with pytest.warns(UserWarning, match=r"a\.time_grid"):
        frame = load_results(tmp_path).set_index("quantity")
    assert frame.loc["time_number", ["status", "value"]].tolist() == ["ok", 1.5]
    assert frame.loc["time_null", "status"] == "failed"
    assert frame.loc["time_alone", "samples"] == (1.9, 2.0)
    assert list(frame.loc["time_grid", "samples"]) == [(0.9, 1.1), ()]


def test_a_long_environment_is_a_file_named_by_its_hash(tmp_path):
    stored = asv.results.Results(MACHINE, {}, "c0ffee" * 6, 0, "3", "env" * 60, {})
    benchmark = {"name": "a.time_b", "version": None, "params": [], "param_names": []}
    stored.add_result(benchmark, result([1.0]))
    stored.save(str(tmp_path))
    assert list((tmp_path / "desk").glob("c0ffeec0-env-*.json"))
    assert load_results(tmp_path)["environment"].item() == "env" * 60


def test_a_column_that_is_no_list_is_refused(tmp_path):
    file = write(tmp_path, names=["algorithms.time_sort"])
    rewrite(file, lambda content: content["results"].update({"a.time_b": [3.0]}))
    with pytest.raises(ResultsError, match=r"a\.time_b: expected 'result' to be a list, got float"):
        load_results(tmp_path)


@pytest.mark.parametrize("described", [True, False])
def test_every_reading_command_takes_another_suites_results(
    tmp_path, described, capsys, monkeypatch
):
    write(tmp_path / "results", described=described)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["report", "results", "-o", "report"]) == 0
        assert main(["export", "results", "-o", "table.parquet"]) == 0
        assert main(["show", "results", "--format", "markdown"]) == 0
        assert "No speedup was measured" in capsys.readouterr().out
        assert main(["show", "results"]) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("manualbp: expected ratio_to_tape or steady_step")
