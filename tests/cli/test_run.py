"""``manualbp run`` in a checkout of its own, with the real asv."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from manualbp.cli import gate, main
from manualbp.reading.schema import CONTEXT
from manualbp.running import source, suite

CELLS = r"steady_step\('exercise', '(tape|chain)', 'eager', 'CPU:0', 8\)"
ANSWER = r"ratio_to_tape\('exercise', '(chain|fused)', 'eager', 'CPU:0', 8\)"


FIRST = r"track_square\([12]\)"
TIMED = "small.Small.time_sleeping"
"""Of the small suite, which imports in a moment."""


def manualbp(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "manualbp", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )


def stored(folder):
    (file,) = (path for path in folder.glob("*/*.json") if path.stem != "machine")
    return file, json.loads(file.read_text())


def samples(result, benchmark="steps.Step.steady_step"):
    columns = dict(zip(result["result_columns"], result["results"][benchmark], strict=False))
    return [len(values) for values in columns["samples"] if values]


def commit_of(checkout):
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_results_are_stored_under_the_commit_and_reported(checkout):
    head = commit_of(checkout)
    done = manualbp("run", "--bench", CELLS, "--machine", "desk")
    assert done.returncode == 0, done.stderr
    file, result = stored(checkout / "results")
    assert file.parent.name == "desk"
    assert file.name.startswith(head[:8])
    assert result["commit_hash"] == head
    assert result["requirements"]["tensorflow"]
    assert samples(result) == [3, 3]  # a value for each process
    assert re.search(r"exercise, CPU:0, eager: .*chain ", done.stdout)
    assert (checkout / "report/index.html").is_file()
    assert str(checkout / "report/index.html") in done.stdout

    text = file.read_text() + (file.parent / "machine.json").read_text()
    for private in (str(checkout), str(Path.home()), sys.prefix, os.uname().nodename):
        assert private not in text

    # A second run at the same commit adds its processes; results alone make no tree dirty.
    done = manualbp("run", "--bench", CELLS, "--machine", "desk")
    assert done.returncode == 0, done.stderr
    assert samples(stored(checkout / "results")[1]) == [4, 4]


def test_a_quick_look_is_the_answer_in_three_processes(checkout):
    done = manualbp("run", "--quick", "--bench", f"{CELLS}|{ANSWER}", "--machine", "desk")
    assert done.returncode == 0, done.stderr
    result = stored(checkout / "results")[1]
    assert set(result["results"]) == {"ratios.Step.ratio_to_tape"}
    assert samples(result, "ratios.Step.ratio_to_tape") == [3, 3]


def test_a_dirty_tree_never_carries_a_clean_commits_name(small_checkout):
    head = commit_of(small_checkout)
    with (small_checkout / "benchmarks/small.py").open("a") as file:
        file.write("# an uncommitted change\n")
    done = manualbp("run", "--bench", FIRST, "--machine", "desk")
    assert done.returncode == 0, done.stderr
    assert "uncommitted changes" in done.stderr
    assert not list(small_checkout.glob("results/*/*.json"))
    file, result = stored(small_checkout / ".asv/results-of-dirty-trees")
    assert not file.name.startswith(head[:8])
    assert "dirty" in result["commit_hash"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_and_an_end_keep_what_was_measured(number, small_checkout):
    checkout = small_checkout
    process = subprocess.Popen(
        [sys.executable, "-m", "manualbp", "run", "--bench", "time_sleeping"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, a shell has told them to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not [p for p in checkout.glob("results/*/*.json") if p.stem != "machine"]:
        assert time.monotonic() < deadline, "nothing was saved"
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted: what was measured is kept" in err
    assert "Traceback" not in err
    assert sum(samples(stored(checkout / "results")[1], TIMED)) >= 1
    assert "index.html" in out


@pytest.fixture
def servers():
    """Collect fork servers' processes, where Ctrl-C is heard; none outlives the test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    started = []
    yield started
    signal.signal(signal.SIGINT, before)
    for server in started:
        server.kill()


def test_ctrl_c_while_the_fork_server_starts_leaves_none(small_checkout, servers, monkeypatch):
    read = suite.runner.ForkServer._stdout_reader

    def interrupt_and_read(server):  # in the thread that asv starts before it hands the server over
        servers.append(server.server_proc)
        os.kill(os.getpid(), signal.SIGINT)
        read(server)

    monkeypatch.setattr(suite.runner.ForkServer, "_stdout_reader", interrupt_and_read)
    assert main(["run", "--bench", FIRST, "--machine", "desk"]) == 130
    assert [server.poll() is None for server in servers] == [False]


def test_ctrl_c_while_a_fork_server_is_ended_leaves_none(small_checkout, servers, monkeypatch):
    close = suite.runner.ForkServer.close

    def interrupted_close(server):
        servers.append(server.server_proc)
        os.kill(os.getpid(), signal.SIGINT)
        close(server)

    monkeypatch.setattr(suite.runner.ForkServer, "close", interrupted_close)
    assert main(["run", "--bench", FIRST, "--machine", "desk"]) == 130
    assert {server.poll() is None for server in servers} == {False}


def test_an_edit_of_the_code_ends_the_run(small_checkout, monkeypatch, capsys):
    checkout = small_checkout
    measured = []
    try_out = suite.Suite.try_out

    def edit_during_the_second(self, *arguments):
        outcomes = try_out(self, *arguments)
        measured.append(outcomes)
        (checkout / "log.txt").write_text(str(len(measured)))  # no code, so no reason to end
        if len(measured) == 2:
            (checkout / "benchmarks/new.py").write_text("# an edit\n")
        return outcomes

    monkeypatch.setattr(suite.Suite, "try_out", edit_during_the_second)
    assert main(["run", "--bench", "time_sleeping", "--machine", "desk"]) == 1
    said = capsys.readouterr()
    assert "the code has changed while it was measured: the last process is not kept" in said.err
    assert "index.html" in said.out
    assert len(measured) == 2
    found = stored(checkout / "results")[1]
    assert samples(found, TIMED) == [1]


def test_absent_devices_are_skipped_with_the_reason(checkout, capsys):
    assert main(["run", "--bench", r"steady_empty", "--device", "GPU:0", "--quick"]) == 1
    assert "nothing to measure" in capsys.readouterr().err
    done = manualbp("run", "--bench", r"steady_empty", "--device", "GPU:0", "--machine", "desk")
    if "skipped" in done.stderr:  # a machine without a GPU
        assert "3 cells skipped: no device 'GPU:0' here" in done.stderr
        assert "says neither faster nor slower" in done.stdout
    assert done.returncode == 0, done.stderr


def test_absent_libraries_are_skipped_with_what_to_install(checkout):
    with (checkout / "benchmarks/__init__.py").open("a") as file:
        file.write(
            "\nfrom dataclasses import replace\n"
            "from manualbp.peers import PEERS\n"
            "PEERS['jax'] = replace(PEERS['jax'], package='no_such_library')\n"
        )
    cells = r"ratio_peer_to_numpy.*'jax', 1\)|ratio_to_jax.*'fused'.* 1\)"
    done = manualbp("run", "--bench", cells, "--machine", "desk")
    assert done.returncode == 0, done.stderr
    assert "2 cells skipped: peer 'jax' needs no_such_library, which is not installed" in (
        done.stderr
    )
    assert "pip install 'manualbp[peers]'" in done.stderr


def test_other_libraries_are_measured_only_where_they_are_asked_for(checkout):
    def names(bench):
        chosen = suite.Suite(checkout, source.checked_out(checkout), "desk", bench)
        return {cell.benchmark for cell in chosen.cells(None)}

    everything, asked = names(None), names("peers")
    assert "steps.Step.steady_step" in everything
    assert {name.rpartition(".")[2] for name in asked} == set(CONTEXT)
    assert not everything & asked
    judged = {name for name in everything | asked if re.search(gate.BENCH, name)}
    assert {"ratios.Step.ratio_to_tape", "structure.Eager.track_eager_operations"} <= judged
    assert not judged & asked


def test_a_time_limit_ends_the_run(small_checkout, capsys):
    assert main(["run", "--bench", FIRST, "--minutes", "0.0001"]) == 0
    assert "time is over" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bench", "no_such_benchmark"], "no benchmark matches"),
        (["--bench", "("], "no regular expression"),
        (["--machine", "a/b"], "cannot name a folder"),
        (["--workload", "tiny"], "unknown workload 'tiny': expected all, exercise, "),
        (["nothing.py"], "nothing.py: no such file"),
    ],
)
def test_bad_arguments_get_one_line(arguments, message, small_checkout, capsys):
    assert main(["run", *arguments]) == 1
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "manualbp: " in line)
    assert message in line


def test_outside_a_checkout(tmp_path, home, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 1
    assert "no asv.conf.json" in capsys.readouterr().err


def test_a_suite_that_cannot_be_imported_is_an_error(small_checkout, capsys):
    (small_checkout / "benchmarks/small.py").write_text("import no_such_module\n")
    assert main(["run"]) == 1
    said = capsys.readouterr().err
    assert "no_such_module" in said
    assert "asv cannot read the suite" in said


def test_results_of_another_checkouts_code_are_refused(small_checkout, capsys):
    checkout = small_checkout
    (checkout / "manualbp").mkdir()  # the checkout has a manualbp, but another one is installed
    assert main(["run", "--bench", CELLS]) == 1
    assert "would carry the wrong commit" in capsys.readouterr().err
    assert not (checkout / "results").exists()


@pytest.mark.parametrize("name", ["new.py", "neu, für uns.py"])
def test_two_states_of_a_dirty_tree_have_two_names(name, small_checkout):
    checkout = small_checkout
    clean = source.describe_tree(checkout)
    names = set()
    for text in ("one", "two"):
        (checkout / name).write_text(text)
        names.add(source.describe_tree(checkout).name)
    assert len(names | {clean.name}) == 3
    assert not clean.dirty


# ---------------------------------------------------------------- what a suite may do


BAD = """
import os
import signal
import time


class Bad:
    timeout = 2

    def track_words(self):
        return "seven"

    def track_nothing_known(self):
        return float("inf")

    def track_list(self):
        return {"a": [1]}

    def track_stopping(self):
        os.kill(os.getppid(), signal.SIGSTOP)
        time.sleep(600)

    def track_dying(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def track_ending_its_server(self):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)

    def time_too_long(self):
        time.sleep(600)
"""


def test_whatever_a_benchmark_does_the_others_are_measured(small_checkout, monkeypatch, capsys):
    monkeypatch.setattr(suite, "GRACE_S", 3.0)
    (small_checkout / "benchmarks/bad.py").write_text(BAD)
    assert main(["run", "--bench", rf"Bad|{FIRST}", "--machine", "desk"]) == 2
    failed = dict(
        line.removeprefix("failed: ").split(": ", 1)
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("failed: ")
    )
    name = "bad.Bad."
    assert failed == {
        f"{name}track_words": "returned 'seven', which is no number",
        f"{name}track_nothing_known": "measured inf, which is no finite number",
        f"{name}track_list": "returned {'a': [1]}, which is no number",
        f"{name}track_stopping": "asv's fork server ended while this was measured: "
        "it no longer answered",
        f"{name}track_dying": "killed by SIGSEGV",
        f"{name}track_ending_its_server": failed[f"{name}track_ending_its_server"],
        f"{name}time_too_long": "took longer than 2 s",
    }
    assert "fork server ended" in failed[f"{name}track_ending_its_server"]
    columns = stored(small_checkout / ".asv/results-of-dirty-trees")[1]["results"]
    assert columns["small.Small.track_square"][0][:2] == [1, 4]


def test_a_suite_that_never_finishes_its_import_is_given_up(small_checkout, monkeypatch, capsys):
    monkeypatch.setattr(suite, "IMPORT_S", 2.0)
    (small_checkout / "benchmarks/small.py").write_text("import time\ntime.sleep(600)\n")
    assert main(["run"]) == 1
    assert "importing it took longer than 2 s" in capsys.readouterr().err


def test_a_python_that_asv_cannot_run_is_one_line(small_checkout, monkeypatch, capsys):
    def unavailable(*_, **__):
        raise suite.EnvironmentUnavailable("it was killed")

    monkeypatch.setattr(suite, "ExistingEnvironment", unavailable)
    assert main(["run"]) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last == "manualbp: asv cannot run this environment's Python: it was killed"


def test_a_run_goes_on_where_another_was_ended(small_checkout, capsys):
    """First one cell, then with --resume only what is missing, then nothing."""
    cells = r"time_sleeping\([1-4]\)"
    assert main(["run", "--bench", r"time_sleeping\(2\)", "--machine", "desk"]) == 0
    before = stored(small_checkout / "results")[1]["results"][TIMED]
    for _ in range(2):
        assert main(["run", "--resume", "--bench", cells, "--machine", "desk"]) == 0
        result = stored(small_checkout / "results")[1]
        assert samples(result, TIMED) == [2, 2, 2, 2]
    assert "nothing is missing" in capsys.readouterr().err
    columns = dict(zip(result["result_columns"], result["results"][TIMED], strict=False))
    place = result["result_columns"].index("samples")
    assert columns["samples"][1] == before[place][1]


def test_other_flags_are_not_pooled_with_what_is_stored(small_checkout, monkeypatch, capsys):
    command = ["run", "--bench", r"time_sleeping\(1\)", "--machine", "desk"]
    assert main(command) == 0
    before = stored(small_checkout / "results")[0].read_bytes()
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "measured with XLA_FLAGS unset, not --xla_backend_optimization_level=0" in said
    assert "--machine NAME" in said
    assert stored(small_checkout / "results")[0].read_bytes() == before
    assert main([*command[:-1], "other"]) == 0
