"""The first runs of the study of killed runs (docs/studies/kill_loop.py)."""

import importlib.util
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "docs/studies/kill_loop.py"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("kill_loop", STUDY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_killed_or_meets_a_full_disk_loses_nothing(study, tmp_path, home):
    found = study.loop(tmp_path / "project", kills=4, full=1, seed=1)
    assert found.wrong == []
    assert sum(found.ended.values()) == 5
