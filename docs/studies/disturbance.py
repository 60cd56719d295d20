"""Find out how wrong a ratio is beside busy neighbours, and which indicator tells.

    .venv/bin/python docs/studies/disturbance.py              # measures, about 20 minutes
    .venv/bin/python docs/studies/disturbance.py --evaluate   # from the stored values

Known ratios, those of the quiet machine, are measured again beside 1, 2 and 4 neighbours that
count, move memory, or come in bursts: eager, graph and xla at batches 1, 512 and 32768.  Every
process's value is stored with what the engine says disturbed it, in ``disturbance.csv`` here.
The tables say, for each condition, how many values are accepted and how far those are from the
truth; and for each indicator, how well a threshold of it separates right from wrong.
"""

import argparse
import csv
import itertools
import random
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from manualbp.running.cells import Cell
from manualbp.running.neighbour import KINDS, neighbours
from manualbp.running.plan import process_of
from manualbp.running.source import checked_out
from manualbp.running.suite import Suite, shared_process
from manualbp.running.tree import find_project

VALUES = Path(__file__).with_suffix(".csv")
QUIET = ("quiet", 0)
CONDITIONS = [QUIET, *itertools.product(KINDS, (1, 2, 4))]
BENCH = r"ratio_to_tape\('exercise', '(chain|augmented|packed)', '\w+', 'CPU:0', (1|512|32768)\)"
QUIET_TIMES = 3
"""How often a round visits the quiet machine, for it is the truth."""

INDICATORS = ("others", "stalled", "switched", "stolen")
WRONG = 0.03
"""A value further from the truth than this is wrong."""

COLUMNS = ["round", "kind", "neighbours", "gradient", "mode", "batch", "status", "value", "quiet"]
COLUMNS += [*INDICATORS, "reason"]


def main() -> None:
    """Measure, unless told not to, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--evaluate", action="store_true")
    arguments = parser.parse_args()
    if not arguments.evaluate:
        measure(arguments.rounds, time.monotonic() + 60 * arguments.minutes)
    print(report(pd.read_csv(VALUES)))


def measure(rounds: int, deadline: float) -> None:
    """Visit every condition in random order, and every case in each; store each value at once."""
    project = find_project()
    source = replace(checked_out(project), results=project / ".asv/study")
    suite = Suite(project, source, "study", BENCH)
    groups: dict[object, list[Cell]] = {}
    for cell in suite.cells(["CPU:0"]):
        groups.setdefault(process_of(cell), []).append(cell)
    with VALUES.open("w", newline="") as file, shared_process() as asked:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for number in range(rounds):
            visits = [*CONDITIONS, *[QUIET] * (QUIET_TIMES - 1)]
            for kind, count in random.sample(visits, len(visits)):
                busy = neighbours(kind, count) if count else nullcontext()
                with suite.running(), busy:
                    for cells in random.sample(list(groups.values()), len(groups)):
                        if time.monotonic() > deadline:
                            return
                        outcomes = suite.try_out(cells, asked)
                        for cell, outcome in outcomes.items():
                            _, gradient, mode, _, batch = (p.strip("'") for p in cell.parameters)
                            row = {"round": number, "kind": kind, "neighbours": count}
                            row |= {"gradient": gradient, "mode": mode, "batch": batch}
                            row |= {"status": outcome.status, "value": outcome.value}
                            row |= outcome.disturbance or {}
                            writer.writerow(row | {"reason": outcome.reason})
                        file.flush()
                print(f"round {number + 1}: {kind} {count}", flush=True)


def report(values: pd.DataFrame) -> str:
    """Return the tables in Markdown."""
    case = ["gradient", "mode", "batch"]
    values = values[values["status"].isin(["ok", "disturbed"])].copy()
    quiet = values[(values["kind"] == "quiet") & (values["status"] == "ok")]
    truth = quiet.groupby(case)["value"].median().rename("truth")
    values = values.join(truth, on=case)
    values["error"] = (np.log(values["value"]) - np.log(values["truth"])).abs()
    return "\n\n".join([conditions(values), modes(values), thresholds(values)])


def conditions(values: pd.DataFrame) -> str:
    """Say of each condition what was accepted, and how right that and the rest was."""
    return grouped(values, ["kind", "neighbours"])


def modes(values: pd.DataFrame) -> str:
    """Say the same of each mode and batch, over all conditions but the quiet one."""
    return grouped(values[values["kind"] != "quiet"], ["mode", "batch"])


def grouped(values: pd.DataFrame, by: list[str]) -> str:
    """Return a table of accepted and discarded values, a row for each of ``by``."""
    rows = []
    for key, mine in values.groupby(by, sort=False):
        accepted, rest = (mine[mine["status"] == status] for status in ("ok", "disturbed"))
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "values": len(mine),
                "accepted": len(accepted),
                "of them within 3 %": share(accepted["error"] <= WRONG),
                "95 % of them within": percent(accepted["error"].quantile(0.95)),
                "discarded within 3 %": share(rest["error"] <= WRONG),
                "worst discarded": percent(rest["error"].max()),
            }
        )
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


def thresholds(values: pd.DataFrame) -> str:
    """Say of each indicator's thresholds how many values are below, and how many of them right."""
    rows = []
    for name in INDICATORS:
        for threshold in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
            below = values[values[name] <= threshold]
            rows.append(
                {
                    "indicator": name,
                    "at most": f"{threshold:.0%}",
                    "values": len(below),
                    "of them within 3 %": share(below["error"] <= WRONG),
                    "95 % of them within": percent(below["error"].quantile(0.95)),
                }
            )
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


def share(mask: "pd.Series[bool]") -> str:
    """Return the share of true values."""
    return percent(mask.mean())


def percent(number: float) -> str:
    """Return a share or an error in percent."""
    return "–" if np.isnan(number) else f"{100 * number:.1f} %"


if __name__ == "__main__":
    main()
