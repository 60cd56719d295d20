"""Every fault of docs/faults.md again, by running the tests that its table names.

python docs/studies/faults.py [options of pytest]
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def named_tests() -> list[str]:
    """Return the tests in the table, each once, as pytest calls them."""
    text = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    return [
        f"tests/{name}" for name in dict.fromkeys(re.findall(r"`([\w/]+\.py::test_\w+)`", text))
    ]


if __name__ == "__main__":
    command = [sys.executable, "-m", "pytest", *sys.argv[1:], *named_tests()]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)
