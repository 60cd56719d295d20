"""What a hand-written backward pass buys, workload by workload: the tables of where-it-pays.md.

    manualbp run --workload all --minutes 40
    python docs/studies/where_it_pays.py results/MACHINE

Prints Markdown: for each workload and gradient the ratio to the tape with its 95 % interval, by
mode and batch; and the peak memory of a step beside the tape's.
"""

import argparse
from pathlib import Path

import pandas as pd

from manualbp.cases import MODES, shipped_workloads
from manualbp.reading.frame import load_results


def main() -> None:
    """Print the tables of the newest run in a folder of results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--commit", help="(default: of each cell the newest value)")
    arguments = parser.parse_args()
    table = load_results(arguments.results)
    table = table[(table["device"] == "CPU:0") & (table["status"] == "ok")]
    if arguments.commit:
        table = table[table["commit"].str.startswith(arguments.commit)]
    case = ["quantity", "workload", "gradient", "mode", "batch"]
    table = table.sort_values("date").drop_duplicates(case, keep="last")
    print(ratios(table[table["quantity"] == "ratio_to_tape"]))
    print()
    print(memory(table[table["quantity"] == "track_peak_memory"]))


def ratios(table: pd.DataFrame) -> str:
    """Return a line for each workload, gradient and mode, and a column for each of its batches."""
    lines = [
        "| workload | gradient | mode | ratio to the tape, by batch |",
        "| --- | --- | --- | --- |",
    ]
    for workload in shipped_workloads():
        mine = table[table["workload"] == workload]
        for gradient in mine["gradient"].unique():
            for mode in MODES:
                cells = mine[(mine["gradient"] == gradient) & (mine["mode"] == mode)]
                said = "; ".join(map(cell, cells.sort_values("batch").itertuples()))
                lines.append(f"| {workload} | `{gradient}` | {mode} | {said} |")
    return "\n".join(lines)


def cell(row: object) -> str:
    """Return a batch and its ratio, bold where the whole interval is on one side of 1."""
    text = f"{row.value:.2f}"
    if row.high < 1 or row.low > 1:
        text = f"**{text}**"
    interval = "" if pd.isna(row.low) else f" ({row.low:.2f}–{row.high:.2f})"
    return f"{row.batch}: {text}{interval}"


def memory(table: pd.DataFrame) -> str:
    """Return the peak memory of each gradient at the largest batch, in MiB, beside the tape's."""
    lines = ["| workload | batch | mode | peak memory, MiB |", "| --- | --- | --- | --- |"]
    for workload in shipped_workloads():
        mine = table[table["workload"] == workload]
        largest = mine[mine["batch"] == mine["batch"].max()]
        for mode in MODES:
            cells = largest[largest["mode"] == mode]
            said = ", ".join(
                f"`{row.gradient}` {row.value / 2**20:.0f}" for row in cells.itertuples()
            )
            if said:
                lines.append(f"| {workload} | {cells['batch'].iloc[0]} | {mode} | {said} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
