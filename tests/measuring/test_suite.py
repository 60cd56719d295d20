"""The answer for any workload: as asv finds it, and as its benchmarks are called.

asv imports every module of a suite before it forks, so each discovery here also requires that this
initialises no runtime of TensorFlow.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from asv_runner.benchmarks.mark import SkipNotImplemented

from manualbp import workloads
from manualbp.cases import DEVICES, MODES, Case, shipped_workloads
from manualbp.measuring import suite
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.problem import DeviceNotFoundError

ROOT = Path(__file__).parents[2]
OURS, USERS = ROOT / "benchmarks", ROOT / "manualbp/measuring/user_suite"
OTHERS = [name for name in shipped_workloads() if name != "exercise"]
NAMES = ["workload", "gradient", "mode", "device", "batch"]
FILE = """
import tensorflow as tf
from manualbp import Workload


def loss(variables, inputs):
    return tf.reduce_mean((inputs * variables["scale"]) ** 2)


def variables(random):
    return {"scale": random.normal(size=6)}


def data(random, batch):
    return (random.normal(size=(batch, 6)),)


workload = Workload(loss, variables, data, batches=(4, 2, 8), name="mean-square")
other = Workload(loss, variables, data, batches=(16,), name="one_batch")


@workload.by_hand
def squares(variables, inputs):
    scale = variables["scale"]
    slopes = 2 * tf.reduce_mean(inputs**2, axis=0) * scale / 6
    return tf.reduce_sum(slopes * scale) / 2, {"scale": slopes}


@workload.by_hand
def above(variables, inputs):
    loss, gradients = squares(variables, inputs)
    return loss, {"scale": gradients["scale"] * (1 + 2.0**-20)}


@workload.by_hand
def wrong(variables, inputs):
    loss, gradients = squares(variables, inputs)
    return loss, {"scale": gradients["scale"] * 1.001}
"""
UNTOUCHED = (
    "\nfrom tensorflow.python.eager import context\n"
    "assert context.context()._context_handle is None, 'the runtime was initialised'\n"
)


@pytest.fixture
def file(tmp_path):
    """Write a user's file with two workloads."""
    path = tmp_path / "squares.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def loaded(file, monkeypatch):
    """Load that file, and forget afterwards what was loaded and built of it."""
    monkeypatch.setattr(workloads, "_loaded", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield workloads.load(file)
    suite.problem.cache_clear()
    suite.step.cache_clear()


def python(code, *arguments, **variables):
    """Run code in a process of its own, which must not initialise TensorFlow's runtime."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    command = [sys.executable, "-c", code + UNTOUCHED, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def discovered(root, folder, **variables):
    """Return what asv finds in a suite, by name."""
    file = folder / "benchmarks.json"
    code = "import sys\nfrom asv_runner.discovery import _discover\n_discover(sys.argv[1:])"
    done = python(code, root, file, **variables)
    assert done.returncode == 0, done.stderr
    return {entry["name"]: entry for entry in json.loads(file.read_text())}


def values(benchmark):
    """Return a benchmark's parameters by name."""
    found = [[ast.literal_eval(value) for value in row] for row in benchmark["params"]]
    return dict(zip(benchmark["param_names"], found, strict=True))


def check_answer(benchmarks, class_name, workload, gradients, batches):
    """Check the five benchmarks of a workload; the control has no gradient to choose."""
    manual = [name for name in gradients if name != "tape"]
    ends = sorted({min(batches), max(batches)})
    expected = {
        "ratio_to_tape": (manual, batches, "ratio", 5),
        "ratio_tape_to_tape": (None, ends, "ratio", 5),
        "steady_step": (gradients, batches, "seconds", 3),
        "track_error_ulp": (gradients, batches, "ulp", None),
        "track_peak_memory": (gradients, ends, "bytes", None),
    }
    prefix = f"workloads.{class_name}."
    assert {prefix + name for name in expected} == {
        name for name in benchmarks if name.startswith(prefix)
    }
    for name, (chosen, sizes, unit, rounds) in expected.items():
        benchmark = benchmarks[prefix + name]
        parameters = {
            "workload": [workload],
            "gradient": chosen,
            "mode": list(MODES),
            "device": list(DEVICES),
            "batch": sizes,
        }
        names = [name for name in NAMES if parameters[name] is not None]
        assert list(values(benchmark)) == names
        assert values(benchmark) == {name: parameters[name] for name in names}
        assert benchmark["unit"] == unit
        assert benchmark.get("rounds") == rounds
        # A peak is of a whole process, which nothing else may have used.
        assert benchmark["process"] == ("" if name == "track_peak_memory" else "timing")


# ---------------------------------------------------------------- as asv finds it


def test_asv_finds_the_answer_for_every_workload_but_the_exercise(tmp_path):
    benchmarks = discovered(OURS, tmp_path)
    for name in OTHERS:
        workload = workloads.find(name)
        gradients, batches = list(workload.gradients), list(workload.batches)
        check_answer(benchmarks, suite.class_name(name), name, gradients, batches)
    classes = {name.split(".")[1] for name in benchmarks if name.startswith("workloads.")}
    assert classes == set(map(suite.class_name, OTHERS))


def test_asv_finds_the_answer_for_the_workloads_of_a_users_files(file, tmp_path):
    another = tmp_path / "line.py"
    another.write_text(FILE.replace("mean-square", "line").replace('"one_batch"', '"last"'))
    files = os.pathsep.join(map(str, (file, another)))
    benchmarks = discovered(USERS, tmp_path, MANUALBP_WORKLOADS=files)
    gradients = ["tape", "squares", "above", "wrong"]
    check_answer(benchmarks, "MeanSquare", "mean-square", gradients, [4, 2, 8])
    check_answer(benchmarks, "Line", "line", gradients, [4, 2, 8])
    check_answer(benchmarks, "OneBatch", "one_batch", ["tape"], [16])
    check_answer(benchmarks, "Last", "last", ["tape"], [16])
    assert len(benchmarks) == 4 * 5


def test_a_file_that_makes_a_tensor_is_found_out(file):
    file.write_text(f"{FILE}\nhalf = tf.constant(0.5)\n")
    done = python("import manualbp.measuring.user_suite.workloads", MANUALBP_WORKLOADS=str(file))
    assert done.returncode != 0
    assert "the runtime was initialised" in done.stderr


@pytest.mark.parametrize(
    ("workload", "name"),
    [
        ("attention", "Attention"),
        ("exercise-logits", "ExerciseLogits"),
        ("my_own.net-2", "MyOwnNet2"),
        ("GELU", "GELU"),
    ],
)
def test_a_class_is_named_after_its_workload(workload, name):
    assert suite.class_name(workload) == name


# ---------------------------------------------------------------- as its benchmarks are called


@pytest.fixture
def answer(loaded):
    """The class for the first workload in the user's file."""
    return suite.answer("mean-square")


def test_a_class_says_whose_answer_it_is(answer):
    assert (answer.__name__, answer.__qualname__) == ("MeanSquare", "MeanSquare")


@pytest.mark.parametrize("mode", MODES)
def test_a_ratio_is_of_a_step_over_the_tapes_on_the_same_data(mode, answer):
    step, tape = answer().ratio_to_tape("mean-square", "squares", mode, "CPU:1", 4)
    assert step.case == Case("mean-square", "squares", mode, "CPU:1", 4)
    assert tape.case == Case("mean-square", "tape", mode, "CPU:1", 4)
    assert step.problem is tape.problem
    for arm in (step, tape):
        arm.verify_again()


@pytest.mark.parametrize("mode", MODES)
def test_the_control_is_of_the_tape_twice_on_the_same_data(mode, answer):
    once, again = answer().ratio_tape_to_tape("mean-square", mode, "CPU:1", 4)
    assert once is not again
    assert once.case == again.case == Case("mean-square", "tape", mode, "CPU:1", 4)
    assert once.problem is again.problem
    # It is the tape of the ratios in the same process, so that they are measured by turns.
    assert answer().ratio_to_tape("mean-square", "squares", mode, "CPU:1", 4)[1] is again


def test_cells_of_one_process_share_a_step(answer):
    names = ("mean-square", "squares", "graph", "CPU:0", 4)
    step, tape = answer().ratio_to_tape(*names)
    assert answer().steady_step(*names) is step
    assert answer().steady_step("mean-square", "tape", *names[2:]) is tape
    assert answer().steady_step(*names[:-1], 8) is not step


def test_tracked_numbers_are_an_error_and_a_peak(answer):
    names = ("mean-square", "squares", "graph", "CPU:0", 8)
    assert 0 <= answer().track_error_ulp(*names) < 6
    # Python and TensorFlow alone take more than these, and no machine has that much.
    assert 2**26 < answer().track_peak_memory(*names) < 2**42


def test_an_error_is_in_units_of_the_largest_entrys_last_place(answer):
    # 2^-20 of a float32 is 8 to 16 such units, and rounding adds or takes one or two.
    error = answer().track_error_ulp("mean-square", "above", "eager", "CPU:0", 8)
    assert 6 < error < 18


@pytest.mark.parametrize(
    "name", ["ratio_to_tape", "steady_step", "track_error_ulp", "track_peak_memory"]
)
def test_no_benchmark_has_a_number_for_a_wrong_gradient(name, answer):
    with pytest.raises(VerificationError, match=r"mean-square/wrong/xla/CPU:0/8: .*\['scale'\]"):
        getattr(answer(), name)("mean-square", "wrong", "xla", "CPU:0", 8)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("ratio_to_tape", DeviceNotFoundError),  # its type skips, as that of steady_step
        ("steady_step", DeviceNotFoundError),
        ("track_error_ulp", SkipNotImplemented),
        ("track_peak_memory", SkipNotImplemented),
    ],
)
def test_a_device_that_is_not_here_is_skipped(name, error, answer):
    with pytest.raises(error, match="no device 'GPU:9' here"):
        getattr(answer(), name)("mean-square", "squares", "eager", "GPU:9", 8)
