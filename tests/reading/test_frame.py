import itertools
import json
import math

import asv.results
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from asvfiles import (
    COMMIT,
    DATE,
    GRADIENTS,
    SKIP,
    SUITE,
    VALUES,
    WORKLOADS,
    model,
    write_machine,
    write_results,
)

from manualbp.reading.frame import distinct, latest_run, load_results, runs, select
from manualbp.reading.schema import COLUMNS, IMPLIED_MODES, QUANTITIES, ResultsError
from manualbp.reading.speedups import speedups

CASE = {"workload": "exercise", "gradient": "fused", "mode": "xla", "device": "CPU:0", "batch": 64}


def cell(frame, quantity, **case):
    mask = frame["quantity"] == quantity
    for column, value in case.items():
        mask &= (frame[column] == value).fillna(False)
    assert mask.sum() == 1
    return frame[mask].iloc[0]


def changed(quantity, replacement, **case):
    """The model with one kind of cell replaced."""

    def altered(name, parameters):
        hit = name == quantity and all(parameters.get(key) == case[key] for key in case)
        return replacement if hit else model(name, parameters)

    return altered


# ---------------------------------------------------------------- reading


def test_every_cell_of_the_product_has_its_row(complete):
    frame = load_results(complete)
    assert list(frame.columns) == COLUMNS
    mine = frame[frame["quantity"] == "steady_step"]
    expected = [
        case
        for case in itertools.product(*(VALUES[name] for name in SUITE["steady_step"][2]))
        if case[-1] in WORKLOADS[case[0]]
    ]
    found = mine[list(SUITE["steady_step"][2])].itertuples(index=False, name=None)
    assert list(found) == expected


def test_a_cell_holds_its_own_samples(complete):
    found = cell(load_results(complete), "steady_step", **CASE)
    samples = model("steady_step", CASE)
    assert found["samples"] == tuple(samples)
    assert found["processes"] == len(samples)
    assert found["value"] == pytest.approx(scipy.stats.gmean(samples))
    assert found["low"] < found["value"] < found["high"]
    assert (found["kind"], found["unit"], found["status"]) == ("time", "seconds", "ok")


def test_the_facts_of_the_run_stand_in_every_row(complete):
    frame = load_results(complete)
    assert set(frame["commit"]) == {COMMIT}
    assert set(frame["tensorflow"]) == {"2.21.0"}
    assert set(frame["machine"]) == {"laptop"}
    assert set(frame["cores"]) == {2}
    assert set(frame["environment"]) == {"virtualenv-py3.11-tensorflow2.21.0"}
    assert set(frame["started"]) == {pd.Timestamp(DATE, unit="ms", tz="UTC")}
    assert set(frame["date"]) == {pd.Timestamp(DATE - 1000, unit="ms", tz="UTC")}


@pytest.mark.parametrize("stored", ["", "unknown", "-1", "2.5"])
def test_cores_that_asv_did_not_store_are_missing(tmp_path, stored):
    frame = load_results(write_machine(tmp_path, cores=stored))
    assert frame["cores"].dtype == "Int64"
    assert frame["cores"].isna().all()


def test_no_statistical_number_is_called_exact():
    exact = {name for name, quantity in QUANTITIES.items() if quantity.exact}
    assert {QUANTITIES[name].kind for name in exact} <= {"track"}
    # An error in ulp wanders with the order of a sum, a peak with whatever else was allocated.
    assert not exact & {"track_error_ulp", "track_peak_memory", "track_peak_memory_import"}


def test_batches_at_which_a_workload_is_not_measured_are_left_out(complete):
    frame = load_results(complete)
    for workload, known in WORKLOADS.items():
        batches = frame.loc[frame["workload"] == workload, "batch"].dropna()
        assert set(batches) == set(known)


def test_such_a_batch_stays_when_it_was_measured_after_all(tmp_path):
    case = {**CASE, "workload": "wide", "batch": 8}
    results = write_results(tmp_path, model=changed("steady_step", [1.0, 1.1], **case))
    assert cell(load_results(results), "steady_step", **case)["processes"] == 2


def test_tracked_numbers_have_no_interval(complete):
    found = cell(load_results(complete), "track_error_ulp", **CASE)
    assert found["value"] == model("track_error_ulp", CASE)
    assert math.isnan(found["low"])
    assert found["samples"] == ()


def test_a_benchmark_without_parameters_is_one_row(complete):
    found = cell(load_results(complete), "track_peak_memory_import")
    assert found["value"] == 412 * 2**20
    assert found["unit"] == "bytes"
    assert pd.isna(found["workload"])
    assert pd.isna(found["batch"])


@pytest.mark.parametrize(
    ("quantity", "mode"),
    [("steady_backward", "eager"), ("track_graph_nodes", "graph"), ("track_xla_bytes", "xla")],
)
def test_what_exists_in_one_mode_only_is_of_that_mode(complete, quantity, mode):
    frame = load_results(complete)
    assert set(frame.loc[frame["quantity"] == quantity, "mode"]) == {mode}


def test_every_exact_number_knows_its_mode():
    for name, quantity in QUANTITIES.items():
        if quantity.exact:
            assert ("mode" in quantity.parameters) != (name in IMPLIED_MODES)


def test_failed_skipped_and_measured_are_told_apart(tmp_path):
    fails = changed("steady_step", None, **CASE)
    frame = load_results(write_results(tmp_path, model=fails))
    failed = cell(frame, "steady_step", **CASE)
    assert failed["status"] == "failed"
    assert math.isnan(failed["value"])
    assert cell(frame, "steady_step", **{**CASE, "device": "GPU:0"})["status"] == "skipped"
    assert cell(frame, "steady_step", **{**CASE, "batch": 8})["status"] == "ok"


def test_a_row_of_nothing_is_failed_cells_of_every_combination(tmp_path):
    frame = load_results(write_results(tmp_path, model=changed("steady_step", None)))
    mine = frame[frame["quantity"] == "steady_step"]
    assert set(mine["status"]) == {"failed"}
    # 2 workloads, 3 gradients, 3 modes, 2 devices, 6 batches: which were cells asv does not tell
    assert len(mine) == 2 * 3 * 3 * 2 * 6


def test_missing_trailing_columns_are_nulls(tmp_path):
    # What asv writes for a tracked number and for a benchmark that failed as a whole.
    extra = {
        "b.track_peak_memory_import": [[7.0]],
        "b.steady_numpy": [None, [["'exercise'"], ["1", "8"]]],
    }
    frame = load_results(write_machine(tmp_path, suite={}, extra=extra))
    assert cell(frame, "track_peak_memory_import")["value"] == 7
    mine = frame[frame["quantity"] == "steady_numpy"]
    assert list(mine["status"]) == ["failed", "failed"]
    assert list(mine["batch"]) == [1, 8]


def test_bare_nan_and_infinity_are_read(tmp_path):
    extra = {"b.track_error_ulp": [[math.inf, SKIP], [["'exercise'"], ["'tape'"], ["'eager'"],
             ["'CPU:0'"], ["1", "8"]]]}  # fmt: skip
    file = write_machine(tmp_path, suite={}, extra=extra)
    assert "NaN" in file.read_text()
    frame = load_results(file)
    assert list(frame["status"]) == ["ok", "skipped"]
    assert frame["value"].iloc[0] == math.inf


def test_without_samples_the_value_is_what_asv_stored(tmp_path):
    results = write_results(tmp_path, model=changed("steady_step", 3e-4, **CASE))
    found = cell(load_results(results), "steady_step", **CASE)
    assert found["value"] == 3e-4
    assert math.isnan(found["low"])
    assert found["processes"] == 0


@pytest.mark.parametrize("bad", [[1e-3, 0.0], [1e-3, -1e-3], 0.0])
def test_times_that_cannot_be_are_refused_by_name(tmp_path, bad):
    results = write_results(tmp_path, model=changed("steady_step", bad, **CASE))
    with pytest.raises(ResultsError, match=r"steady_step\('exercise', 'fused', .* positive finite"):
        load_results(results)


def test_asv_itself_reads_the_same_numbers(complete):
    # The oracle for the shape of the files that these tests are written with.
    (file,) = (complete / "laptop").glob("0123*.json")
    stored = asv.results.Results.load(str(file), machine_name="laptop")
    frame = load_results(complete)
    for name in stored.get_all_result_keys():
        params = stored.get_result_params(name)
        cells = zip(
            itertools.product(*params), stored.get_result_samples(name, params), strict=True
        )
        expected = [tuple(samples) for _, samples in cells if samples]
        mine = frame[(frame["benchmark"] == name) & (frame["processes"] > 0)]
        assert list(mine["samples"]) == expected


# ---------------------------------------------------------------- foreign and partial results


def test_foreign_benchmarks_are_rows_without_a_case(tmp_path):
    extra = {
        "other.TimeSuite.time_sort": [[0.0, None, "odd"], [["10", "<object at 0x7f>", "None"]],
                                      "v", DATE, 1.0, None, None, None, None, None, None,
                                      [[0.0, -1.0], None, None]],
        "other.track_sizes": [[5], [["'float'"]]],
    }  # fmt: skip
    write_results(tmp_path, extra=extra)
    with pytest.warns(UserWarning, match=r"names the parameters of other\.TimeSuite\.time_sort"):
        frame = load_results(tmp_path)
    mine = frame[frame["quantity"] == "time_sort"]
    assert list(mine["status"]) == ["ok", "failed", "failed"]
    assert mine["workload"].isna().all()
    assert mine["low"].isna().all()


def test_a_foreign_batch_is_no_batch(tmp_path):
    benchmarks = {"x.time_y": {"param_names": ["batch", "mode"], "type": "time", "unit": "seconds"}}
    (tmp_path / "benchmarks.json").write_text(json.dumps(benchmarks))
    extra = {"x.time_y": [[1.0, 2.0], [["'small'", "True"], ["3"]]]}
    frame = load_results(write_machine(tmp_path, suite={}, extra=extra))
    assert frame["batch"].isna().all()
    assert list(frame["mode"]) == ["3", "3"]


def test_without_benchmarks_json_our_own_benchmarks_are_still_known(tmp_path, complete):
    write_machine(tmp_path)
    pd.testing.assert_frame_equal(load_results(tmp_path), load_results(complete))


def test_the_stored_names_have_the_last_word(tmp_path):
    # A later suite may order its parameters otherwise.
    benchmarks = {"b.steady_numpy": {"param_names": ["batch", "workload"], "type": "time"}}
    (tmp_path / "benchmarks.json").write_text(json.dumps(benchmarks))
    extra = {"b.steady_numpy": [[1.0], [["8"], ["'exercise'"]]]}
    found = cell(load_results(write_machine(tmp_path, suite={}, extra=extra)), "steady_numpy")
    assert (found["workload"], found["batch"]) == ("exercise", 8)


def test_a_directory_a_machine_and_a_file_hold_the_same(complete):
    whole = load_results(complete)
    (file,) = (complete / "laptop").glob("0123*.json")
    for path in (complete / "laptop", file, str(file)):
        pd.testing.assert_frame_equal(load_results(path), whole)


# ---------------------------------------------------------------- bad input


def broken(tmp_path, text):
    (tmp_path / "laptop").mkdir()
    (tmp_path / "laptop" / "01234567-env.json").write_text(text)
    return tmp_path


RESULT = {"commit_hash": "0", "params": {}, "result_columns": ["result", "params"], "results": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON, got something else"),
        ('{"unit": "\\ud800"}', "expected JSON, got something else"),
        ("[" * 100_000, "expected JSON, got something else"),
        ("[1, 2]", "expected an asv result file, but it lacks commit_hash"),
        (json.dumps({"results": {}}), "lacks commit_hash, params, result_columns"),
        (json.dumps({**RESULT, "version": 1}), "result format 2, got 1; run `asv update`"),
        (json.dumps({**RESULT, "results": []}), "'results' to be a dict, got list"),
        (json.dumps({**RESULT, "results": {"a.time_b": 3}}), "row of a.time_b to be a list"),
        (json.dumps(RESULT), "expected measured benchmarks, found none"),
        (
            json.dumps(
                {**RESULT, "results": {"a.steady_numpy": [[1.0], [["'wide'"], ["1", "64"]]]}}
            ),
            "expected 2 results and samples, .* got 1 and 2",
        ),
    ],
)
def test_files_that_are_not_results_are_refused(tmp_path, text, message):
    with pytest.raises(ResultsError, match=message) as caught:
        load_results(broken(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_nothing_there_is_said_plainly(tmp_path):
    with pytest.raises(ResultsError, match="found no such path"):
        load_results(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match="found none; run `asv run`"):
        load_results(tmp_path)
    (tmp_path / "benchmarks.json").write_text("[]")
    with pytest.raises(ResultsError, match="expected an object of benchmarks, got list"):
        load_results(tmp_path)


# ---------------------------------------------------------------- runs


def two_machines(path):
    write_results(path)
    write_machine(path, machine="server", started=DATE + 5000)
    write_machine(path, commit="f" * 40, started=DATE - 5000)
    return load_results(path)


def test_runs_are_listed_newest_first(tmp_path):
    listed = runs(two_machines(tmp_path))
    assert list(listed["machine"]) == ["server", "laptop", "laptop"]
    assert list(listed["commit"].str[0]) == ["0", "0", "f"]
    frame = load_results(tmp_path / "server")
    counts = frame["status"].value_counts()
    assert listed.loc[0, ["ok", "failed", "skipped"]].tolist() == [
        counts["ok"], counts.get("failed", 0), counts["skipped"],
    ]  # fmt: skip


def test_the_latest_run_is_one_machines(tmp_path):
    frame = latest_run(two_machines(tmp_path))
    assert set(frame["machine"]) == {"server"}
    assert len(runs(frame)) == 1


def test_select_keeps_what_concerns_no_device(complete):
    here = select(load_results(complete), "wide", "CPU:0")
    assert set(here["workload"]) == {"wide"}
    assert set(here["device"].dropna()) == {"CPU:0"}
    assert "steady_numpy" in set(here["quantity"])


def test_distinct_keeps_the_order():
    assert distinct(["b", None, "a", "b", "c"], first=("c", "x")) == ["c", "b", "a"]


# ---------------------------------------------------------------- speedups


def test_a_speedup_is_the_reciprocal_of_the_interleaved_ratio(complete):
    table = speedups(load_results(complete))
    found = table[(table[list(CASE)] == list(CASE.values())).all(axis=1)]
    logs = -np.log(model("ratio_to_tape", CASE))
    low, high = scipy.stats.t.interval(0.95, len(logs) - 1, logs.mean(), scipy.stats.sem(logs))
    assert len(found) == 1
    assert found["speedup"].item() == pytest.approx(math.exp(logs.mean()))
    assert found["low"].item() == pytest.approx(math.exp(low))
    assert found["high"].item() == pytest.approx(math.exp(high))
    assert found["source"].item() == "interleaved"
    assert found["processes"].item() == 8


def test_every_case_but_the_tapes_has_one_speedup(complete):
    table = speedups(load_results(complete))
    assert set(table["gradient"]) == set(GRADIENTS) - {"tape"}
    assert len(table) == 2 * 3 * 2 * (6 + 3)
    assert not table.duplicated(list(CASE)).any()
    assert set(table.loc[table["device"] == "GPU:0", "status"]) == {"skipped"}


@pytest.fixture
def without_ratios():
    return {name: kind for name, kind in SUITE.items() if name != "ratio_to_tape"}


def test_without_a_ratio_it_is_welchs_quotient_of_times(tmp_path, without_ratios):
    table = speedups(load_results(write_results(tmp_path, suite=without_ratios)))
    found = table[(table[list(CASE)] == list(CASE.values())).all(axis=1)]
    tape = np.log(model("steady_step", {**CASE, "gradient": "tape"}))
    mine = np.log(model("steady_step", CASE))
    welch = scipy.stats.ttest_ind(tape, mine, equal_var=False).confidence_interval(0.95)
    assert found["source"].item() == "separate"
    assert found["speedup"].item() == pytest.approx(math.exp(tape.mean() - mine.mean()))
    assert found["low"].item() == pytest.approx(math.exp(welch.low))
    assert found["high"].item() == pytest.approx(math.exp(welch.high))


def test_a_failed_ratio_is_not_replaced_by_separate_times(tmp_path):
    results = write_results(tmp_path, model=changed("ratio_to_tape", None, **CASE))
    table = speedups(load_results(results))
    found = table[(table[list(CASE)] == list(CASE.values())).all(axis=1)]
    assert found["status"].item() == "failed"
    assert math.isnan(found["speedup"].item())


def test_a_failed_tape_fails_its_quotients(tmp_path, without_ratios):
    fails = changed("steady_step", None, **{**CASE, "gradient": "tape"})
    table = speedups(load_results(write_results(tmp_path, suite=without_ratios, model=fails)))
    failed = table[table["status"] == "failed"]
    assert set(failed["gradient"]) == {"chain", "fused"}
    assert set(failed["mode"]) == {"xla"}
    assert set(failed["batch"]) == {64}


def test_runs_are_never_mixed(tmp_path):
    def slow(quantity, case):
        found = model(quantity, case)
        return (
            [2 * v for v in found]
            if quantity == "steady_step" and isinstance(found, list)
            else found
        )

    suite = {"steady_step": SUITE["steady_step"]}
    write_machine(tmp_path, suite=suite)
    alone = speedups(load_results(tmp_path))
    write_machine(tmp_path, machine="server", suite=suite, model=slow)
    both = speedups(load_results(tmp_path))
    pd.testing.assert_frame_equal(both[both["machine"] == "laptop"].reset_index(drop=True), alone)
    # Twice the time for the tape and for the others: the same speedups.
    server = both[both["machine"] == "server"]
    assert list(server["speedup"].dropna()) == pytest.approx(list(alone["speedup"].dropna()))
