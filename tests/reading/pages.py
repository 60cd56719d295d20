"""A report without matplotlib's pictures, for tests of its page, texts and tables: it is faster."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from manualbp.reading import figures, report


def write_without_pictures(
    results: Path | Sequence[Path], output: Path, **options: Any
) -> report.Report:
    """Write a report as ``write_report`` does, but for the pictures in PNG and SVG beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "FIGURES", {})
        patch.setattr(report, "history_figure", _nothing)
        return report.write_report(results, output, **options)


def _nothing(*_: Any) -> None:
    raise figures.NothingToDrawError
