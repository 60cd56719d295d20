"""The facts stored beside results: complete, true of this process, and telling nobody's name."""

import getpass
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from manualbp.running import environment
from manualbp.running.cells import crashed
from manualbp.running.environment import facts, without_paths


def test_the_facts_are_flat_and_the_same_names_everywhere():
    known = facts({})
    assert list(known) == list(facts({"XLA_FLAGS": "--xla_dump_to=/tmp/x"}))
    assert all(isinstance(fact, str | int | float | None) for fact in known.values())
    json.dumps(known, allow_nan=False)
    assert known["python"] == platform.python_version()
    assert known["tensorflow"] == version("tensorflow")
    assert known["numpy"] == version("numpy")
    assert known["XLA_FLAGS"] is None


def test_cores_are_those_that_this_process_may_use():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity here")
    code = (
        "import os\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from manualbp.running.environment import facts\n"
        "print(facts()['usable cores'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_variables_are_kept_as_they_are_set(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=0 --xla_cpu_use_mkl_dnn=true")
    known = facts()
    assert known["TF_NUM_INTRAOP_THREADS"] == "1"
    assert known["XLA_FLAGS"] == "--xla_gpu_autotune_level=0 --xla_cpu_use_mkl_dnn=true"


def test_nothing_tells_whose_machine_it_is(monkeypatch):
    home = str(Path.home())
    for name in (*environment.TENSORFLOW_VARIABLES, *environment.NUMPY_VARIABLES):
        monkeypatch.setenv(name, f"--xla_dump_to={home}/x --tf_xla_auto_jit=2")
    text = json.dumps(facts(), ensure_ascii=False)
    private = {home, sys.prefix, str(Path.cwd()), platform.node(), getpass.getuser()}
    # A name of one or two letters is in any text.
    for word in (word for word in private if len(word) > 2):
        assert word not in text
    assert "--xla_dump_to=… --tf_xla_auto_jit=2" in text


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("", ""),
        ("2,1", "2,1"),
        ("--tf_xla_auto_jit=2", "--tf_xla_auto_jit=2"),
        (
            "--tf_xla_persistent_cache_directory=/home/x",
            "--tf_xla_persistent_cache_directory=…",
        ),
        ("--xla_dump_to=dump --a=1", "--xla_dump_to=… --a=1"),
        ("--a=1 --b=/home/Max Muster/x --c=2", "--a=1 --b=… --c=2"),
        ("--b=~/x", "--b=…"),
        ("--b=results/me", "--b=…"),
        (r"--b=C:\Users\me --c", "--b=… --c"),
        ("file:///home/me", "…"),
        ("--b=/a\n/home/me", "--b=…"),
    ],
)
def test_a_path_in_a_variable_is_hidden(value, hidden):
    assert without_paths(value) == hidden


def test_a_long_value_is_cut():
    assert len(without_paths("1" * 10_000)) == environment.LONGEST


def test_a_containers_quota_and_the_clock_are_read_where_linux_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "CGROUP", tmp_path)
    monkeypatch.setattr(environment, "CPU", tmp_path)
    monkeypatch.setattr(environment, "PROC", tmp_path)
    known = facts({})
    for name in ("core quota", "turbo", "governor", "pressure"):
        assert known[name] is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "cpufreq").mkdir()
    (tmp_path / "cpufreq/boost").write_text("0\n")
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure/cpu").write_text(
        "some avg10=9.00 avg60=12.50 avg300=1.00 total=1\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name : Some  CPU\n")
    known = facts({})
    assert known["core quota"] == 1.5
    assert known["turbo"] == "off"
    assert known["pressure"] == 12.5
    assert known["processor"] == "Some CPU"
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert facts({})["core quota"] is None


def test_a_process_that_was_killed_for_its_memory_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "PROC", tmp_path)
    assert environment.oom_kills() == 0
    (tmp_path / "vmstat").write_text("nr_free_pages 5\noom_kill 3\noom_kill_disable 7\n")
    assert environment.oom_kills() == 3
    for ran_out, reason in ((True, ": the machine's memory ran out"), (False, "")):
        assert crashed("", -9, 1.0, memory_ran_out=ran_out).reason == f"killed by SIGKILL{reason}"
    assert crashed("", -11, 1.0, memory_ran_out=True).reason == "killed by SIGSEGV"


def test_tensorflow_is_not_imported():
    code = (
        "import sys\n"
        "from manualbp.running.environment import facts\n"
        "assert facts()['tensorflow']\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
