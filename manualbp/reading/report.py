"""A run's report on disk: pictures, tables as Markdown, and the tidy table as CSV."""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from manualbp.reading import figures, summary
from manualbp.reading.frame import (
    ResultsError,
    distinct,
    latest_run,
    load_results,
    runs,
    select,
)
from manualbp.reading.history import change_points, history
from manualbp.reading.history_figures import history_figure
from manualbp.reading.history_words import changes_markdown

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
    show, ``speedup-``, ``time-`` and ``first-call-<network>-<device>`` as PNG and SVG, and
    ``history`` where there are several commits of the machine.  The same results give the same
    bytes.  ``ResultsError`` is raised for results that cannot be read and for a machine or a
    commit that is not among them.
    """
    everything = load_results(results)
    frame = _pick(everything, machine, commit)
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
    past, drawn = _write_history(everything, frame, output)
    files += drawn
    text = output / "report.md"
    text.write_text(summary.markdown(frame, pictures) + past, encoding="utf-8", newline="\n")
    table = output / "results.csv"
    _write_csv(frame, table)
    return Report(summary.headline(frame), (text, table, *files))


def _pick(frame: pd.DataFrame, machine: str | None, commit: str | None) -> pd.DataFrame:
    """Return the latest run of a machine and a commit, either of which may be left open."""
    known = runs(frame)
    if machine is not None:
        names = distinct(known["machine"])
        if machine not in names:
            raise ResultsError(f"no results of machine {machine!r}; there are {', '.join(names)}")
        frame = frame[frame["machine"] == machine]
    if commit is not None:
        hashes = distinct(runs(frame)["commit"])
        found = [full for full in hashes if full.startswith(commit)] if commit else []
        if len(found) != 1:
            what = "several commits" if found else "no results of a commit"
            raise ResultsError(
                f"{what} beginning with {commit!r}; there are {', '.join(h[:8] for h in hashes)}"
            )
        frame = frame[frame["commit"] == found[0]]
    return latest_run(frame)


def _write_history(
    everything: pd.DataFrame, run: pd.DataFrame, output: Path
) -> tuple[str, list[Path]]:
    """Draw the history of the run's machine; return its section and files, if there is one."""
    lines = history(everything[everything["machine"] == run["machine"].iloc[0]])
    if lines["commit"].nunique() < 2:
        return "", []
    found = change_points(lines)
    files: list[Path] = []
    with contextlib.suppress(figures.NothingToDrawError):
        files = _save(history_figure(lines, found), output, "history")
    picture = "history.svg" if files else None
    return "\n" + changes_markdown(lines, found, picture), files


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "", name)  # "CPU:0": no file may have a colon on Windows


def _save(figure: Figure, output: Path, stem: str) -> list[Path]:
    png, svg = output / f"{stem}.png", output / f"{stem}.svg"
    # A fixed salt and no date: the same results give the same bytes, and a diff shows a change.
    with mpl.rc_context({"svg.hashsalt": "manualbp"}):
        figure.savefig(png, dpi=DPI)
        figure.savefig(svg, metadata={"Date": None})
    return [png, svg]


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    joined = frame["samples"].map(lambda samples: " ".join(map(repr, samples)))
    frame.assign(samples=joined).to_csv(path, index=False, lineterminator="\n")
