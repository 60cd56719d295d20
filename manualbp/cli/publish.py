"""``manualbp publish``: the reports and asv's pages as one static site."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from manualbp.cli import terminal
from manualbp.running.cells import last_line
from manualbp.running.source import results_folder
from manualbp.running.tree import SuiteError, find_project

DESCRIPTION = """
Make one folder for a static host from the project's stored results: asv's own pages (asv publish),
the newest report of each machine, and an entry page that leads to both.  It is made anew as a
whole each time, and replaces the one made before only once it is complete.
"""

EPILOG = """
examples:
  manualbp publish                           into site/
  manualbp publish -o public
  python -m http.server --directory site     look at it: asv's pages need a server
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "publish",
        help="reports and asv's pages as one site for a static host",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("site"),
        metavar="DIR",
        help="a new folder, or the site of last time (default: %(default)s)",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from manualbp.reading import site
    from manualbp.reading.frame import load_results
    from manualbp.reading.schema import ResultsError

    target: Path = arguments.output.absolute()
    try:
        site.check_target(target)
        project = find_project()
        results = results_folder(project)
        frame = load_results(results)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".publishing-") as staging:
            made = Path(staging) / "site"
            made.mkdir()
            # First, for it deletes the folder that it writes to.
            publish_history(project, made / site.HISTORY)
            unknown = site.commits_without_history(frame, made)
            sections = site.write_pages(frame, results, made)
            site.replace(made, target)
    except (SuiteError, ResultsError, site.SiteError) as error:
        terminal.complain(error)
        return 1
    if unknown:
        print(
            f"manualbp: asv's pages lack {', '.join(commit[:8] for commit in unknown)}: not in "
            "the history of this checkout; a shallow clone needs `git fetch --unshallow`",
            file=sys.stderr,
        )
    for path in (site.ENTRY, *(section.path for section in sections), f"{site.HISTORY}/index.html"):
        print(arguments.output / path)
    return 0


def publish_history(project: Path, folder: Path) -> None:
    """Run ``asv publish`` into ``folder``; ``SuiteError`` is raised when it fails."""
    command = [sys.executable, "-m", "asv", "publish", "--no-pull", "--html-dir", str(folder)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SuiteError(f"asv publish failed: {last_line(done.stdout + done.stderr)}")
