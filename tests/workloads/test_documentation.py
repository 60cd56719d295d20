"""The documentation's own workloads, as a user would write them: verified, refused, timed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from manualbp import Case, build_step, workloads
from manualbp.measuring import asv_types, explain, measure
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.roofline import Machine

PAGE = (Path(__file__).parents[2] / "docs/workloads.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
RIGHT = [("three", "chain"), ("softplus", "stable"), ("flat", "flat")]
WRONG = [("three", "careless", r"\['scale'\]"), ("softplus", "dropped", r"\[0\]")]
MACHINE = Machine(flops_per_s=1e11, bytes_per_s=1e10, cache_bytes=2**25)


@pytest.fixture(scope="module", autouse=True)
def loaded(tmp_path_factory):
    """The page's files in a folder with a difficult name, loaded."""
    folder = tmp_path_factory.mktemp("für uns")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
        workloads.load(folder / name)
    yield folder
    workloads._loaded.clear()


def test_the_page_shows_a_file_for_each_way():
    assert set(FILES) == {"three.py", "softplus.py", "flat.py"}


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize(("workload", "gradient"), RIGHT)
def test_a_right_one_is_verified_in_every_mode(workload, gradient, mode):
    for batch in workloads.find(workload).batches:
        build_step(Case(workload, gradient, mode, "CPU:0", batch)).verify_again()


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize(("workload", "gradient", "tensor"), WRONG)
def test_a_wrong_one_is_refused_by_the_tensors_name(workload, gradient, tensor, mode):
    with pytest.raises(VerificationError, match=f"{workload}/{gradient}/{mode}/.*of {tensor} at"):
        build_step(Case(workload, gradient, mode, "CPU:0", 64))


def test_it_is_explained():
    found = explain.explain(Case("three", "chain", "eager"), MACHINE, budget=0.02)
    assert found.arm.forward_s is None
    assert found.baseline.forward_s > 0


def test_its_suite_times_the_right_one_and_fails_the_wrong_one():
    from manualbp.measuring import suite

    cells = suite.answer("three")()
    f, g = cells.ratio_to_tape("three", "chain", "eager", "CPU:0", 16)
    assert measure.ratio(f, g, budget=0.05, warmup=0.01) > 0
    asv_types.verify_again([f, g])
    with pytest.raises(VerificationError):
        cells.ratio_to_tape("three", "careless", "eager", "CPU:0", 16)


def test_it_is_measured_and_reported_without_a_change_in_the_package(loaded):
    """The commands of the page, in the user's folder, with results and report beside the file."""
    # The machine that runs tests is busy; what is measured there is to be believed all the same.
    with (loaded / "three.py").open("a", encoding="utf-8") as file:
        file.write(
            "\nfrom manualbp.measuring import disturbance\n"
            'disturbance.OTHERS = disturbance.STOLEN = float("inf")\n'
        )
    choice = ["--quick", "--bench", r"ratio_to_tape.*eager.*CPU:0', 16\)", "--minutes", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "manualbp", "run", "three.py", "--machine", "desk", *choice],
        cwd=loaded, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr  # careless fails
    assert "three/careless/eager/CPU:0/16: the gradient of ['scale']" in done.stderr
    assert (loaded / "report/index.html").is_file()
    (stored,) = (loaded / "results/desk").glob("*-existing-*.json")
    assert "workloads.Three.ratio_to_tape" in stored.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no Python file"),
        ("x = 1", "defines no workload"),
        ("import nonsense_that_is_not_there", "importing it fails: ModuleNotFoundError"),
        ("def f(:", "importing it fails: SyntaxError"),
    ],
)
def test_a_file_without_a_workload_is_one_clear_line(text, message, tmp_path):
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(workloads.WorkloadError, match=message):
        workloads.load(file)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"batches": ()}, ValueError, "at least one batch"),
        ({"batches": (0,)}, ValueError, "at least 1, got 0"),
        ({"loss": 3}, TypeError, "loss must be a function, got 3"),
        ({"name": "a/b"}, ValueError, "'a/b' cannot name"),
    ],
)
def test_a_workload_of_the_wrong_parts_is_refused(change, error, message):
    from manualbp import Workload

    parts = {"loss": len, "variables": len, "data": len, "batches": (1,), **change}
    with pytest.raises(error, match=message):
        Workload(**parts)
