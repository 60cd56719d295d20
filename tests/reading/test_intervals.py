import math

import numpy as np
import pytest
import scipy.stats

from manualbp.reading.intervals import Estimate, estimate, product, ratio

TAPE = [1.43e-3, 1.51e-3, 1.38e-3, 1.60e-3, 1.44e-3]
MANUAL = [2.6e-4, 2.9e-4, 2.5e-4]


def test_an_estimate_is_the_geometric_mean_with_students_interval_on_logs():
    known = estimate(TAPE)
    logs = np.log(TAPE)
    low, high = scipy.stats.t.interval(0.95, len(TAPE) - 1, logs.mean(), scipy.stats.sem(logs))
    assert known.value == pytest.approx(scipy.stats.gmean(TAPE), rel=1e-12)
    assert (known.low, known.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-12)


def test_a_ratio_is_welchs_on_logs():
    known = ratio(TAPE, MANUAL)
    reference = scipy.stats.ttest_ind(np.log(TAPE), np.log(MANUAL), equal_var=False)
    interval = reference.confidence_interval(0.95)
    assert known.value == pytest.approx(scipy.stats.gmean(TAPE) / scipy.stats.gmean(MANUAL))
    assert known.freedom == pytest.approx(reference.df)
    assert (known.low, known.high) == pytest.approx(
        (math.exp(interval.low), math.exp(interval.high))
    )


def test_a_reciprocal_turns_the_interval_round():
    known = estimate(TAPE)
    turned = product((known,), (-1,))
    assert turned.value == pytest.approx(1 / known.value)
    assert (turned.low, turned.high) == pytest.approx((1 / known.high, 1 / known.low))


def test_the_interval_holds_its_level():
    # 95 % of 4000 intervals, give or take four standard errors of that share.
    noise = np.random.default_rng(0).lognormal(0, 0.1, (4000, 2, 5))
    holds = [k.low <= 1 <= k.high for k in (ratio(list(a), list(b)) for a, b in noise)]
    assert np.mean(holds) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


@pytest.mark.parametrize("values", [[], [2.0]])
def test_fewer_than_two_processes_have_no_interval(values):
    known = estimate(values)
    assert math.isnan(known.low)
    assert math.isnan(known.high)
    assert known.value == 2.0 if values else math.isnan(known.value)


def test_a_single_process_on_one_side_leaves_a_ratio_without_interval():
    known = ratio(TAPE, MANUAL[:1])
    assert known.value == pytest.approx(scipy.stats.gmean(TAPE) / MANUAL[0])
    assert math.isnan(known.low)


def test_equal_values_give_an_interval_without_width():
    known = ratio([2.0, 2.0, 2.0], [1.0, 1.0])
    assert (known.low, known.value, known.high) == pytest.approx((2, 2, 2))


@pytest.mark.parametrize("bad", [0.0, -1e-6, math.nan, math.inf])
def test_values_that_no_time_can_have_are_refused(bad):
    with pytest.raises(ValueError, match="expected positive finite values, got"):
        estimate([1.0, bad])


def test_a_product_needs_a_power_for_each_factor():
    with pytest.raises(ValueError, match="got 1 factors and 2 powers"):
        product((Estimate(0.0, 0.1, 3),), (1, -1))
    with pytest.raises(ValueError, match="got 0 factors"):
        product((), ())
