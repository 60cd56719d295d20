"""The journal is only ever appended to, a whole line at a time, whoever else writes."""

import datetime as dt
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from manualbp.running.journal import ProcessRecord, append_environment, append_process, journal_of

RECORD = ProcessRecord(
    benchmark="ratios.Step.ratio_to_tape",
    parameters=("'exercise'", "'fused'", "'eager'", "'CPU:0'", "1"),
    version="1",
    status="ok",
    started=dt.datetime(2026, 11, 24, 22, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    seconds=0.9,
    value=0.31,
    disturbance={"switched": 0.01, "others": 0.02, "stalled": 0.0, "stolen": None},
)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def test_a_journal_lies_beside_its_result_file_and_is_no_json():
    file = Path("results/desk/01234567-existing-py3.11-tensorflow2.21.0.json")
    expected = "results/desk/01234567-existing-py3.11-tensorflow2.21.0.processes.jsonl"
    assert journal_of(file) == Path(expected)


def test_lines_have_the_keys_of_the_format(tmp_path):
    path = tmp_path / "new/folder/a.processes.jsonl"
    append_environment(path, {"python": "3.11", "load": 0.5, "XLA_FLAGS": None})
    append_process(path, RECORD)
    first, second = lines(path)
    assert first["kind"] == "environment"
    assert first["facts"] == {"python": "3.11", "load": 0.5, "XLA_FLAGS": None}
    assert dt.datetime.fromisoformat(first["started"]).tzinfo is not None
    assert second == {
        "kind": "process",
        "benchmark": RECORD.benchmark,
        "parameters": list(RECORD.parameters),
        "version": "1",
        "status": "ok",
        "value": 0.31,
        "reason": "",
        "started": "2026-11-24T21:00:01Z",
        "seconds": 0.9,
        "disturbance": dict(RECORD.disturbance),
    }


def test_what_is_no_number_is_null(tmp_path):
    path = tmp_path / "a.processes.jsonl"
    append_process(path, ProcessRecord("b", (), "1", "failed", RECORD.started, 1.0, math.nan))
    append_environment(path, {"load": math.inf})
    first, second = lines(path)
    assert first["value"] is None
    assert first["disturbance"] is None
    assert second["facts"] == {"load": None}


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("Error: exercise/chain/graph/CPU:0/64: wrong", "Error: exercise/chain/graph/CPU:0/64: "),
        ("no such file: '/home/me/x.py'", "no such file: '…'"),
        ("in /home/me/x.py:3, line", "in …:3, line"),
        ("line\nbreak é", "line\nbreak é"),
        ("x" * 5000, "x" * 900),
    ],
)
def test_a_reason_is_one_line_without_paths(reason, kept, tmp_path):
    path = tmp_path / "a.processes.jsonl"
    append_process(path, ProcessRecord("b", (), "1", "failed", RECORD.started, 1.0, reason=reason))
    (line,) = lines(path)
    assert line["reason"].startswith(kept)
    assert len(line["reason"]) <= 1000
    assert "home" not in line["reason"]


def test_a_torn_line_is_closed_before_the_next(tmp_path):
    path = tmp_path / "a.processes.jsonl"
    append_process(path, RECORD)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    append_process(path, RECORD)
    assert path.read_bytes() == whole + whole[:40] + b"\n" + whole


def test_several_runs_at_once_never_tear_each_others_lines(tmp_path):
    path = tmp_path / "a.processes.jsonl"
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from manualbp.running.journal import append_environment\n"
        "for number in range(200):\n"
        "    facts = {'who': sys.argv[2], 'number': number, 'filling': 'x' * 3000}\n"
        "    append_environment(Path(sys.argv[1]), facts)\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(who)]) for who in range(4)
    ]
    assert [process.wait() for process in running] == [0] * 4
    found = [(line["facts"]["who"], line["facts"]["number"]) for line in lines(path)]
    assert len(found) == 800
    for who in "0123":
        assert [number for name, number in found if name == who] == list(range(200))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_nothing_is_written_to_what_is_no_regular_file(tmp_path):
    path = tmp_path / "a.processes.jsonl"
    os.mkfifo(path)
    with pytest.raises(OSError, match="regular file"):
        append_process(path, RECORD)
