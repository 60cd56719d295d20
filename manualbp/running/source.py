"""What is measured, and where its results go: the project's suite, a user's files, a commit."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from asv import util
from asv.config import Config

import manualbp
from manualbp.running.tree import (
    CONFIG,
    SuiteError,
    Tree,
    Watched,
    check_installation,
    code_of,
    describe_files,
    describe_tree,
)

USER_SUITE = Path(manualbp.__file__).parent / "measuring" / "user_suite"
"""The suite that measures the workloads in a user's files."""

DIRTY_RESULTS = Path(".asv/results-of-dirty-trees")


@dataclass(frozen=True)
class Source:
    """What is measured, and where its results go.

    ``packages`` is a folder that comes before the environment's own packages, where what is
    measured is not what is installed in this environment.  ``files`` are a user's own, with
    workloads in them, where it is not the project's suite that is measured.  ``watched`` is the
    code that somebody may edit while it is measured.
    """

    tree: Tree
    benchmarks: Path
    results: Path
    packages: Path | None = None
    files: tuple[Path, ...] = ()
    watched: Watched | None = None

    @property
    def variables(self) -> dict[tuple[str, str], str]:
        """The environment variables of its processes, as asv tags them."""
        known = {}
        if self.packages:  # asv leaves PYTHONPATH out and takes this in its place
            known["nobuild", "ASV_PYTHONPATH"] = str(self.packages)
        if self.files:
            known["nobuild", "MANUALBP_WORKLOADS"] = os.pathsep.join(map(str, self.files))
        return known


def checked_out(project: Path) -> Source:
    """Return the checked-out tree as it is installed in this environment."""
    check_installation(project)
    watched = Watched(partial(code_of, project))
    tree = describe_tree(project)
    try:
        config = Config.load(str(project / CONFIG))
    except util.UserError as error:
        raise SuiteError(f"asv cannot read {CONFIG}: {error}") from None
    results = DIRTY_RESULTS if tree.dirty else Path(config.results_dir)
    return Source(tree, project / config.benchmark_dir, project / results, watched=watched)


def users_files(paths: Sequence[str], folder: Path) -> Source:
    """Return a user's files, to be measured by the suite that comes with the package.

    Their results go to ``results`` in ``folder``, under the commit of the git checkout that the
    first is in; where it is in none, under a hash of the files' content.
    """
    files = tuple(Path(path).absolute() for path in paths)
    for file in files:
        if not file.is_file():
            raise SuiteError(f"{file}: no such file")
    watched = Watched(lambda: files)
    tree = describe_files(files)
    results = DIRTY_RESULTS if tree.dirty else Path("results")
    return Source(tree, USER_SUITE, folder / results, files=files, watched=watched)


def results_folder(project: Path) -> Path:
    """Return the folder of the project's results, as asv's configuration names it."""
    try:
        return project / str(Config.load(str(project / CONFIG)).results_dir)
    except (util.UserError, ValueError) as error:  # the latter for what is not even JSON
        raise SuiteError(f"asv cannot read {CONFIG}: {error}") from None
