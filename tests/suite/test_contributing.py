"""CONTRIBUTING.md's recipes, followed to the letter in a copy of the project."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RECIPE = re.compile(r"<!-- (append to|create) (\S+) -->\n```python\n(.*?)```", re.S)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Copy the project and follow every recipe."""
    path = tmp_path_factory.mktemp("copy")
    for name in ("manualbp", "benchmarks"):
        shutil.copytree(ROOT / name, path / name)
    recipes = RECIPE.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(recipes) == 3
    for where, name, code in recipes:
        file = path / name
        assert file.exists() == (where == "append to")
        file.write_text(f"{file.read_text()}\n\n{code}" if file.exists() else code)
    return path


def run(copy, code):
    # The current folder comes first on the path, before the installed package.
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_gradient_and_a_workload_are_verified_and_measured(copy):
    run(
        copy,
        "import manualbp\n"
        f"assert manualbp.__file__.startswith({str(copy)!r})\n"
        "from manualbp import Case, build_step\n"
        "for mode in manualbp.MODES:\n"
        "    build_step(Case('exercise', 'late', mode, 'CPU:0', 8))\n"
        "    build_step(Case('deep', 'chain', mode, 'CPU:0', 8))\n"
        "from benchmarks import ratios, steps, workloads\n"
        "values = dict(zip(steps.Step.param_names, steps.Step.params))\n"
        "assert 'late' in values['gradient']\n"
        "assert 'late' in ratios.Step.params[1]\n"
        "assert workloads.Deep.params == [['deep'], ['chain'], *workloads.Deep.params[2:]]\n"
        "assert workloads.Deep.params[-1] == [1, 512]\n",
    )


def test_a_figure_is_in_the_report(copy, tmp_path):
    shutil.copy(ROOT / "tests/reading/asvfiles.py", copy)
    run(
        copy,
        "from pathlib import Path\n"
        "from asvfiles import write_results\n"
        "from manualbp.reading.report import write_report\n"
        f"report = write_report(write_results(Path({str(tmp_path)!r})), Path({str(tmp_path)!r}))\n"
        "assert 'accuracy-exercise-CPU0.svg' in {file.name for file in report.files}\n",
    )
