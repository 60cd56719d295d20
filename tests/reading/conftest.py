from pathlib import Path

import pytest
from asvfiles import write_results


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory of the whole suite; to be read, never written."""
    return write_results(tmp_path_factory.mktemp("complete") / "results")
