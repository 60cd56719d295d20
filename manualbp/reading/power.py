"""A calibration in words, tables and one figure: false alarms, power, deviations."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from manualbp.reading.calibration import achieved, deviations, rates
from manualbp.reading.drawing import PlainFigure
from manualbp.reading.frame import distinct, records
from manualbp.reading.schema import CASE
from manualbp.reading.text import in_markdown

ENOUGH = 20
"""Processes from which a deviation is known within a third."""

_LOOKS = {"idle": ("#0072B2", "o", "-"), "busy": ("#D55E00", "s", "--")}


def summary(values: pd.DataFrame, tries: pd.DataFrame) -> str:
    """Say in a line for each condition what the machine detects, and its false alarms."""
    table = rates(tries)
    lines = []
    for condition in distinct(table["condition"], ("idle", "busy")):
        mine = table[table["condition"] == condition]
        found = [
            f"{row['percent']:g} % slowdowns in {row['slower']} of {row['tries']} tries"
            for row in records(mine[mine["percent"] > 0])
        ]
        alarms = [
            f"{row['slower']} false alarms in {row['tries']} comparisons of equal commits "
            f"(95 % bounds {100 * row['low']:.1f} to {100 * row['high']:.1f} %)"
            for row in records(mine[mine["percent"] == 0])
        ]
        lines.append(f"{condition}: {'; '.join([*alarms, *found]) or 'too few rounds to judge'}.")
    for condition, count in values.attrs.get("discarded", {}).items():
        total = count + int((values["condition"] == condition).sum())
        lines.append(f"{condition}: {count} of {total} values discarded: the machine was busy.")
    spread = deviations(values)
    for condition in distinct(spread["condition"], ("idle", "busy")):
        # Of fewer processes a deviation is hardly known.
        enough = (spread["condition"] == condition) & (spread["processes"] >= ENOUGH)
        mine = spread[enough & (spread["quantity"] == "ratio_to_tape")]
        if not mine.empty:
            known = 100 * mine["deviation"]
            within = 100 * mine["within"]
            lines.append(
                f"{condition}: deviation between processes of the ratio to the tape "
                f"{known.median():.2f} % in the median cell, {known.max():.2f} % at worst, "
                f"at most 1.5 % in {int((known <= 1.5).sum())} of {len(mine)} cells; within a "
                f"round {within.median():.2f} %, {within.max():.2f} % and "
                f"{int((within <= 1.5).sum())}."
            )
    return "\n".join(lines)


def tables(values: pd.DataFrame, tries: pd.DataFrame) -> str:
    """Return the calibration as Markdown: rates with bounds, achieved sizes, deviations."""
    values, tries = in_markdown(values), in_markdown(tries)
    parts = ["# What this machine can tell apart", summary(values, tries), "## Called slower"]
    parts.append(_markdown(_rates(tries)))
    parts.append("Bounds are Clopper and Pearson's, 95 %. Tries share equal arms, so they are not")
    parts[-1] += " independent. asv's rule: 1.1 times and Mann-Whitney p < 0.002, same values."
    sizes = achieved(values)
    if not sizes.empty:
        parts += ["## What the slowdowns came to, measured apart", _markdown(_sizes(sizes))]
    parts += ["## Deviation between processes", _markdown(_deviations(values))]
    return "\n\n".join(parts) + "\n"


def power_curve(tries: pd.DataFrame) -> Figure:
    """Draw how often a slowdown is called slower against its size, a line for each condition.

    Bars are 95 % Clopper-Pearson intervals; at 0 % stand the false alarms.  Crosses are asv's own
    rule on the same values.
    """
    table = rates(tries)
    figure = PlainFigure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for place, condition in enumerate(distinct(table["condition"], ("idle", "busy"))):
        mine = table[table["condition"] == condition].sort_values("percent")
        colour, marker, line = _LOOKS.get(condition, ("#777777", "D", ":"))
        x = mine["percent"] + 0.08 * place
        bars = [100 * (mine["rate"] - mine["low"]), 100 * (mine["high"] - mine["rate"])]
        axes.errorbar(
            x, 100 * mine["rate"], bars, color=colour, marker=marker, ls=line, capsize=3,
            label=f"manualbp gate, {condition}",
        )  # fmt: skip
        axes.plot(
            x, 100 * mine["asv"] / mine["tries"], color=colour, marker="x", ls=":", lw=1,
            label=f"asv's rule, {condition}",
        )  # fmt: skip
    axes.set_xlabel("extra work in one callable (% of its time)")
    axes.set_ylabel("called slower (% of tries)")
    axes.set_ylim(-3, 103)
    axes.grid(color="#E5E5E5", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center right")
    return figure


def write(values: pd.DataFrame, tries: pd.DataFrame, output: Path) -> tuple[Path, ...]:
    """Write ``calibration.md`` and ``power.svg`` and ``.png`` to the folder ``output``."""
    output.mkdir(parents=True, exist_ok=True)
    text = output / "calibration.md"
    text.write_text(tables(values, tries), encoding="utf-8", newline="\n")
    if tries.empty:
        return (text,)
    figure = power_curve(tries)
    svg, png = output / "power.svg", output / "power.png"
    with mpl.rc_context({"svg.hashsalt": "manualbp"}):
        figure.savefig(svg, metadata={"Date": None})
    figure.savefig(png, dpi=150)
    return text, svg, png


# ---------------------------------------------------------------- tables


def _markdown(table: pd.DataFrame) -> str:
    return str(table.to_markdown(index=False, disable_numparse=True))


def _rates(tries: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (
            row["condition"],
            "equal" if row["percent"] == 0 else f"{row['percent']:g} %",
            f"{row['slower']} of {row['tries']}",
            f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %",
            f"{row['families_slower']} of {row['families']}" if row["percent"] == 0 else "",
            f"{row['asv']} of {row['tries']}",
        )
        for row in records(rates(tries))
    ]
    heads = ["condition", "slowdown", "called slower", "bounds", "whole comparisons", "asv's rule"]
    return pd.DataFrame(rows, columns=heads)


def _sizes(sizes: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (
            f"{row['percent']:g} %",
            f"{100 * row['share']:.2f} %",
            f"{100 * row['low']:.2f} to {100 * row['high']:.2f} %",
            row["cells"],
        )
        for row in records(sizes)
    ]
    return pd.DataFrame(rows, columns=["asked for", "came to", "95 % interval", "cells"])


def _deviations(values: pd.DataFrame) -> pd.DataFrame:
    table = deviations(values)
    rows = [
        (
            row["condition"],
            row["quantity"],
            "/".join(str(row[column]) for column in CASE if pd.notna(row[column])),
            f"{100 * row['deviation']:.2f} %",
            f"{100 * row['within']:.2f} %",
            row["processes"],
        )
        for row in records(table)
    ]
    return pd.DataFrame(
        rows, columns=["condition", "ratio", "cell", "deviation", "within a round", "processes"]
    )
