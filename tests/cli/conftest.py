import pytest
from checkouts import make_project


@pytest.fixture
def project(tmp_path, home, monkeypatch):
    """Make a checkout of the whole project, and step into it."""
    path = tmp_path / "project, für uns"  # what a folder may be called
    make_project(path)
    monkeypatch.chdir(path)
    return path
