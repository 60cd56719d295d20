"""A checkout of the suite to run asv in, apart from the one under test."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

# Nothing is timed, and a loaded machine is no failure; --hypothesis-profile long is for fuzzing.
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("long", settings(max_examples=600, database=None, **PATIENT))

WHATEVER_ELSE_RUNS = """
from manualbp.measuring import disturbance

disturbance.OTHERS = disturbance.STOLEN = float("inf")
"""
"""What makes a suite believe its values on a busy machine, as one that runs tests is."""


SMALL_SUITE = """
import time


class Small:
    params = list(range(1, 31))
    param_names = ["number"]

    def track_square(self, number):
        time.sleep(0.05)
        return number * number

    def time_sleeping(self, number):
        time.sleep(1e-4)

    time_sleeping.rounds = 2
    time_sleeping.number = time_sleeping.repeat = 1
    time_sleeping.warmup_time = 0
"""
"""A suite that imports in a moment, for what does not depend on what is measured."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give asv a home of its own, for it keeps the machines' names there."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    return path


@pytest.fixture(scope="session")
def load_study():
    """Return what loads one of docs/studies by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/studies/{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def new_checkout():
    """Return what makes a checkout of the suite in a folder."""
    return make_checkout


@pytest.fixture
def checkout(tmp_path, home, monkeypatch):
    """Make a git checkout with asv's configuration and the suite, and step into it."""
    path = make_checkout(tmp_path / "checkout, für uns")  # what a folder may be called
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def small_checkout(tmp_path, home, monkeypatch):
    """Make a git checkout with asv's configuration and a small suite, and step into it."""
    path = tmp_path / "small checkout, für uns"
    (path / "benchmarks").mkdir(parents=True)
    (path / "benchmarks/__init__.py").touch()
    (path / "benchmarks/small.py").write_text(SMALL_SUITE)
    commit_all(path)
    monkeypatch.chdir(path)
    return path


def make_checkout(path):
    """Make a git checkout with asv's configuration and the suite."""
    shutil.copytree(ROOT / "benchmarks", path / "benchmarks")
    with (path / "benchmarks/__init__.py").open("a") as file:
        file.write(WHATEVER_ELSE_RUNS)
    commit_all(path)
    return path


def commit_all(path):
    """Make a folder with a suite a git checkout with one commit."""
    for name in ("asv.conf.json", ".gitignore"):
        shutil.copy(ROOT / name, path / name)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "The suite"]):
        subprocess.run(["git", *command], cwd=path, check=True, env=os.environ)
