"""docs/faults.md: every fault in its table has the test that is named beside it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_fault_has_its_test():
    text = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if "::test_" in line]
    assert len(rows) >= 80
    for row in rows:
        assert len(row) == 4, row
        path, _, name = row[-1].strip("`").partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE), row
