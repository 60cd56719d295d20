"""A run's report on disk: pictures, tables as Markdown, and the tidy table as CSV."""

import re
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from manualbp.reading import figures, summary
from manualbp.reading.export import write_table
from manualbp.reading.frame import (
    distinct,
    latest_run,
    load_results,
    of_commit,
    only,
    select,
)

DPI = 150


@dataclass(frozen=True)
class Report:
    """What ``write_report`` wrote: the headline, and the files, ``report.md`` first."""

    headline: str
    files: tuple[Path, ...]


def write_report(
    results: Path, output: Path, *, machine: str | None = None, commit: str | None = None
) -> Report:
    """Write the report of one run in ``results`` to the directory ``output``.

    It is the run that started last, among those of ``machine`` and of ``commit`` (a hash or its
    beginning) where these are given.  Written are ``report.md``, ``results.csv`` (the columns of
    ``load_results``, samples joined by spaces) and, for each network and device with anything to
    show, ``speedup-``, ``time-`` and ``first-call-<network>-<device>`` as PNG and SVG.  The same
    results give the same bytes.  ``ResultsError`` is raised for results that cannot be read and
    for a machine or a commit that is not among them.
    """
    frame = _pick(load_results(results), machine, commit)
    output.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    pictures: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for network in distinct(frame["network"]):
        for device in distinct(frame["device"]):
            here = select(frame, network, device)
            for file, (description, draw) in figures.FIGURES.items():
                try:
                    figure = draw(here)
                except figures.NothingToDrawError:
                    continue
                stem = f"{file}-{_file_name(network)}-{_file_name(device)}"
                files += _save(figure, output, stem)
                picture = (f"{description}: {network} on {device}", f"{stem}.svg")
                pictures.setdefault((network, device), []).append(picture)
    text = output / "report.md"
    text.write_text(summary.markdown(frame, pictures), encoding="utf-8", newline="\n")
    table = output / "results.csv"
    write_table(frame, table)
    return Report(summary.headline(frame), (text, table, *files))


def _pick(frame: pd.DataFrame, machine: str | None, commit: str | None) -> pd.DataFrame:
    """Return the latest run of a machine and a commit, either of which may be left open."""
    frame = only(frame, "machine", None if machine is None else [machine])
    return latest_run(of_commit(frame, commit))


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "", name)  # "CPU:0": no file may have a colon on Windows


def _save(figure: Figure, output: Path, stem: str) -> list[Path]:
    png, svg = output / f"{stem}.png", output / f"{stem}.svg"
    # A fixed salt and no date: the same results give the same bytes, and a diff shows a change.
    with mpl.rc_context({"svg.hashsalt": "manualbp"}):
        figure.savefig(png, dpi=DPI)
        figure.savefig(svg, metadata={"Date": None})
    return [png, svg]
