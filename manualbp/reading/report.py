"""A report on disk: the page, pictures, tables as Markdown, and the tidy table as CSV."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from manualbp.reading import figures, page, summary
from manualbp.reading.export import write_csv
from manualbp.reading.frame import latest_run, load_results, of_commit, only, places, select
from manualbp.reading.history_figures import history_figure
from manualbp.reading.history_words import changes_markdown
from manualbp.reading.looks import looks_of
from manualbp.reading.machines import tell_apart
from manualbp.reading.page.picture import THEMES, picture
from manualbp.reading.schema import RUN
from manualbp.reading.text import file_name, presentable

DPI = 150


@dataclass(frozen=True)
class Report:
    """What ``write_report`` wrote: the headline, and the files, the page first."""

    headline: str
    files: tuple[Path, ...]


def write_report(
    results: Path | Sequence[Path],
    output: Path,
    *,
    machine: str | None = None,
    commit: str | None = None,
    command: str = "manualbp report",
    links: Mapping[str, str] | None = None,
) -> Report:
    """Write the report of one run in ``results`` to the directory ``output``.

    It is the run that started last, among those of ``machine`` and of ``commit`` (a hash or its
    beginning) where these are given.  Written are ``index.html``, the page; ``report.md``;
    ``results.csv`` (the columns of ``load_results``, samples joined by spaces) and, for each
    workload and device with anything to show, the ``FIGURES`` as ``<figure>-<workload>-<device>``
    in PNG and SVG, the matrix with the speedup's curves as ``answer-<workload>-<device>-light`` and
    ``-dark`` in SVG, and ``history`` where there are several commits of the machine.  Of several
    ``results`` there is one run each: they stand side by side on the page and one after the other
    in the table, and the text and the pictures of each are in a folder of its own; two machines of
    one name are told apart (``machines.tell_apart``).  ``command`` is what the page says that made
    it, and ``links`` lead from it to the other pages of a site (relative addresses by their text).
    The same results give the same bytes.  ``ResultsError`` is raised for results that cannot be
    read and for a machine or a commit that is not among them.
    """
    chosen = _runs(_paths(results), machine, commit)
    table = pd.concat([run.frame for run in chosen])
    output.mkdir(parents=True, exist_ok=True)
    files = [output / "index.html", output / "results.csv"]
    text = StringIO()
    write_csv(table, text)
    csv = text.getvalue()
    files[0].write_text(page.render(chosen, csv, command, links), encoding="utf-8", newline="\n")
    files[1].write_text(csv, encoding="utf-8", newline="\n")
    for run in chosen:
        files += _write_run(run, output / run.key)
        files += _write_pictures(run, output / run.key)
    return Report(_headline(chosen), tuple(files))


def _paths(results: Path | Sequence[Path]) -> Sequence[Path]:
    return [results] if isinstance(results, Path) else results


def _runs(paths: Sequence[Path], machine: str | None, commit: str | None) -> list[page.Run]:
    """Return the run of every path, its rows numbered through as the table has them."""
    found: list[tuple[Path, pd.DataFrame, pd.DataFrame]] = []
    chosen_machine = None if machine is None else [machine]
    loaded = tell_apart([only(load_results(path), "machine", chosen_machine) for path in paths])
    for path, everything in zip(paths, map(presentable, loaded), strict=True):
        newest = latest_run(of_commit(everything, commit))
        past = everything[everything["machine"] == newest["machine"].iloc[0]]
        if not any(_same_run(newest, other) for _, other, _ in found):
            found.append((path, newest, past))
    labels = page.label_runs([_identity(path, newest) for path, newest, _ in found])
    chosen, start = [], 0
    for label, (_, newest, past) in zip(labels, found, strict=True):
        key = file_name(label.replace(" · ", "-").replace(" ", "-")) if len(found) > 1 else ""
        numbered = newest.set_axis(range(start, start + len(newest)))
        chosen.append(page.Run(key, label, numbered, past))
        start += len(newest)
    return chosen


def _same_run(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return bool((one[RUN].iloc[0] == other[RUN].iloc[0]).all()) and len(one) == len(other)


def _identity(path: Path, frame: pd.DataFrame) -> dict[str, str]:
    """Return what may tell a run from others, in the order in which a reader wants it."""
    run = frame.iloc[0]
    return {
        "machine": run["machine"],
        "tensorflow": f"TensorFlow {run['tensorflow']}",
        "python": f"Python {run['python']}",
        "environment": run["environment"],
        "commit": run["commit"][:8],
        "path": str(path),
    }


def _headline(chosen: Sequence[page.Run]) -> str:
    if len(chosen) == 1:
        return summary.headline(chosen[0].frame)
    return "\n\n".join(f"{run.label}\n{summary.headline(run.frame)}" for run in chosen)


def _write_run(run: page.Run, output: Path) -> list[Path]:
    """Write a run's text and pictures."""
    frame = run.frame
    output.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    pictures: dict[tuple[str, str], list[tuple[str, str]]] = {}
    looks = looks_of(frame)
    for workload, device in places(frame):
        here = select(frame, workload, device)
        for file, (description, draw) in figures.FIGURES.items():
            try:
                figure = draw(here, looks)
            except figures.NothingToDrawError:
                continue
            stem = f"{file}-{file_name(workload)}-{file_name(device)}"
            files += _save(figure, output, stem)
            picture = (f"{description}: {workload} on {device}", f"{stem}.svg")
            pictures.setdefault((workload, device), []).append(picture)
    past, drawn = _write_history(run, output)
    files += drawn
    text = output / "report.md"
    text.write_text(summary.markdown(frame, pictures) + past, encoding="utf-8", newline="\n")
    return [text, *files]


def _write_pictures(run: page.Run, output: Path) -> list[Path]:
    """Write the answer of each place as a picture, light and dark, for a README."""
    files = []
    for place in run.places:
        for theme in THEMES:
            text = picture(place, theme)
            if text is not None:
                name = f"answer-{file_name(place.workload)}-{file_name(place.device)}-{theme}.svg"
                files.append(output / name)
                files[-1].write_text(text, encoding="utf-8", newline="\n")
    return files


def _write_history(run: page.Run, output: Path) -> tuple[str, list[Path]]:
    """Draw the history of the run's machine; return its section and files, if there is one."""
    lines, found = run.lines, run.changes
    if lines["commit"].nunique() < 2:
        return "", []
    files: list[Path] = []
    with contextlib.suppress(figures.NothingToDrawError):
        files = _save(history_figure(lines, found), output, "history")
    picture = "history.svg" if files else None
    return "\n" + changes_markdown(lines, found, picture), files


def _save(figure: Figure, output: Path, stem: str) -> list[Path]:
    png, svg = output / f"{stem}.png", output / f"{stem}.svg"
    # A fixed salt and no date: the same results give the same bytes, and a diff shows a change.
    with mpl.rc_context({"svg.hashsalt": "manualbp"}):
        figure.savefig(png, dpi=DPI)
        figure.savefig(svg, metadata={"Date": None})
    return [png, svg]
