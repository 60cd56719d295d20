"""A comparison of two runs as JSON, for other programs."""

import json
from typing import Any

import pandas as pd

from manualbp.reading.comparison import Comparison, change_rows, conclude, discarded, headline
from manualbp.reading.frame import records
from manualbp.reading.remedies import again


def as_json(comparison: Comparison) -> str:
    """Return everything as JSON; what is not known is null."""
    content = {
        "conclusion": conclude(comparison),
        "headline": headline(comparison),
        "discarded": discarded(comparison),
        "base": comparison.base,
        "head": comparison.head,
        "environment": list(comparison.environment),
        "harness": list(comparison.harness),
        "cells": _plain_rows(comparison.cells),
        "again": again(comparison.cells, comparison.commits),
        "structure": _plain_rows(comparison.structure),
        "changes": [
            dict(zip(("commit", "cell", "change"), row, strict=True))
            for row in change_rows(comparison.changes)
        ],
    }
    return json.dumps(content, indent=1, allow_nan=False)


def _plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {key: None if pd.isna(value) else value for key, value in row.items()}
        for row in records(frame)
    ]
