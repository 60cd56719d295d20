"""A calibration, held against scipy and asv, and against machines whose truth is known."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from asv._stats import is_different
from scipy import stats

from manualbp.reading import calibration, power
from manualbp.reading.margins import load_margins, save_margins
from manualbp.reading.schema import ResultsError

SCREENING, CONFIRMATION = 5, 8
SLOWED = ("chain", "xla", 64)


def machine(deviation=0.005, slowdowns=(5.0,), rounds=SCREENING + CONFIRMATION, seed=0):
    """The values of a machine with so much noise, on which a slowdown is just what it says."""
    generator = np.random.default_rng(seed)
    rows = []
    cells = list(itertools.product(("chain", "fused"), ("graph", "xla"), (1, 64, 4096)))

    def add(arm, number, cell, value):
        gradient, mode, batch = cell
        names = ("ratios.Step.ratio_to_tape", "ratio_to_tape", "exercise")
        rows.append(("s1", "idle", number, arm, *names, gradient, mode, "CPU:0", batch, value))

    for number, cell in itertools.product(range(1, rounds + 1), cells):
        for arm in ("equal-1", "equal-2", "equal-3"):
            add(arm, number, cell, 0.8 * math.exp(deviation * generator.normal()))
        for percent in slowdowns if cell == SLOWED else ():
            noise = math.exp(deviation * generator.normal())
            add(f"slower-{percent:g}", number, cell, 0.8 * (1 + percent / 100) * noise)
            add(f"alone-{percent:g}", number, cell, (1 + percent / 100) * noise)
    table = pd.DataFrame(rows, columns=calibration.VALUES)
    return table.astype({"batch": "Int64"})


def judged(values, tmp_path):
    file = tmp_path / "margins.csv"
    save_margins(calibration.margins_table(values), file)
    margins = load_margins(file)
    return margins, calibration.judge(values, margins, SCREENING, CONFIRMATION)


@pytest.mark.parametrize(("successes", "tries"), [(0, 10), (1, 300), (17, 18), (18, 18)])
def test_the_bounds_are_clopper_and_pearsons(successes, tries):
    expected = stats.binomtest(successes, tries).proportion_ci(method="exact")
    assert calibration.clopper_pearson(successes, tries) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("factor", [1.0, 1.05, 1.12, 1.5, 0.8])
def test_asvs_rule_is_asvs(factor):
    generator = np.random.default_rng(3)
    base = list(np.exp(generator.normal(0, 0.02, size=13)))
    head = list(factor * np.exp(generator.normal(0, 0.02, size=13)))
    nothing = {"ci_99_a": -math.inf, "ci_99_b": math.inf}  # the samples alone decide
    different = is_different(base, head, nothing, nothing)
    worse = different and np.median(head) / np.median(base) > 1.1
    assert calibration.asv_calls_worse(base, head) == worse


def test_margins_follow_the_deviation_and_have_a_floor(tmp_path):
    quiet, _ = judged(machine(deviation=0.0005), tmp_path)
    assert set(quiet.values()) == {0.01}
    noisy, _ = judged(machine(deviation=0.02), tmp_path)
    assert len(noisy) == 12
    # 26 degrees of freedom: the deviation is known within a third.
    assert all(0.03 < margin < 0.07 for margin in noisy.values())


def test_a_cell_too_noisy_to_gate_has_no_margin(tmp_path):
    margins, tries = judged(machine(deviation=0.08), tmp_path)
    assert margins == {}
    assert "same" not in set(tries["verdict"])


def test_equal_arms_raise_no_alarm_and_a_large_slowdown_is_found(tmp_path):
    _, tries = judged(machine(slowdowns=(1.0, 10.0)), tmp_path)
    table = calibration.rates(tries).set_index("percent")
    assert table.loc[0, "tries"] == 36  # 12 cells, three pairs of arms
    assert table.loc[0, "slower"] == 0
    assert table.loc[10, "slower"] == table.loc[10, "tries"] == 3
    assert table.loc[1, "slower"] == 0  # inside the margin


def test_what_a_slowdown_came_to_is_measured_apart():
    (row,) = calibration.achieved(machine(slowdowns=(5.0,))).to_dict("records")
    assert row["low"] < 0.05 < row["high"]
    assert row["cells"] == 1


def test_arms_that_are_not_equal_are_seen_as_false_alarms(tmp_path):
    """The count of false alarms bites: one arm is 10 % slower in every cell."""
    values = machine(slowdowns=())
    values.loc[values["arm"] == "equal-2", "value"] *= 1.1
    _, tries = judged(values, tmp_path)
    (row,) = calibration.rates(tries).to_dict("records")
    assert row["slower"] == 12  # equal-1 against equal-2; the other way round it is faster
    assert row["families_slower"] == 1


def test_too_few_rounds_give_no_verdict(tmp_path):
    _, tries = judged(machine(rounds=4), tmp_path)
    assert tries.empty


def test_the_newest_series_of_each_condition_counts(tmp_path):
    file = tmp_path / calibration.FILE
    old = machine(seed=1).assign(series="s0")
    pd.concat([old, machine()]).to_csv(file, index=False)
    assert set(calibration.load_calibration(file)["series"]) == {"s1"}


def test_a_later_series_of_some_cells_leaves_the_others_their_values(tmp_path):
    file = tmp_path / "calibration.csv"
    every, later = machine(seed=1), machine(seed=2).assign(series="s2")
    later = later[later["gradient"] == "fused"]
    pd.concat([every, later]).to_csv(file, index=False)
    read = calibration.load_calibration(file)
    assert dict(read.groupby("gradient")["series"].unique().str[0]) == {
        "chain": "s1",
        "fused": "s2",
    }
    assert len(read) == len(every)


def test_no_calibration_is_one_clear_error(tmp_path):
    with pytest.raises(ResultsError, match="run 'manualbp calibrate'"):
        calibration.load_calibration(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_text("a\n1\n")
    with pytest.raises(ResultsError, match="expected the columns"):
        calibration.load_calibration(tmp_path / "bad.csv")


def test_the_report_says_what_the_machine_detects(tmp_path):
    values = machine(slowdowns=(10.0,))
    _, tries = judged(values, tmp_path)
    files = power.write(values, tries, tmp_path / "report")
    assert {file.name for file in files} == {"calibration.md", "power.svg", "power.png"}
    text = files[0].read_text()
    assert "idle: 0 false alarms in 36 comparisons" in text
    assert "10 % slowdowns in 3 of 3 tries" in text
