"""A checkout of the suite to run asv in, apart from the one under test."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

WHATEVER_ELSE_RUNS = """
from manualbp.measuring import disturbance

disturbance.OTHERS = disturbance.STOLEN = float("inf")
"""
"""What makes a suite believe its values on a busy machine, as one that runs tests is."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give asv a home of its own, for it keeps the machines' names there."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    return path


@pytest.fixture
def checkout(tmp_path, home, monkeypatch):
    """Make a git checkout with asv's configuration and the suite, and step into it."""
    path = tmp_path / "checkout, für uns"  # what a folder may be called
    shutil.copytree(ROOT / "benchmarks", path / "benchmarks")
    with (path / "benchmarks/__init__.py").open("a") as file:
        file.write(WHATEVER_ELSE_RUNS)
    for name in ("asv.conf.json", ".gitignore"):
        shutil.copy(ROOT / name, path / name)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "The suite"]):
        subprocess.run(["git", *command], cwd=path, check=True, env=os.environ)
    monkeypatch.chdir(path)
    return path
