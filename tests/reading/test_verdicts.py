"""Verdicts, held against other implementations, and against truths that a simulation knows."""

import math

import numpy as np
import pytest
from runs import CELLS, load_runs, margins, only, write_runs
from scipy import stats
from statsmodels.stats.multitest import multipletests

from manualbp.reading import counts, verdicts
from manualbp.reading.comparison import Comparison, conclude
from manualbp.reading.frame import records
from manualbp.reading.intervals import paired_ratio, ratio
from manualbp.reading.schema import CASE
from manualbp.reading.verdicts import FASTER, INCONCLUSIVE, NOT_MEASURED, SAME, SLOWER

ONE = {"gradient": "chain", "mode": "xla", "batch": 64}


def judge(path, known=None, **options):
    base, head = load_runs(write_runs(path, **options))
    return verdicts.compare(base, head, margins() if known is None else known)


def the_cell(table, **case):
    rows = [row for row in records(table) if all(row[key] == case[key] for key in case)]
    (row,) = [row for row in rows if row["quantity"] == "ratio_to_tape"]
    return row


@pytest.mark.parametrize("seed", range(5))
def test_the_p_value_and_the_interval_are_welchs(seed):
    generator = np.random.default_rng(seed)
    base = np.exp(generator.normal(0, 0.02, size=5))
    head = np.exp(generator.normal(0.01, 0.05, size=8))
    change = ratio(tuple(head), tuple(base))
    other = stats.ttest_ind(np.log(head), np.log(base), equal_var=False)
    assert verdicts.p_value(change) == pytest.approx(other.pvalue)
    interval = other.confidence_interval(0.95)
    assert (math.log(change.low), math.log(change.high)) == pytest.approx(tuple(interval))


def test_sides_measured_by_turns_are_compared_round_by_round():
    generator = np.random.default_rng(7)
    state = np.exp(generator.normal(0, 0.1, size=8))  # of the machine, shared within a round
    base = state * np.exp(generator.normal(0, 0.005, size=8))
    head = 1.03 * state * np.exp(generator.normal(0, 0.005, size=8))
    change = paired_ratio(tuple(head), tuple(base))
    other = stats.ttest_rel(np.log(head), np.log(base))
    assert verdicts.p_value(change) == pytest.approx(other.pvalue)
    interval = other.confidence_interval(0.95)
    assert (math.log(change.low), math.log(change.high)) == pytest.approx(tuple(interval))
    assert 1.01 < change.low < change.high < 1.05
    assert ratio(tuple(head), tuple(base)).low < 1  # which Welch's cannot see


@pytest.mark.parametrize("seed", range(5))
def test_holms_correction_is_statsmodels(seed):
    p = np.random.default_rng(seed).random(12) ** 3
    expected = multipletests(p, method="holm")[1]
    assert verdicts.holm(p) == pytest.approx(expected)
    assert verdicts.holm([*p, math.nan])[:-1] == pytest.approx(expected)
    assert verdicts.holm([]) == []


def test_equal_runs_are_the_same_in_every_cell(tmp_path):
    table = judge(tmp_path)
    cells = table[table["gated"]]
    assert len(cells) == CELLS
    assert set(cells["verdict"]) == {SAME}


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.05, SLOWER), (0.9, FASTER), (None, NOT_MEASURED)]
)
def test_a_cell_that_changed_is_named_and_no_other(factor, verdict, tmp_path):
    table = judge(tmp_path, change=only(factor, **ONE))
    assert the_cell(table, **ONE)["verdict"] == verdict
    assert (table[table["gated"]]["verdict"] != SAME).sum() == 1


def test_a_small_but_certain_change_is_the_same(tmp_path):
    # Certain: 0.5 % with a deviation of 0.01 %.  Small: the margin is 2 %.
    cell = the_cell(judge(tmp_path, change=only(1.005, **ONE), deviation=1e-4), **ONE)
    assert cell["p"] < 1e-6
    assert cell["verdict"] == SAME


def test_a_wide_interval_is_inconclusive(tmp_path):
    table = judge(tmp_path, deviation=0.1)
    assert (table[table["gated"]]["verdict"] == INCONCLUSIVE).mean() > 0.9


def test_one_process_is_inconclusive_and_says_so(tmp_path):
    table = judge(tmp_path, processes=1)
    assert set(table[table["gated"]]["verdict"]) == {INCONCLUSIVE}
    assert the_cell(table, **ONE)["reason"] == "one process on a side has no interval"
    assert the_cell(table, **ONE)["remedy"] == "measure at least 2 processes on each side"
    assert table["more_processes"].isna().all()


def test_inconclusive_cells_say_why_and_what_would_settle_them(tmp_path):
    base, head = load_runs(write_runs(tmp_path, deviation=0.03, seed=1))
    seconds = dict.fromkeys(base["bench"], 1.5)
    table = verdicts.compare(base, head, margins(), seconds=seconds)
    open_ = table[table["verdict"] == INCONCLUSIVE]
    assert len(open_) > 10
    assert (open_["reason"] != "").all()
    assert (open_["remedy"] != "").all()
    assert open_["more_processes"].dropna().between(1, 100).all()
    known = open_.dropna(subset="more_processes")
    expected = 2 * 1.5 * known["more_processes"].astype(float) / 60
    assert known["minutes"].to_numpy() == pytest.approx(expected.to_numpy())
    assert verdicts.compare(base, head, margins())["minutes"].isna().all()
    others = table[table["verdict"] != INCONCLUSIVE]
    assert (others["remedy"] == "").all()
    assert others["more_processes"].isna().all()


def test_the_correction_for_many_cells_is_named_where_it_decides(tmp_path):
    # 3.5 % with an error of 1 %: significant alone, not among 36.
    table = judge(tmp_path, change=only(1.035, **ONE), deviation=0.02, processes=8, seed=3)
    cell = the_cell(table, **ONE)
    assert cell["verdict"] == INCONCLUSIVE
    assert cell["reason"] == "beyond the margin, but not significant among 36 cells"
    alone = {("ratio_to_tape", *(cell[column] for column in CASE)): 0.02}
    base, head = load_runs(tmp_path)
    assert the_cell(verdicts.compare(base, head, alone), **ONE)["verdict"] == SLOWER


def test_without_a_margin_the_reason_says_so(tmp_path):
    table = judge(tmp_path, {})
    assert set(table["reason"][table["verdict"] == INCONCLUSIVE]) == {"no margin is known"}
    assert "calibrate" in the_cell(table, **ONE)["remedy"]


def test_every_cell_of_a_run_says_how_it_is_measured_again(tmp_path):
    gone = ("ratio_to_tape", "exercise", "gone", "xla", "CPU:0", 64)
    table = judge(tmp_path, {**margins(), gone: 0.02}, change=only(None, **ONE))
    assert (
        the_cell(table, **ONE)["bench"]
        == r"^bench_ratio\.ratio_to_tape\(.exercise., .chain., .xla., .CPU:0., 64\)$"
    )
    assert list(table[table["bench"].isna()]["gradient"]) == ["gone"]


def test_without_a_margin_nothing_is_gated_nor_the_same(tmp_path):
    table = judge(tmp_path, {}, change=only(1.1, **ONE))
    assert not table["gated"].any()
    assert the_cell(table, **ONE)["verdict"] == SLOWER
    assert SAME not in set(table["verdict"])


def test_a_gated_cell_that_vanished_is_not_measured(tmp_path):
    gone = ("ratio_to_tape", "exercise", "gone", "xla", "CPU:0", 64)
    table = judge(tmp_path, {**margins(), gone: 0.02})
    assert the_cell(table, **{**ONE, "gradient": "gone"})["verdict"] == NOT_MEASURED
    assert conclude(of(table, tmp_path)) == NOT_MEASURED


def test_absent_devices_are_no_cells(tmp_path):
    assert set(judge(tmp_path)["device"]) == {"CPU:0"}


def test_another_version_of_a_benchmark_is_not_compared(tmp_path):
    base, head = load_runs(write_runs(tmp_path))
    table = verdicts.compare(base, head.assign(version="other"), margins())
    assert set(table["reason"]) == {"another version of the benchmark"}


def test_a_control_that_moves_makes_the_run_void(tmp_path):
    def change(quantity, case):
        return 1.1 if quantity == "ratio_tape_to_tape" and case["mode"] == "xla" else 1.0

    table = judge(tmp_path, change=change)
    assert len(verdicts.moved_controls(table)) == 6
    assert conclude(of(table, tmp_path)) == "void"


def test_two_runs_are_not_mixed(tmp_path):
    base, head = load_runs(write_runs(tmp_path))
    mixed = base.assign(commit=["x", *base["commit"][1:]])
    with pytest.raises(ValueError, match="one run"):
        verdicts.compare(mixed, head, {})


def of(table, path):
    base, head = load_runs(path)
    return Comparison("base", "head", table, counts.structure(base, head), 0)


# ---------------------------------------------------------------- exact counts


def more_nodes(quantity, case):
    here = quantity == "track_graph_nodes" and case["gradient"] == "chain"
    return 1.05 if here else 1.0


def test_a_changed_count_is_a_change_of_kind(tmp_path):
    base, head = load_runs(write_runs(tmp_path, change=more_nodes))
    changed = counts.structure(base, head)
    assert set(changed["gradient"]) == {"chain"}
    assert set(changed["outcome"]) == {"changed"}
    assert set(changed["base"]) == {40}
    assert set(changed["head"]) == {42}
    assert conclude(of(verdicts.compare(base, head, margins()), tmp_path)) == "structure changed"


def test_equal_counts_are_not_listed(tmp_path):
    base, head = load_runs(write_runs(tmp_path))
    assert counts.counted(head) > 0
    assert counts.structure(base, head).empty


@pytest.mark.parametrize("column", ["tensorflow", "cores"])
def test_counts_of_another_setting_are_not_compared(column, tmp_path):
    base, head = load_runs(write_runs(tmp_path, change=more_nodes))
    other = {"tensorflow": "2.22.0", "cores": 8}[column]
    changed = counts.structure(base, head.assign(**{column: other}))
    assert set(changed["outcome"]) == {"not comparable"}


def test_a_count_that_is_gone_is_not_measured(tmp_path):
    base, head = load_runs(write_runs(tmp_path))
    gone = counts.structure(base, head[head["quantity"] != "track_graph_nodes"])
    assert set(gone["outcome"]) == {NOT_MEASURED}


# ---------------------------------------------------------------- a second measurement


def test_what_looks_slower_is_judged_by_the_second_measurement_alone(tmp_path):
    slower = only(1.1, **ONE)
    first = judge(tmp_path / "first", change=slower)
    (cell,) = verdicts.unsettled_cells(first)
    assert cell[2:] == ("exercise", "chain", "xla", "CPU:0", 64)
    for factor, verdict in ((1.1, SLOWER), (1.0, SAME)):
        again = judge(tmp_path / str(factor), change=only(factor, **ONE))
        second = again[again[CASE].apply(tuple, axis=1) == cell[2:]]
        table = verdicts.confirmed(first, second)
        assert len(table) == len(first)
        assert the_cell(table, **ONE)["verdict"] == verdict


# ---------------------------------------------------------------- simulation with known truth


def test_false_alarms_keep_their_level_over_all_cells_together(tmp_path):
    """With margins near zero, Holm alone stands between noise and *slower* or *faster*."""
    families = 120
    alarms = 0
    base, head = load_runs(write_runs(tmp_path))
    here = (base["quantity"] == "ratio_to_tape") & (base["status"] == "ok")
    base, head = base[here], head[here.to_numpy()]
    known = margins(1e-9, controls=False)
    generator = np.random.default_rng(1)

    def noise(frame):
        samples = [tuple(np.exp(generator.normal(0, 0.02, size=5))) for _ in range(len(frame))]
        return frame.assign(samples=samples)

    for _ in range(families):
        table = verdicts.compare(noise(base), noise(head), known)
        alarms += bool(table["verdict"].isin([SLOWER, FASTER]).any())
    # More than 14 of 120 has a probability below 0.1 % at 5 %.
    assert alarms <= stats.binom.ppf(0.999, families, verdicts.ALPHA)


def test_a_change_as_large_as_the_margin_is_seldom_called_the_same():
    generator = np.random.default_rng(2)
    wrong, tries = 0, 2000
    for _ in range(tries):
        base = np.exp(generator.normal(0, 0.01, size=8))
        head = 1.02 * np.exp(generator.normal(0, 0.01, size=8))
        change = ratio(tuple(head), tuple(base))
        wrong += change.high < 1.02
    assert wrong <= stats.binom.ppf(0.999, tries, 0.025)
