"""Break-even against a calculation apart: which of two ways is shown ahead after N steps?"""

import math

import numpy as np
import pytest
from scipy import stats

from manualbp.reading.breakeven import Amount, amount, break_even, difference, saved
from manualbp.reading.intervals import estimate, product
from manualbp.reading.page.compiling import in_words

MANY = 1e6
"""Degrees of freedom at which Student's t is the normal distribution."""


def by_counting(cost, gain, furthest=4000):
    """Return the numbers of steps after which neither way is ahead, by trying one after another."""
    m = np.arange(furthest)
    lead = m * gain.value - cost.value
    spread = stats.norm.ppf(0.975) * np.sqrt(cost.error**2 + (m * gain.error) ** 2)
    open_ = np.flatnonzero(np.abs(lead) <= spread)
    return open_[0] + 1, open_[-1] + 1


@pytest.mark.parametrize(
    ("cost", "gain"),
    [
        (Amount(1.0, 0.1, MANY), Amount(0.01, 0.001, MANY)),
        (Amount(2.0, 0.3, MANY), Amount(0.004, 0.0005, MANY)),
        (Amount(-1.0, 0.1, MANY), Amount(-0.01, 0.002, MANY)),
    ],
)
def test_the_interval_is_what_counting_step_by_step_gives(cost, gain):
    found = break_even(cost, gain)
    first, last = by_counting(cost, gain)
    assert found.steps == pytest.approx(1 + cost.value / gain.value)
    assert math.ceil(found.low) == first
    assert math.floor(found.high) == last
    assert found.ahead_first == (cost.value < 0)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(1)
    first = np.exp(random.normal(math.log(1.0), 0.05, (2000, 5)))
    second = np.exp(random.normal(math.log(3.0), 0.05, (2000, 5)))
    slow = np.exp(random.normal(math.log(0.02), 0.05, (2000, 5)))
    fast = np.exp(random.normal(math.log(0.01), 0.05, (2000, 5)))
    covered = 0
    for a, b, s, f in zip(first, second, slow, fast, strict=True):
        a, b, s, f = (values.tolist() for values in (a, b, s, f))
        cost = difference(amount(estimate(b)), amount(estimate(a)))
        gain = difference(amount(estimate(s)), amount(estimate(f)))
        found = break_even(cost, gain)
        covered += found.low <= 1 + 2.0 / 0.01 <= found.high
    assert 0.93 < covered / 2000 < 0.98


def test_a_cheaper_and_faster_way_pays_at_once():
    found = break_even(Amount(-1.0, 0.1, MANY), Amount(0.01, 0.001, MANY))
    assert (found.steps, found.low, found.high) == (1, 1, 1)
    assert in_words(found) == ("at once", "at once")


def test_a_dearer_and_slower_way_never_pays():
    found = break_even(Amount(1.0, 0.1, MANY), Amount(-0.01, 0.001, MANY))
    assert (found.steps, found.low, found.high) == (math.inf, math.inf, math.inf)
    assert in_words(found) == ("never", "never")


def test_a_gain_that_is_not_shown_may_never_pay():
    found = break_even(Amount(1.0, 0.1, MANY), Amount(0.01, 0.02, MANY))
    assert found.steps == pytest.approx(101)
    assert 1 < found.low < 101
    assert math.isinf(found.high)
    text, interval = in_words(found)
    assert text == "after 100 steps"
    assert interval.endswith("to never")


def test_a_cost_that_is_not_shown_may_pay_at_once():
    found = break_even(Amount(1.0, 2.0, MANY), Amount(0.01, 0.001, MANY))
    assert found.low == 1
    assert 101 < found.high < math.inf
    assert in_words(found)[1].startswith("at once to")


def test_without_a_spread_there_is_no_interval():
    found = break_even(Amount(1.0, math.nan, math.nan), Amount(0.01, 0.001, 4))
    assert found.steps == pytest.approx(101)
    assert math.isnan(found.low)
    assert in_words(found) == ("after 100 steps", "no interval")


def test_a_ratio_saves_its_share_of_a_step():
    time, ratio = estimate([0.010, 0.011, 0.009]), product((estimate([2.0, 2.1, 1.9]),), (-1,))
    gain = saved(time, ratio)
    # By simulation, instead of by the propagation of errors.
    random = np.random.default_rng(2)
    times = np.exp(random.normal(time.log, time.error, 200_000))
    ratios = np.exp(random.normal(ratio.log, ratio.error, 200_000))
    assert gain.value == pytest.approx(time.value * (1 - ratio.value))
    assert gain.error == pytest.approx(np.std(times * (1 - ratios)), rel=0.02)
