import math

import numpy as np
import pytest
import scipy.stats

from manualbp.reading.levels import ALARM, SHORTEST, changes, confirmed, without_outliers

SPREAD = 0.015  # between processes, as the ratios have it


def noisy(rng, levels, outliers=0.0):
    """Geometric means of five processes about each level, a share of them far off."""
    logs = np.log(levels) + rng.normal(0, SPREAD, (5, len(levels))).mean(axis=0)
    logs += (rng.random(len(levels)) < outliers) * rng.choice([-0.2, 0.2], len(levels))
    return np.exp(logs).tolist()


def places(values):
    return [change.place for change in changes(values)]


# ---------------------------------------------------------------- known truth


def test_a_step_is_found_at_its_place_with_its_size():
    (change,) = changes(noisy(np.random.default_rng(0), [0.5] * 20 + [0.55] * 15))
    assert (change.start, change.place, change.stop) == (0, 20, 35)
    assert change.before == pytest.approx(0.5, rel=0.01)
    assert change.after == pytest.approx(0.55, rel=0.01)
    assert change.ratio == pytest.approx(change.after / change.before)
    assert change.low < 1.1 < change.high


def test_a_return_is_two_changes():
    rng = np.random.default_rng(1)
    up, down = changes(noisy(rng, [1.0] * 15 + [1.2] * 12 + [1.0] * 15))
    assert (up.place, down.place) == (15, 27)
    assert up.ratio > 1.15
    assert down.ratio < 0.87
    assert up.stop == down.place
    assert down.start == up.place


def test_exact_levels_without_noise_are_found():
    assert places([1.0] * 5 + [1.5] * 5) == [5]
    assert places([1.0] * 10) == []


@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_the_unit_does_not_matter(scale):
    values = noisy(np.random.default_rng(2), [1.0] * 12 + [1.06] * 12)
    assert places([scale * value for value in values]) == places(values) == [12]


def test_one_or_two_odd_commits_are_no_level_wherever_they_lie():
    values = noisy(np.random.default_rng(3), [1.0] * 30)
    for start in (0, 1, 14, 28, 29):
        odd = list(values)
        odd[start : start + 2] = [1.4 * value for value in odd[start : start + 2]]
        assert places(odd) == []


def test_a_new_level_shows_with_its_third_commit_when_it_is_clear():
    values = noisy(np.random.default_rng(4), [1.0] * 30 + [1.3] * 3)
    assert places(values) == [30]
    assert places(values[:-1]) == []


@pytest.mark.parametrize("count", range(2 * SHORTEST))
def test_too_few_commits_say_nothing(count):
    assert places([1.0] * (count // 2) + [2.0] * (count - count // 2)) == []


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_values_without_a_logarithm_are_refused(value):
    with pytest.raises(ValueError, match="positive finite"):
        changes([1.0] * 10 + [value])


# ---------------------------------------------------------------- the parts


def test_outliers_are_pulled_in_and_levels_are_not():
    clean = noisy(np.random.default_rng(5), [1.0] * 10 + [2.0] * 3 + [1.0] * 10)
    odd = list(clean)
    odd[4] *= 3
    calm = without_outliers(odd)
    assert calm[4] == pytest.approx(1.0, rel=0.05)
    kept = [place for place in range(len(odd)) if place != 4]
    assert np.array(calm)[kept] == pytest.approx(np.array(odd)[kept], rel=0.02)


def test_the_confirming_test_is_welchs():
    rng = np.random.default_rng(6)
    for size in np.linspace(0.0, 0.03, 40):
        values = noisy(rng, [1.0] * 12 + [math.exp(size)] * 9)
        old, new = np.log(values[:12]), np.log(values[12:])
        chance = scipy.stats.ttest_ind(old, new, equal_var=False).pvalue
        assert bool(confirmed(values, [12])) == (chance <= ALARM)


def test_the_least_certain_step_goes_first():
    values = noisy(np.random.default_rng(7), [1.0] * 20 + [1.2] * 20)
    assert [change.place for change in confirmed(values, [10, 20, 30])] == [20]
    assert confirmed(values, []) == []


# ---------------------------------------------------------------- by simulation


def test_false_alarms_are_rare_with_and_without_outliers():
    # docs/history.md: at most 0.7 % of such series; 7 or more of 200 have then p < 0.001.
    assert scipy.stats.binom.sf(6, 200, 0.007) < 0.001
    for outliers in (0.0, 0.02):
        rng = np.random.default_rng(8)
        assert sum(bool(places(noisy(rng, [1.0] * 40, outliers))) for _ in range(200)) <= 6


def test_a_step_of_five_percent_is_found_among_outliers():
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(100):
        found = places(noisy(rng, [1.0] * 25 + [1.05] * 25, outliers=0.02))
        hits += any(abs(place - 25) <= 2 for place in found)
    # docs/history.md: nearly always; were it 95 %, 87 or fewer would have p < 0.01.
    assert scipy.stats.binom.cdf(87, 100, 0.95) < 0.01
    assert hits > 87
