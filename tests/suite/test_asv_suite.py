"""The asv suite, run by the real asv."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from manualbp import workloads
from manualbp.cases import DEVICES, MODES, shipped_workloads
from manualbp.reading.schema import QUANTITIES

ROOT = Path(__file__).parents[2]
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory):
    """Discover the suite as asv does, in a process of its own."""
    file = tmp_path_factory.mktemp("suite") / "benchmarks.json"
    code = (
        "import sys\n"
        "from asv_runner.discovery import _discover\n"
        "_discover((sys.argv[1], sys.argv[2]))\n"
        "from tensorflow.python.eager import context\n"
        "assert context.context()._context_handle is None, 'the runtime was initialised'\n"
    )
    # Fails, and with it every test here, if discovering initialises TensorFlow's runtime: a
    # forkserver would hang in each cell.
    command = [sys.executable, "-c", code, str(ROOT / "benchmarks"), str(file)]
    subprocess.run(command, check=True, env=QUIET)
    return {entry["name"]: entry for entry in json.loads(file.read_text())}


def test_every_benchmark_says_what_it_is(benchmarks):
    for name, benchmark in benchmarks.items():
        assert benchmark["version"] in ("1", "2"), name
        assert len(benchmark["pretty_name"]) > 3, name
        assert benchmark["unit"] not in ("", "unit"), name
        assert 0 < benchmark["timeout"] <= 300, name


def test_the_reading_wing_knows_every_benchmark(benchmarks):
    found = {
        name.rpartition(".")[2]: (entry["type"], entry["unit"], tuple(entry["param_names"]))
        for name, entry in benchmarks.items()
    }
    assert found == {name: quantity[:3] for name, quantity in QUANTITIES.items()}


def test_the_committed_description_is_of_the_suite_as_it_is(benchmarks):
    # Otherwise the first run in a clean clone would change it.
    stored = json.loads((ROOT / "results/benchmarks.json").read_text(encoding="utf-8"))
    stored.pop("version")
    changed = {name for name in {*stored, *benchmarks} if stored.get(name) != benchmarks.get(name)}
    assert not changed, "results/benchmarks.json is out of date: 'make discover', and commit it"


def test_parameters_are_the_same_on_every_machine(benchmarks):
    allowed = {"mode": MODES, "device": DEVICES, "workload": shipped_workloads()}
    for benchmark in benchmarks.values():
        for name, values in zip(benchmark["param_names"], benchmark["params"], strict=True):
            if name in allowed:
                assert {ast.literal_eval(value) for value in values} <= set(allowed[name])


def test_every_workload_is_measured_against_its_tape(benchmarks):
    measured = {}
    for name, benchmark in benchmarks.items():
        if name.endswith(".ratio_to_tape"):
            (workload,), gradients, _, _, batches = (
                [ast.literal_eval(value) for value in values] for values in benchmark["params"]
            )
            measured[workload] = gradients, batches
    assert set(measured) == set(shipped_workloads())
    for workload, (gradients, batches) in measured.items():
        known = workloads.find(workload)
        assert ["tape", *gradients] == list(known.gradients)
        assert batches == list(known.batches)


def test_the_exercises_network_is_measured_at_its_batches(benchmarks):
    step = benchmarks["steps.Step.steady_step"]
    batches = step["params"][step["param_names"].index("batch")]
    assert batches == ["1", "8", "64", "512", "4096", "32768"]


def test_asv_shows_a_wrong_gradient_as_a_failed_cell(checkout):
    # The local derivative of ReLU, wrong by a thousandth, as in a bad commit.
    with (checkout / "benchmarks/__init__.py").open("a") as file:
        file.write(
            "\nfrom manualbp.exercise import derivatives\n"
            "right = derivatives.relu_vjp\n"
            "derivatives.relu_vjp = lambda *arguments: 1.001 * right(*arguments)\n"
        )

    def asv(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "asv", *arguments],
            capture_output=True,
            text=True,
            env=QUIET,
            check=False,
        )

    asv("machine", "--yes", "--machine", "test")
    cells = r"(steady_step|ratio_to_tape|track_error).*exercise.*'(tape|chain)'.*'CPU:0', 64\)"
    done = asv(
        *("run", "--environment", f"existing:{sys.executable}", "--machine", "test"),
        *("--set-commit-hash", "HEAD", "--quick", "--attribute", "sample_time=0.02"),
        *("--bench", cells, "--show-stderr"),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "failed" in done.stdout
    assert "VerificationError: exercise/chain/eager/CPU:0/64: the gradient of" in done.stdout
    (file,) = (path for path in checkout.glob("results/test/*.json") if path.stem != "machine")
    stored = json.loads(file.read_text())
    for name, row in stored["results"].items():
        columns = dict(zip(stored["result_columns"], row, strict=False))
        results = columns["result"]
        if results is None:  # asv's short form of all failed
            continue
        gradients = [ast.literal_eval(g) for g in columns["params"][1]]
        per_gradient = len(results) // len(gradients) // len(columns["params"][0])
        for index, value in enumerate(results):
            gradient = gradients[index // per_gradient % len(gradients)]
            if gradient == "chain":
                assert value is None or value != value, (name, index)  # failed, or not chosen
    step = dict(
        zip(stored["result_columns"], stored["results"]["steps.Step.steady_step"], strict=False)
    )
    numbers = [value for value in step["result"] if value is not None and value == value]
    failed = [value for value in step["result"] if value is None]
    assert len(numbers) == len(failed) == len(MODES)  # the tape's cells, and the chain's
