from collections.abc import Iterator
from pathlib import Path

import pytest
from asvfiles import write_results
from pages import no_pictures


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory of the whole suite; to be read, never written."""
    return write_results(tmp_path_factory.mktemp("complete") / "results")


@pytest.fixture
def without_pictures() -> Iterator[None]:
    """Leave out matplotlib's pictures, which tests of reports look at."""
    with no_pictures():
        yield
