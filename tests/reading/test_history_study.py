import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

SCRIPT = Path(__file__).parents[2] / "docs" / "studies" / "change_points.py"


@pytest.fixture(scope="module")
def study(load_study):
    return load_study("change_points")


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_it_prints_a_row_for_each_detector_and_names_those_it_skips():
    done = run("--series", "4", "--commits", "20")
    rows = [row.split("|")[1].strip() for row in done.stdout.splitlines() if row.startswith("|")]
    assert {"**manualbp**", "asv", "asv, weights", "asv, treated"} <= set(rows)
    for package, row in (("otava", "Otava"), ("ruptures", "ruptures L2")):
        missing = importlib.util.find_spec(package) is None
        assert (f"{package} is not installed" in done.stderr) == missing
        assert (row in rows) != missing


def test_the_bounds_are_clopper_and_pearsons(study):
    for hits, tries in ((0, 500), (1, 500), (37, 200), (200, 200)):
        known = scipy.stats.binomtest(hits, tries).proportion_ci(0.95, method="exact")
        assert study.bounds(hits, tries) == pytest.approx((known.low, known.high))


@pytest.mark.parametrize("noise", ["independent", "outliers", "varying", "correlated", "drift"])
def test_the_series_are_what_they_are_said_to_be(study, noise):
    rng = np.random.default_rng(0)
    logs = np.array([study.draw(rng, 100, noise, {50: 0.1})[0] for _ in range(400)])
    assert np.median(logs[:, 50:]) - np.median(logs[:, :50]) == pytest.approx(
        0.11 if noise == "drift" else 0.1, abs=0.002
    )
    level = logs - 0.1 * (np.arange(100) >= 50)
    assert np.mean(np.abs(level) > 0.045) == pytest.approx(0.02 * (noise == "outliers"), abs=0.005)
    # Half the mean squared difference of neighbours is a series' variance if they are independent.
    steps = np.median(np.diff(level, axis=1) ** 2, axis=1).mean() / (2 * 0.6745**2)
    means = np.median((level - np.median(level, axis=1)[:, None]) ** 2, axis=1).mean() / 0.6745**2
    correlated = noise in ("correlated", "drift")
    assert (means > 1.3 * steps) == correlated
