import math

import numpy as np
import pandas as pd
import pytest
from asvfiles import DATE, SUITE, write_machine, write_results
from lines import cell, count, hash_of, line, table

from manualbp.reading import frame as frame_module
from manualbp.reading.frame import load_results
from manualbp.reading.history import (
    CHANGE_COLUMNS,
    HISTORY_COLUMNS,
    MARKS,
    change_points,
    history,
    name_case,
)
from manualbp.reading.schema import QUANTITIES

STEP = [1.0, 1.01, 0.99, 1.0, 1.01, 1.0, 1.5, 1.52, 1.49, 1.5, 1.51]  # up at place 6


def found(*rows):
    return change_points(history(table(*rows)))


@pytest.fixture
def exact(monkeypatch):
    """Make the error in ulp a counted number, whatever the suite has of them."""
    known = QUANTITIES["track_error_ulp"]._replace(exact=True)
    monkeypatch.setitem(frame_module.QUANTITIES, "track_error_ulp", known)


# ---------------------------------------------------------------- lines


def test_a_line_is_ordered_by_the_commits_dates_whatever_the_files_order():
    rows = line([1.0, 2.0, 3.0, 4.0])
    lines = history(table(rows[2], rows[0], rows[3], rows[1]))
    assert list(lines.columns) == HISTORY_COLUMNS
    assert list(lines["value"]) == [1.0, 2.0, 3.0, 4.0]
    assert list(lines["place"]) == [0, 1, 2, 3]
    assert list(lines["commit"]) == [hash_of(number) for number in range(4)]


def test_commits_of_one_date_stand_as_they_were_measured_and_those_without_come_last():
    rows = line([1.0, 2.0, 3.0])
    rows[0]["date"] = rows[1]["date"]
    rows[0]["started"], rows[1]["started"] = rows[1]["started"], rows[0]["started"]
    assert list(history(table(*rows))["value"]) == [2.0, 1.0, 3.0]
    rows[1]["date"] = None
    assert list(history(table(*rows))["value"]) == [1.0, 3.0, 2.0]


def test_the_order_does_not_depend_on_the_order_of_rows_even_where_nothing_tells():
    rows = line([1.0, 2.0])
    for row in rows:
        row |= {"date": rows[0]["date"], "started": rows[0]["started"]}
    forwards, backwards = history(table(*rows)), history(table(*rows[::-1]))
    assert list(forwards["commit"]) == list(backwards["commit"])


@pytest.mark.parametrize(
    "other",
    [
        {"machine": "server"},
        {"workload": "wide"},
        {"gradient": "fused"},
        {"mode": "xla"},
        {"device": "GPU:0"},
        {"batch": 64},
        {"peer": "jax"},
        {"steps_per_call": 100},
        {"parameters": "order=2"},
        {"quantity": "steady_step"},
        {"version": "2"},
    ],
)
def test_whatever_makes_another_case_makes_another_line(other):
    lines = history(table(*line([1.0, 2.0]), *line([3.0, 4.0], **other)))
    values = lines.groupby("series")["value"].apply(list)
    assert sorted(values) == [[1.0, 2.0], [3.0, 4.0]]


def test_a_change_beside_the_code_is_a_mark_in_the_line():
    rows = line([1.0] * 5)
    for row in rows[2:]:
        row |= {"tensorflow": "2.21", "environment": "py3.11-tf2.21"}
    rows[4]["cores"] = 4
    lines = history(table(*rows))
    assert set(lines["series"]) == {0}
    marks = lines[MARKS].to_numpy().T.tolist()
    assert marks == [
        [False, False, True, False, False],
        [False, False, True, False, False],
        [False, False, False, False, True],
    ]


def test_what_was_not_recorded_is_no_change_and_does_not_hide_one():
    rows = line([1.0] * 4)
    rows[0]["tensorflow"] = rows[2]["tensorflow"] = None
    rows[3]["tensorflow"] = "2.21"
    assert list(history(table(*rows))["tensorflow_changed"]) == [False, False, False, True]


def test_of_several_environments_a_line_keeps_the_one_it_ends_with():
    old = {"environment": "py3.11-tf2.20", "tensorflow": "2.20"}
    new = {"environment": "py3.11-tf2.21", "tensorflow": "2.21"}
    rows = [cell(number, 1.0, **old) for number in range(4)]
    later = pd.Timedelta(hours=9)
    rows += [cell(n, 2.0, **new) | {"started": cell(n, 1)["started"] + later} for n in (2, 3)]
    lines = history(table(*rows))
    assert list(lines["value"]) == [1.0, 1.0, 2.0, 2.0]
    assert list(lines["tensorflow_changed"]) == [False, False, True, False]
    # A later run of an older commit in the old environment changes nothing.
    rows[2]["started"] += pd.Timedelta(days=30)
    assert list(history(table(*rows))["value"]) == [1.0, 1.0, 2.0, 2.0]


def test_a_cell_that_was_measured_is_kept_before_one_that_was_not():
    rows = line([1.0, 2.0])
    newer = cell(1, math.nan, environment="other", status="skipped")
    newer["started"] += pd.Timedelta(days=1)
    assert list(history(table(*rows, newer))["value"]) == [1.0, 2.0]


def test_rows_that_the_columns_cannot_tell_apart_are_left_out():
    twice = {"gradient": "fused"}
    rows = [*line([1.0, 2.0]), *line([3.0, 4.0], **twice), *line([5.0, 6.0], **twice)]
    assert list(history(table(*rows))["value"]) == [1.0, 2.0]


def test_results_on_disk_become_lines(tmp_path):
    suite = {"ratio_to_tape": SUITE["ratio_to_tape"]}
    write_results(tmp_path, suite=suite)
    write_machine(tmp_path, suite=suite, commit="feed" * 10, started=DATE - 9000)
    write_machine(tmp_path, suite=suite, machine="server")
    frame = load_results(tmp_path)
    lines = history(frame)
    assert len(lines) == len(frame)
    assert not lines.duplicated(["series", "commit"]).any()
    assert all(len(set(machines)) == 1 for _, machines in lines.groupby("series")["machine"])
    laptop = lines[lines["machine"] == "laptop"]
    assert set(laptop.groupby("series")["commit"].agg("".join).str[:4]) == {"feed"}
    assert change_points(lines).empty


def test_an_empty_table_has_no_lines_and_no_changes():
    lines = history(table())
    assert list(lines.columns) == HISTORY_COLUMNS
    assert lines.empty
    assert list(change_points(lines).columns) == CHANGE_COLUMNS


# ---------------------------------------------------------------- changes


def test_a_change_names_its_commits_levels_and_line():
    (change,) = found(*line(STEP)).to_dict("records")
    assert (change["commit"], change["previous"]) == (hash_of(6), hash_of(5))
    assert change["date"] == cell(6, 1.0)["date"]
    assert change["before"] == pytest.approx(np.exp(np.log(STEP[:6]).mean()))
    assert change["after"] == pytest.approx(np.exp(np.log(STEP[6:]).mean()))
    assert change["ratio"] == pytest.approx(change["after"] / change["before"])
    assert change["low"] < change["ratio"] < change["high"]
    assert (change["commits_before"], change["commits_after"]) == (6, 5)
    assert not change["exact"]
    assert (change["gradient"], change["mode"], change["batch"]) == ("chain", "eager", 8)
    assert not any(change[mark] for mark in MARKS)


def test_commits_that_failed_or_were_not_measured_are_passed_over():
    rows = line([*STEP[:6], math.nan, *STEP[6:]])
    rows[6] |= {"status": "failed"}
    rows[2] |= {"status": "skipped", "value": math.nan}
    (change,) = found(*rows, *line([1.0] * 12, gradient="fused")).to_dict("records")
    assert (change["commit"], change["previous"]) == (hash_of(7), hash_of(5))
    assert (change["commits_before"], change["commits_after"]) == (5, 5)


def test_what_changed_with_it_is_told_even_across_a_failed_commit():
    rows = line([*STEP[:6], math.nan, *STEP[6:]])
    rows[6]["status"] = "failed"
    for row in rows[6:]:
        row["tensorflow"] = "2.21"
    (change,) = found(*rows).to_dict("records")
    assert change["tensorflow_changed"]
    assert not change["cpu_changed"]


def test_the_level_of_one_machine_is_no_change_of_another():
    slow = [cell(number, 2.0, machine="server") for number in range(6, 12)]
    assert found(*line([1.0] * 6), *slow).empty


def test_two_machines_have_their_own_changes():
    changes = found(*line(STEP), *line(STEP[::-1], machine="server"))
    assert list(changes["machine"]) == ["laptop", "server"]
    assert [ratio > 1 for ratio in changes["ratio"]] == [True, False]


def test_another_version_of_a_benchmark_is_no_change():
    old = line(STEP[:6])
    new = [cell(number, value, version="2") for number, value in enumerate(STEP[6:], start=6)]
    assert found(*old, *new).empty


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0]])
def test_one_commit_or_two_change_nothing(values):
    assert found(*line(values)).empty


@pytest.mark.usefixtures("exact")
def test_a_counted_number_changes_with_any_difference():
    changes = found(*line([4.0, 4.0, 5.0, 5.0, 0.0], **count()))
    assert list(changes["commit"]) == [hash_of(2), hash_of(4)]
    assert list(zip(changes["before"], changes["after"], strict=True)) == [(4, 5), (5, 0)]
    assert list(changes["ratio"]) == [1.25, 0.0]
    assert changes["exact"].all()
    assert changes["low"].isna().all()
    assert list(changes["commits_before"]) == [2, 2]
    assert list(changes["commits_after"]) == [2, 1]


def test_a_number_that_is_measured_does_not():
    assert found(*line([4.0, 4.1, 4.0, 4.1, 4.0, 4.1, 4.0, 4.2], **count())).empty


def test_a_line_with_a_zero_has_no_levels_but_differences():
    changes = found(*line([0.0, 0.0, 2.0], **count()))
    assert list(changes["ratio"]) == [math.inf]
    assert changes["exact"].all()


def test_foreign_benchmarks_have_a_line_but_no_changes():
    foreign = {"benchmark": "foreign.track_it", "quantity": "track_it", "kind": "track"}
    rows = line(STEP, **foreign)
    assert len(history(table(*rows))) == len(STEP)
    assert found(*rows).empty


def test_a_case_is_named_by_what_is_given():
    row = cell(0, 1.0)
    assert name_case(row) == "exercise, chain, eager, CPU:0, batch 8"
    assert name_case(row | {"gradient": None, "mode": None, "steps_per_call": 100}) == (
        "exercise, CPU:0, batch 8, steps per call 100"
    )
    assert name_case(row | {"gradient": None, "mode": None, "peer": "jax"}) == (
        "exercise, jax, CPU:0, batch 8"
    )
    assert name_case(row | {"parameters": "order=2"}).endswith(", batch 8, order=2")
