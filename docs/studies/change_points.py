"""How often detectors of change points cry wolf, and what they find, on series of known truth.

Prints a Markdown table for each length of series.  A candidate that is not installed is skipped
and named; `pip install ruptures apache-otava skchange` into an environment of its own has them
all.  The results and the choice made on them are in docs/history.md.
"""

import argparse
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from asv.step_detect import detect_steps, solve_potts_autogamma
from scipy.special import betaincinv

from manualbp.reading.levels import PENALTY, changes, confirmed, without_outliers

Logs = npt.NDArray[np.float64]
Detector = Callable[[Logs, Logs], Sequence[int]]

SPREAD = (0.008, 0.022)
"""Standard deviation between processes of a series, drawn evenly from this range."""

NEAR = 2
"""A step counts as found when a change is reported at most so many commits away."""

# ---------------------------------------------------------------- series of known truth

NOISE = {
    "independent": "independent lognormal processes, five a commit",
    "outliers": "and 2 % of the commits off by 5 to 30 %",
    "varying": "2 to 10 processes a commit",
    "correlated": "and a commit's own noise: AR(1) of 0.8, standard deviation 1 %",
    "drift": "and a steady drift of 2 % in all",
}


def draw(
    rng: np.random.Generator, commits: int, noise: str, steps: dict[int, float]
) -> tuple[Logs, Logs]:
    """Return a series' logarithms and the weights (1/variance) that its processes give.

    ``steps`` are the changes of the logarithm by the commit that brings them.
    """
    spread = rng.uniform(*SPREAD)
    counts = rng.integers(2, 11, commits) if noise == "varying" else np.full(commits, 5)
    processes = rng.normal(0, spread, (commits, counts.max()))
    present = np.arange(counts.max()) < counts[:, None]
    logs = np.where(present, processes, 0).sum(axis=1) / counts
    # What is known of a commit is the deviation of its own processes.
    variance = np.where(present, (processes - logs[:, None]) ** 2, 0).sum(axis=1)
    weights = counts * (counts - 1) / variance
    if noise == "outliers":
        hit = rng.random(commits) < 0.02
        logs += hit * rng.choice([-1, 1], commits) * rng.uniform(0.05, 0.3, commits)
    elif noise == "correlated":
        wander = rng.normal(0, 0.01)
        for commit in range(commits):
            logs[commit] += wander
            wander = 0.8 * wander + rng.normal(0, 0.01 * math.sqrt(1 - 0.8**2))
    elif noise == "drift":
        logs += np.linspace(0, 0.02, commits)
    for commit, size in steps.items():
        logs[commit:] += size
    return logs, weights


# ---------------------------------------------------------------- candidates


def asv(logs: Logs, weights: Logs) -> list[int]:
    """Find asv's own steps: L1 levels, their number chosen by its information criterion."""
    return [start for start, *_ in detect_steps(logs.tolist())][1:]


def asv_weighted(logs: Logs, weights: Logs) -> list[int]:
    """Find asv's steps with each commit's weight from its processes."""
    return [start for start, *_ in detect_steps(logs.tolist(), weights.tolist())][1:]


def asv_generous(logs: Logs, weights: Logs) -> list[int]:
    """Find asv's steps at this project's lower penalty, with nothing else."""
    beta = PENALTY * math.log(len(logs)) / len(logs)
    return list(solve_potts_autogamma(logs.tolist(), [1.0] * len(logs), beta=beta)[0][:-1])


def manualbp(logs: Logs, weights: Logs) -> list[int]:
    """Find asv's steps at a lower penalty, outliers pulled in, and confirm them."""
    return [change.place for change in changes(np.exp(logs).tolist())]


def otava(logs: Logs, weights: Logs) -> list[int]:
    """Find Apache Otava's change points: E-divisive with Student's t at 0.001, its default."""
    from otava.analysis import compute_change_points

    # A list: of an array Otava 0.8.0 takes the whole for each of its windows.
    return [point.index for point in compute_change_points(np.exp(logs).tolist())[0]]


def ruptures_l2(logs: Logs, weights: Logs) -> list[int]:
    """Find the best L2 levels (PELT) of at least 3 commits, penalty 6 ln(n) variances."""
    import ruptures

    found = ruptures.KernelCPD(kernel="linear", min_size=3).fit(logs.reshape(-1, 1))
    return list(found.predict(pen=6 * _deviation(logs) ** 2 * math.log(len(logs)))[:-1])


def skchange(logs: Logs, weights: Logs) -> list[int]:
    """Find the best L2 levels (FPOP) of standardised values, with its default penalty (BIC)."""
    from skchange.detectors import FPOP

    scaled = (logs / _deviation(logs)).reshape(-1, 1)
    return [int(place) for place in FPOP().fit_predict(scaled)]


def _deviation(logs: Logs) -> float:
    return float(np.median(np.abs(np.diff(logs)))) / (0.6745 * math.sqrt(2))


def treated(detect: Detector) -> Detector:
    """Return a detector with this project's treatment: outliers pulled in, steps confirmed."""

    def wrapped(logs: Logs, weights: Logs) -> list[int]:
        calm = without_outliers(np.exp(logs).tolist())
        found = confirmed(calm, detect(np.log(calm), weights))
        return [change.place for change in found]

    return wrapped


CANDIDATES: dict[str, tuple[str | None, Detector]] = {
    "**manualbp**": (None, manualbp),
    "asv": (None, asv),
    "asv, weights": (None, asv_weighted),
    f"asv, penalty {PENALTY:g}": (None, asv_generous),
    "asv, treated": (None, treated(asv)),
    "Otava": ("otava", otava),
    "Otava, treated": ("otava", treated(otava)),
    "ruptures L2": ("ruptures", ruptures_l2),
    "ruptures L2, treated": ("ruptures", treated(ruptures_l2)),
    "skchange FPOP": ("skchange", skchange),
    "skchange FPOP, treated": ("skchange", treated(skchange)),
}
"""The detectors by name, each with the package it needs besides this project's own."""

# ---------------------------------------------------------------- measuring them


def bounds(hits: int, tries: int) -> tuple[float, float]:
    """Return the Clopper-Pearson 95 % bounds of a share."""
    low = 0.0 if hits == 0 else float(betaincinv(hits, tries - hits + 1, 0.025))
    high = 1.0 if hits == tries else float(betaincinv(hits + 1, tries - hits, 0.975))
    return low, high


def false_alarms(detect: Detector, commits: int, noise: str, series: int, seed: int) -> str:
    """Return the share of series without a step in which one is reported, in percent."""
    rng = np.random.default_rng([seed, commits, list(NOISE).index(noise)])
    hits = sum(len(detect(*draw(rng, commits, noise, {}))) > 0 for _ in range(series))
    low, high = bounds(hits, series)
    return f"{100 * hits / series:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def power(
    detect: Detector, commits: int, size: float, stay: int | None, series: int, seed: int
) -> tuple[float, list[int]]:
    """Return the percentage of steps found, and how many commits off the found ones are.

    The step of ``size`` lies in the middle half; where ``stay`` is given the level returns after
    so many commits, and both places must be found.  2 % of the commits are outliers.
    """
    rng = np.random.default_rng([seed, commits, round(1000 * size), stay or 0])
    hits, errors = 0, []
    for _ in range(series):
        place = int(rng.integers(commits // 4, commits - commits // 4 - (stay or 0)))
        steps = {place: math.log1p(size)}
        if stay is not None:
            steps[place + stay] = -math.log1p(size)
        reported = detect(*draw(rng, commits, "outliers", steps))
        off = [min((abs(other - true) for other in reported), default=commits) for true in steps]
        if max(off) <= NEAR:
            hits += 1
            errors += off
    return 100 * hits / series, errors


def table(commits: int, series: int, seed: int) -> pd.DataFrame:
    """Measure every candidate that is installed, on series of so many commits."""
    rows = []
    for name, (package, detect) in CANDIDATES.items():
        if package is not None and importlib.util.find_spec(package) is None:
            continue
        start = time.process_time()
        row = {"detector": name}
        row |= {noise: false_alarms(detect, commits, noise, series, seed) for noise in NOISE}
        errors: list[int] = []
        for size in (0.02, 0.03, 0.05, 0.1):
            found, off = power(detect, commits, size, None, series // 2, seed)
            row[f"{100 * size:.0f} %"] = f"{found:.0f}"
            errors += off
        found, _ = power(detect, commits, 0.05, 6, series // 2, seed)
        row["5 % for 6 commits"] = f"{found:.0f}"
        row["commits off"] = f"{np.mean(errors):.2f}" if errors else "–"
        # 5 kinds of noise, and 5 steps at half as many series.
        row["ms a series"] = f"{(time.process_time() - start) / (7.5 * series) * 1e3:.1f}"
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=200, help="of each kind (%(default)s)")
    parser.add_argument("--commits", type=int, nargs="+", default=[20, 50, 200])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    packages = {package for package, _ in CANDIDATES.values() if package is not None}
    for package in sorted(packages):
        if importlib.util.find_spec(package) is None:
            print(f"{package} is not installed: its detectors are skipped", file=sys.stderr)
    print("False alarms: percentage of series without a step in which one is reported, with")
    print("Clopper-Pearson 95 % bounds. Power: percentage of steps found at most")
    print(f"{NEAR} commits from their place, among outliers; 'commits off' is of those found.\n")
    for noise, words in NOISE.items():
        print(f"- {noise}: {words}")
    for commits in arguments.commits:
        print(f"\n### {commits} commits\n")
        found = table(commits, arguments.series, arguments.seed)
        print(found.to_markdown(index=False, disable_numparse=True), flush=True)


if __name__ == "__main__":
    main()
