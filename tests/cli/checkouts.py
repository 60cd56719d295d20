"""A git checkout of the whole project, to install from and to commit to."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def make_project(path):
    """Copy the project to ``path`` and make it a git checkout with one commit."""
    for name in ("manualbp", "benchmarks"):
        shutil.copytree(ROOT / name, path / name)
    for name in ("asv.conf.json", ".gitignore", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, path / name)
    # The machine that runs tests is busy; what is measured there is to be believed all the same.
    with (path / "manualbp/measuring/disturbance.py").open("a") as file:
        file.write('\nOTHERS = STOLEN = float("inf")\n')
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    commit(path, "The project")


def commit(path, message):
    """Commit everything in ``path``."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "add", "-A"], cwd=path, check=True)
    command = ["git", *identity, "commit", "-q", "--allow-empty", "-m", message]
    subprocess.run(command, cwd=path, check=True)
