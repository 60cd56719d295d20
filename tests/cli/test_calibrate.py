"""``manualbp calibrate``: that it measures, stores, and can be asked again without measuring."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from manualbp.reading.calibration import VALUES

CELL = r"ratio_to_tape.*exercise.*chain.*graph.*CPU:0', 1\)"


COMMAND = [sys.executable, "-m", "manualbp", "calibrate", "--machine", "desk"]
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
STORED = Path("results/desk/calibration.csv")


def calibrate(*arguments):
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )


def calibrate_until_measured(arms, *arguments):
    """Interrupt a calibration once it has values of all these arms, however long that takes."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        # Where the tests run in the background, a shell has told them to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None:
        if STORED.is_file() and arms <= set(pd.read_csv(STORED)["arm"].dropna()):
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.2)
    try:
        stdout, stderr = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def test_every_value_is_stored_and_margins_follow(project):
    options = ("--condition", "idle", "--bench", CELL, "--slowdowns", "10", "--arms", "2")
    arms = {"equal-1", "equal-2", "slower-10", "alone-10"}
    done = calibrate_until_measured(arms, *options)
    assert done.returncode == 130, done.stderr
    values = pd.read_csv(STORED)
    assert list(values.columns) == [*VALUES, "status"]
    assert set(values["gradient"]) == {"chain"}
    assert set(values["arm"]) == arms
    assert values["value"].between(0.1, 10).all()
    # Ten percent of extra work is seen even on a loaded machine, if only as more than none.
    assert values.loc[values["arm"] == "alone-10", "value"].median() > 1.02
    assert Path("results/desk/margins.csv").is_file()
    assert Path("report/calibration.md").is_file()

    # Whose values these are is known; another machine may evaluate them, not add to them.
    description = Path("results/desk/machine.json")
    facts = json.loads(description.read_text())
    description.write_text(json.dumps({**facts, "num_cpu": "1000"}))
    refused = calibrate(*options)
    assert refused.returncode == 1
    assert "results/desk is another machine's (1000 cores, here " in refused.stderr

    before = STORED.read_bytes()
    again = calibrate("--evaluate")
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout
    assert STORED.read_bytes() == before


def test_a_busy_neighbour_is_gone_afterwards(project):
    options = ("--condition", "busy", "--bench", CELL, "--arms", "2")
    done = calibrate_until_measured({"equal-1", "equal-2"}, *options)
    assert done.returncode == 130, done.stderr
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "manualbp.running.neighbour" not in listed.stdout


def test_other_libraries_are_refused(project):
    done = calibrate("--condition", "idle", "--bench", "peers")
    assert done.returncode == 1
    assert "no verdict is given on them, so they have no margins" in done.stderr
    assert "Traceback" not in done.stderr
    assert not STORED.exists()


def test_nothing_to_evaluate_is_one_line(project):
    done = calibrate("--evaluate")
    assert done.returncode == 1
    assert "run 'manualbp calibrate'" in done.stderr
    assert "Traceback" not in done.stderr
