"""Find out whether cells that share a process have the ratios that they have alone.

    .venv/bin/python docs/studies/sharing.py               # measures, about 8 minutes
    .venv/bin/python docs/studies/sharing.py --evaluate    # from the stored values

Three gradients in every mode at batches 1, 512 and 32768.  In each round a cell is measured once in
a process that it shares with the other gradients, XLA's programs kept from the round before, as
``manualbp run`` does it; and once in a process of its own that compiles anew, as plain ``asv run``
does it, the two in random order.  Both have the same budget.
"""

import argparse
import csv
import random
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd

from manualbp.cli.cells import Cell
from manualbp.cli.plan import process_of
from manualbp.cli.suite import PATIENCE_S, Suite, checked_out, shared_process
from manualbp.cli.tree import find_project
from manualbp.reading.intervals import ratio

VALUES = Path(__file__).with_suffix(".csv")
BENCH = r"ratio_to_tape\('exercise', '(chain|augmented|packed)', '\w+', 'CPU:0', (1|512|32768)\)"
CASE = ["gradient", "mode", "batch"]
COLUMNS = ["round", "where", *CASE, "status", "value", "seconds"]


def main() -> None:
    """Measure, unless told not to, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--evaluate", action="store_true")
    arguments = parser.parse_args()
    if not arguments.evaluate:
        measure(arguments.rounds, time.monotonic() + 60 * arguments.minutes)
    print(report(pd.read_csv(VALUES)))


def measure(rounds: int, deadline: float) -> None:
    """Measure every cell shared and alone, round by round; store each value at once."""
    project = find_project()
    source = replace(checked_out(project), results=project / ".asv/study")
    suite = Suite(project, source, "study", BENCH)
    groups: dict[object, list[Cell]] = {}
    for cell in suite.cells(["CPU:0"]):
        groups.setdefault(process_of(cell), []).append(cell)
    with VALUES.open("w", newline="") as file, shared_process() as asked:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for number in range(rounds):
            with suite.running():
                for group in random.sample(list(groups.values()), len(groups)):
                    processes = [("shared", group, asked)]
                    alone = {"patience": PATIENCE_S}
                    processes += [("alone", [cell], alone) for cell in group]
                    for where, cells, attributes in random.sample(processes, len(processes)):
                        if time.monotonic() > deadline:
                            return
                        for cell, outcome in suite.try_out(cells, attributes).items():
                            _, gradient, mode, _, batch = (p.strip("'") for p in cell.parameters)
                            row = {"round": number, "where": where, "gradient": gradient}
                            row |= {"mode": mode, "batch": batch, "status": outcome.status}
                            row |= {"value": outcome.value, "seconds": round(outcome.seconds, 3)}
                            writer.writerow(row)
                        file.flush()
            print(f"round {number + 1} of {rounds}", flush=True)


def report(values: pd.DataFrame) -> str:
    """Return the table in Markdown: the shared value over the one alone, with its interval."""
    rows = []
    good = values[values["status"] == "ok"]
    for case, mine in good.groupby(CASE, sort=False):
        shared, alone = (mine[mine["where"] == where] for where in ("shared", "alone"))
        found = ratio(list(shared["value"]), list(alone["value"]))
        rows.append(
            {
                **dict(zip(CASE, case, strict=True)),
                "processes": f"{len(shared)}, {len(alone)}",
                "alone": f"{alone['value'].median():.3f}",
                "shared over alone": f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})",
                "holds 1": "yes" if found.low <= 1 <= found.high else "no",
                "seconds alone, shared": f"{alone['seconds'].median():.2f}, "
                f"{shared['seconds'].median():.2f}",
            }
        )
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    main()
