"""A report without matplotlib's pictures, for tests of its page, texts and tables: it is faster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from manualbp.reading import figures, report


def write_without_pictures(
    results: Path | Sequence[Path], output: Path, **options: Any
) -> report.Report:
    """Write a report as ``write_report`` does, but for the pictures in PNG and SVG beside it."""
    with no_pictures():
        return report.write_report(results, output, **options)


@contextmanager
def no_pictures() -> Iterator[None]:
    """Leave out matplotlib's pictures of all reports meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "FIGURES", {})
        patch.setattr(report, "history_figure", _nothing)
        yield


def _nothing(*_: Any) -> None:
    raise figures.NothingToDrawError
