"""Files that are whole at any moment: written beside, then renamed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".saving-"
"""What the folders are called in which files are written before they take their places."""


@contextmanager
def staged(folder: Path, name: str) -> Iterator[Path]:
    """Yield an empty folder to write ``name`` to; then it replaces the file of this name.

    ``name`` may lie in a folder below.  Where the block raises, or the process is killed in it, the
    file that was there stays.  ``OSError`` is raised where the folder may not be written to.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=PREFIX) as new:
        yield Path(new)
        os.replace(Path(new) / name, folder / name)
