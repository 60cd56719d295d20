"""Which code is measured: the checkout, its commit, and what is installed beside it."""

import datetime as dt
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CONFIG = "asv.conf.json"


class SuiteError(Exception):
    """What keeps the suite from running, in one line that says what to do."""


@dataclass(frozen=True)
class Tree:
    """A tree of files: its commit, or a name of its own when it is dirty."""

    name: str
    dirty: bool
    date: int
    """Milliseconds since the epoch, of the commit or of now."""


class CodeChangedError(SuiteError):
    """The code is another than the one that the results are of."""


CODE = ("*.py", "*.pyx", "*.c", "*.cc", "*.cpp", "*.cu", "*.h")
"""Files of a checkout that a change in is a change of what is measured."""


class Watched:
    """Files that stay as they are while they are measured, or it is noticed.

    ``list_files`` returns them; it is asked each time, for new ones count.
    """

    def __init__(self, list_files: Callable[[], Iterable[Path]]) -> None:
        self._list_files = list_files
        self._content = self._hash()

    def check(self) -> None:
        """Raise ``CodeChangedError`` if any has changed since this was made."""
        if self._hash() != self._content:
            raise CodeChangedError(
                "the code has changed while it was measured: the last process is not kept; what "
                "was saved before is of the code as it was at first; run again for this one"
            )

    def _hash(self) -> str:
        content = hashlib.sha1()
        for file in sorted(self._list_files()):
            content.update(f"{file}\0".encode(errors="surrogateescape"))
            with suppress(OSError):  # removed, but git still lists it
                content.update(file.read_bytes())
        return content.hexdigest()


def code_of(project: Path) -> list[Path]:
    """List the files of a checkout that are measured, whether git tracks them or not."""
    listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *CODE)
    return [project / path for path in git(project, *listed).split("\0")[:-1]]


def find_project() -> Path:
    """Return the nearest folder, here or above, that holds asv's configuration."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / CONFIG).is_file():
            return folder
    raise SuiteError(f"no {CONFIG} in {here} or above it: run this in a checkout of the project")


def git(project: Path, *arguments: str) -> str:
    """Return what git prints, or raise ``SuiteError`` with the first line of its complaint."""
    try:
        return subprocess.run(
            ["git", *arguments], cwd=project, check=True, capture_output=True, text=True
        ).stdout
    except FileNotFoundError:
        raise SuiteError("git is not installed, and results are stored under a commit") from None
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no output"])[0]
        raise SuiteError(
            f"git {arguments[0]} failed ({reason}): results are stored under a commit, "
            "so the project must be a git checkout with at least one commit"
        ) from None


def describe_tree(project: Path) -> Tree:
    """Find out which commit the checked-out tree stands for.

    Results do not make a tree dirty, for they change nothing that is measured.  A dirty tree is
    named after its content, so that two states of it never share a name.
    """
    apart_from_results = ("--", ".", ":(exclude)results")
    head = git(project, "rev-parse", "HEAD").strip()
    if not git(project, "status", "--porcelain", *apart_from_results):
        return describe_commit(project, head)
    content = hashlib.sha1(git(project, "diff", "HEAD", "--binary", *apart_from_results).encode())
    # With -z, for git puts names with other than ASCII letters in quotes.
    listed = ("ls-files", "-z", "--others", "--exclude-standard", *apart_from_results)
    for path in git(project, *listed).split("\0")[:-1]:
        file = project / path
        content.update(path.encode())
        if file.is_file():  # not the link to a folder that git lists like one
            content.update(file.read_bytes())
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    return Tree(f"{content.hexdigest()[:8]}-dirty-on-{head[:8]}", dirty=True, date=now)


def describe_files(files: Sequence[Path]) -> Tree:
    """Find out which version of a user's files this is: their commit, or their content's hash."""
    with suppress(SuiteError):
        top = git(files[0].parent, "rev-parse", "--show-toplevel").strip()
        git(Path(top), "ls-files", "--error-unmatch", "--", *map(str, files))
        return describe_tree(Path(top))
    content = hashlib.sha1(b"".join(file.read_bytes() for file in files)).hexdigest()
    newest = max(file.stat().st_mtime for file in files)
    return Tree(content, dirty=False, date=int(newest * 1000))


def describe_commit(project: Path, revision: str) -> Tree:
    """Find the commit that a revision names, as ``HEAD^``, a branch or a hash's first digits."""
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    try:
        found = git(project, *asked)
    except SuiteError:
        raise SuiteError(f"git knows no commit {revision!r} here; 'git fetch' it first") from None
    seconds = git(project, "show", "-s", "--format=%ct", found.strip())
    return Tree(found.strip(), dirty=False, date=int(seconds) * 1000)


HARNESS = ("benchmarks", "manualbp/measuring", "manualbp/workload.py", "manualbp/cases.py")
"""What measures and verifies, and is not itself what is measured."""


def harness_changes(project: Path, base: str, head: str) -> tuple[str, ...]:
    """List the files of the harness in which two commits differ; none where git cannot tell."""
    try:
        asked = ("diff", "--name-only", "-z", "--no-renames", base, head, "--", *HARNESS)
        return tuple(git(project, *asked).split("\0")[:-1])
    except SuiteError:
        return ()


def check_installation(project: Path) -> None:
    """Raise ``SuiteError`` unless what is installed here is the project's own ``manualbp``.

    asv's processes import the installed package, wherever they run; were it another checkout's,
    its numbers would be stored under this one's commit.
    """
    own = project / "manualbp"
    if not own.is_dir():  # the suite alone, which somebody runs against an installed release
        return
    # As asv runs them: without this folder and PYTHONPATH on the path.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    code = "import manualbp; print(manualbp.__path__[0])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    installed = done.stdout.strip() or "nowhere"
    if done.returncode != 0 or Path(installed).resolve() != own.resolve():
        raise SuiteError(
            f"the manualbp that would be measured is installed from {installed}, not from "
            f"{own}: its results would carry the wrong commit; run 'make setup' here"
        )
