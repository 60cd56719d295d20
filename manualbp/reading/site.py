"""A static site: a report for each machine beside asv's own pages, an entry page above them.

asv's pages come from ``asv publish``, which this wing does not call: here they are a folder.
"""

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from manualbp.reading.frame import distinct, runs
from manualbp.reading.page.policy import policy
from manualbp.reading.report import write_report
from manualbp.reading.text import file_name, html, presentable

ENTRY, REPORTS, HISTORY = "index.html", "report", "asv"
"""The site's entry page, and its folders: a report for each machine, and asv's pages."""

_MARK = '<meta name="generator" content="manualbp publish">'
"""Tells a site, which may be replaced, from a folder that is somebody's."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; }
body { padding: 0 1rem; overflow-wrap: anywhere; }
"""

_ENTRY_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{policy}
<meta name="viewport" content="width=device-width, initial-scale=1">
{mark}
<title>manualbp</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>What does a hand-written backward pass buy over tf.GradientTape?</h1>
{sections}
<h2><a href="{history}">History over commits</a></h2>
<p>asv's own pages: every benchmark over the commits. They load scripts from elsewhere, so they need
a network, and a web server instead of a file.</p>
</main>
</body>
</html>
"""

_SECTION = """\
<h2><a href="{path}">Report: {machine}</a></h2>
<ul>
{lines}
</ul>"""

# asv lays its pages out by absolute positions under a fixed bar, so the link is fixed in a corner,
# above what it covers there.
_CORNER = "position: fixed; right: 0; bottom: 0; z-index: 2000; background: #fff; color: #000"


class SiteError(ValueError):
    """A site that cannot be written as asked; the message says why."""


@dataclass(frozen=True)
class Section:
    """A machine's report in the site: its path from the site's top, and its headline."""

    machine: str
    path: str
    headline: str


def check_target(target: Path) -> None:
    """Raise ``SiteError`` unless ``target`` is missing, empty, or a site written before.

    A site is replaced as a whole, so that nothing stale stays; nobody's files shall go with it.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    entry = target / ENTRY
    if not (entry.is_file() and _MARK in entry.read_text(encoding="utf-8", errors="replace")):
        raise SiteError(
            f"{target}: expected no such folder, an empty one, or a site made before, since it "
            "would be replaced; name another with -o"
        )


def write_pages(frame: pd.DataFrame, results: Path, site: Path) -> tuple[Section, ...]:
    """Write the entry page and the newest report of each machine into the folder ``site``.

    ``frame`` is ``load_results(results)``.  asv's pages are in ``site / HISTORY`` already; all
    pages get links to the others.
    """
    sections: list[Section] = []
    folders: set[str] = set()
    links = {"All pages": f"../../{ENTRY}", "History": f"../../{HISTORY}/index.html"}
    for machine in distinct(runs(presentable(frame))["machine"]):
        folder = _folder_name(machine, folders)
        folders.add(folder)
        report = write_report(
            results,
            site / REPORTS / folder,
            machine=machine,
            command="manualbp publish",
            links=links,
        )
        path = report.files[0].relative_to(site).as_posix()
        sections.append(Section(machine, path, report.headline))
    (site / ENTRY).write_text(entry_page(sections), encoding="utf-8", newline="\n")
    for page in sorted(site.glob(f"{HISTORY}/*.html")):
        add_links(page, {"Reports": f"../{ENTRY}"}, _CORNER)
    return tuple(sections)


def replace(site: Path, target: Path) -> None:
    """Move the finished ``site`` to ``target``, in place of one made before."""
    check_target(target)
    if target.exists():
        shutil.rmtree(target)
    shutil.move(site, target)


def entry_page(sections: Sequence[Section]) -> str:
    """Return the page above the reports and asv's pages, with a headline for each machine."""
    parts = [
        _SECTION.format(
            path=quote(section.path),
            machine=html(section.machine),
            lines="\n".join(f"<li>{html(line)}</li>" for line in section.headline.splitlines()),
        )
        for section in sections
    ]
    history = f"{HISTORY}/index.html"
    return _ENTRY_PAGE.format(
        mark=_MARK,
        policy=policy(_STYLE),
        style=_STYLE,
        sections="\n".join(parts),
        history=history,
    )


def add_links(page: Path, links: dict[str, str], style: str) -> None:
    """Put links, from their text to a relative address, at the start of an HTML page's body.

    All that is relied on is HTML's own: a page without a ``<body>`` tag gets them at its end, which
    a browser puts into the body it implies.
    """
    anchors = "\n".join(
        f'<a href="{html(address)}" style="color: inherit">{html(text)}</a>'
        for text, address in links.items()
    )
    style = f"{style}; padding: 0.4em 1.25rem; font: 14px/1.4 system-ui, sans-serif"
    bar = f'\n<nav aria-label="Site" style="{style}">\n{anchors}\n</nav>\n'
    text = page.read_text(encoding="utf-8")
    body = re.search(r"<body\b[^>]*>", text, re.IGNORECASE)
    place = body.end() if body else len(text)
    page.write_text(text[:place] + bar + text[place:], encoding="utf-8", newline="\n")


def commits_without_history(frame: pd.DataFrame, site: Path) -> list[str]:
    """Return the commits that were measured but that asv did not find in the repository's history.

    ``SiteError`` is raised when ``site`` lacks asv's index.
    """
    index = site / HISTORY / "index.json"
    try:
        known = set(json.loads(index.read_text(encoding="utf-8"))["revision_to_hash"].values())
    except (OSError, ValueError, KeyError) as error:
        raise SiteError(f"asv publish wrote no usable {index.name}: {error}") from error
    return [commit for commit in distinct(runs(frame)["commit"]) if commit not in known]


def _folder_name(machine: str, taken: Iterable[str]) -> str:
    """Return a name that no host and no address trips over, and that is not ``taken``."""
    known = {name.casefold() for name in taken}
    name = file_name(re.sub(r"[^\w-]+", "-", machine))
    while name.casefold() in known:
        name += "-"
    return name
