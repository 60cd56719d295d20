"""What would settle a cell, held against textbook formulas and against simulated measurements."""

import math

import numpy as np
import pytest
from scipy import stats

from manualbp.reading import settling
from manualbp.reading.intervals import Estimate
from manualbp.reading.settling import MOST, NO_MARGIN, ONE_PROCESS, Change, change_of, explain
from manualbp.reading.verdicts import ALPHA, p_value

MARGIN = 0.02
EDGE = math.log1p(MARGIN)


def known(size, deviation, processes, *, paired=False):
    """A change estimated as ``size`` (on logarithms) from values with this deviation."""
    sides = ((deviation**2, processes),) * (1 if paired else 2)
    error = math.sqrt(sum(variance / count for variance, count in sides))
    return Change(Estimate(size, error, len(sides) * (processes - 1)), sides)


def settled(change, level=ALPHA):
    """The verdicts' own rule: tell whether a change is *same*, *slower* or *faster*."""
    found = change.estimate
    if p_value(found) < level and abs(found.log) > EDGE:
        return True
    return bool(found.low > 1 / (1 + MARGIN) and found.high < 1 + MARGIN)


# ---------------------------------------------------------------- why


@pytest.mark.parametrize(
    ("change", "margin", "why"),
    [
        (Change(Estimate(0.1, math.nan, math.nan), ()), MARGIN, ONE_PROCESS),
        (known(0.1, 0.1, 5), math.nan, NO_MARGIN),
        (known(0.001, 0.05, 5), MARGIN, "its interval (±7.6 %) is wider than the margin"),
        (known(0.03, 0.05, 5), MARGIN, "its interval (±7.6 %) is wider than the margin"),
        (known(0.015, 0.008, 5), MARGIN, "its interval reaches beyond the margin's edge"),
        (
            known(0.03, 0.015, 5),
            MARGIN,
            "beyond the margin, but not significant among 36 cells",
        ),
    ],
)
def test_each_kind_has_its_words(change, margin, why):
    found = explain(change, margin, ALPHA / 36, 36)
    assert found.why == why
    assert found.remedy


def test_nothing_absurd_is_promised():
    found = explain(known(0.0001, 0.5, 4), MARGIN, ALPHA, 1)
    assert found.more is None
    assert found.remedy == f"would take more than {MOST} more processes on each side"
    found = explain(known(EDGE - 1e-6, 0.005, 5), MARGIN, ALPHA, 1)
    assert found.more is None
    assert found.remedy.endswith("the change is about as large as the margin")


def test_one_process_more_is_said_in_the_singular():
    changes = [known(0.0, deviation / 10_000, 2) for deviation in range(20, 400, 2)]
    remedies = [explain(change, MARGIN, ALPHA, 1) for change in changes if not settled(change)]
    assert {found.more for found in remedies} > {1, 2}
    for found in remedies:
        if found.more is not None:
            assert ("process on" in found.remedy) == (found.more == 1)


def test_values_give_their_change_and_its_sides():
    generator = np.random.default_rng(3)
    head, base = np.exp(generator.normal(0, 0.1, 7)), np.exp(generator.normal(0, 0.2, 4))
    change = change_of(tuple(head), tuple(base), paired=False)
    variances = [np.log(head).var(ddof=1), np.log(base).var(ddof=1)]
    assert change.sides == ((pytest.approx(variances[0]), 7), (pytest.approx(variances[1]), 4))
    assert change.after(0) == (
        pytest.approx(change.estimate.error),
        pytest.approx(change.estimate.freedom),
    )
    paired = change_of(tuple(head), tuple(base), paired=True)
    differences = np.log(head[:4]) - np.log(base)
    assert paired.sides == ((pytest.approx(differences.var(ddof=1)), 4),)
    assert change_of((1.0,), (1.0, 2.0), paired=False).sides == ()


# ---------------------------------------------------------------- how many


@pytest.mark.parametrize("seed", range(20))
def test_the_number_is_the_least_that_the_formulas_give(seed):
    """A verdict in four of five tries, by scipy's distributions and Welch's formulas."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(3, 9, size=2)
    deviations = generator.uniform(0.005, 0.03, size=2)
    size = generator.choice([-1, 1]) * generator.uniform(0, 0.05)
    level = ALPHA / generator.integers(1, 40)
    sides = tuple(zip(deviations**2, map(int, counts), strict=True))
    error = math.sqrt(sum(variance / count for variance, count in sides))
    change = Change(Estimate(size, error, 4), sides)

    def fits(more):
        parts = [variance / (count + more) for variance, count in sides]
        freedom = sum(parts) ** 2 / sum(
            part**2 / (count + more - 1) for part, (_, count) in zip(parts, sides, strict=True)
        )
        spread = math.sqrt(sum(parts))

        def likely(true):
            estimates = stats.t(freedom, loc=true, scale=spread)
            if true <= EDGE:
                room = EDGE - stats.t(freedom, scale=spread).ppf(0.975)
                return estimates.cdf(room) - estimates.cdf(-room) >= 0.8
            least = max(EDGE, stats.t(freedom, scale=spread).isf(level / 2))
            return estimates.sf(least) >= 0.8

        half = stats.t(change.after(0)[1], scale=error).ppf(0.975)
        if half >= EDGE and abs(abs(size) - EDGE) < error:
            return likely(EDGE / 2) and likely(1.5 * EDGE)
        return likely(abs(size))

    expected = next((more for more in range(1, MOST + 1) if fits(more)), None)
    assert settling.more_processes(change, EDGE, level) == expected


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(
    ("size", "deviation", "cells"),
    [(0.0, 0.02, 1), (0.008, 0.012, 36), (0.045, 0.03, 1), (0.035, 0.02, 36), (-0.06, 0.05, 10)],
)
def test_the_promised_number_settles_in_most_tries(size, deviation, cells, paired):
    """Measured afresh with the number promised, the truth being what was estimated."""
    level = ALPHA / cells
    change = known(size, deviation, 4, paired=paired)
    assert not settled(change, level)
    more = explain(change, MARGIN, level, cells).more
    generator = np.random.default_rng(4)
    tries = 400

    def often(processes):
        count = 0
        for _ in range(tries):
            head = np.exp(generator.normal(size, deviation, processes))
            # Paired values scatter by their difference alone.
            base = np.exp(generator.normal(0, 0 if paired else deviation, processes))
            count += settled(change_of(tuple(head), tuple(base), paired=paired), level)
        return count

    # Fewer than these in 400 has a probability below 0.1 % at 75 %: the formula is approximate.
    assert often(4 + more) >= stats.binom.ppf(0.001, tries, 0.75)
    # And it is no waste: half as many would not do.
    if more > 4:
        assert often(4 + more // 2) < stats.binom.ppf(0.999, tries, 0.75)


def test_added_to_what_there_is_the_number_settles_cells_of_equal_commits():
    """As ``manualbp run`` adds: from inconclusive cells of no change, most are settled."""
    generator = np.random.default_rng(5)

    def values(count):
        return list(np.exp(generator.normal(0, 0.015, count)))

    open_, closed = 0, 0
    for _ in range(400):
        head, base = values(5), values(5)
        first = change_of(head, base, paired=False)
        if settled(first):
            continue
        more = explain(first, MARGIN, ALPHA, 1).more
        if more is None:
            continue
        open_ += 1
        closed += settled(change_of(head + values(more), base + values(more), paired=False))
    assert open_ > 100
    assert closed > 0.6 * open_
