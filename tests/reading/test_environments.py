"""How two environments differ: said with both values, from journals that may be anybody's."""

import json
import math
import os

import pytest
from runs import BASE, HEAD, load_runs, write_runs

from manualbp.reading.again import bench_of
from manualbp.reading.environment import (
    differences,
    environment_of,
    process_seconds,
    result_files_of,
)
from manualbp.reading.journal import journal_of

FACTS = {
    "usable cores": 2,
    "processor": "A CPU",
    "memory": 8 * 2**30,
    "tensorflow": "2.21.0",
    "numpy": "2.2.0",
    "XLA_FLAGS": None,
    "load": 0.1,
    "pressure": 1.0,
}


def environment(**more):
    return {"kind": "environment", "started": "2026-11-24T21:49:15Z", "facts": {**FACTS, **more}}


def sides(path, base=(), head=(), change=lambda frame: frame):
    """Two stored runs, the lines of their journals, and what is known of them."""
    frames = load_runs(write_runs(path))
    files = [result_files_of(path, frame) for frame in frames]
    for (file,), lines in zip(files, (base, head), strict=True):
        if lines:
            text = "".join(json.dumps(line) + "\n" for line in lines)
            journal_of(file).write_text(text, encoding="utf-8")
    frames = (frames[0], change(frames[1]))
    return [environment_of(*side) for side in zip(frames, files, strict=True)]


def test_the_same_is_one_short_phrase(tmp_path):
    nearly = environment(load=0.3, pressure=4.0, memory=8 * 2**30 - 4096)
    assert differences(*sides(tmp_path, [environment()], [nearly])) == ("the same",)


@pytest.mark.parametrize(
    ("fact", "line"),
    [
        ({"XLA_FLAGS": "--xla_a=1"}, "XLA_FLAGS: none in the base, --xla_a=1 in the head"),
        ({"numpy": "2.3.0"}, "numpy: 2.2.0 in the base, 2.3.0 in the head"),
        ({"usable cores": 1}, "usable cores: 2 in the base, 1 in the head"),
        ({"memory": 16 * 2**30}, "memory: 8.0 GiB in the base, 16.0 GiB in the head"),
        ({"load": 2.4}, "load: 0.1 in the base, 2.4 in the head"),
        ({"pressure": 35.0}, "pressure: 1 % in the base, 35 % in the head"),
        ({"something new": "x"}, "something new: none in the base, x in the head"),
    ],
)
def test_each_difference_is_a_line_with_both_values(fact, line, tmp_path):
    assert differences(*sides(tmp_path, [environment()], [environment(**fact)])) == (line,)


def test_what_changed_within_a_run_is_said(tmp_path):
    twice = [environment(numpy="2.1.0"), environment()]
    assert differences(*sides(tmp_path / "a", twice, [environment()])) == (
        "numpy: 2.1.0 and 2.2.0 in the base, 2.2.0 in the head",
    )
    assert differences(*sides(tmp_path / "b", twice, twice)) == (
        "numpy: 2.1.0 and 2.2.0 on both sides",
    )
    busy = [environment(), environment(load=3.0)]
    assert differences(*sides(tmp_path / "c", [environment()], busy)) == (
        "load: 0.1 in the base, 0.1 to 3 in the head",
    )


def test_a_side_without_a_journal_is_unknown(tmp_path):
    (line,) = differences(*sides(tmp_path / "a"))
    assert line.startswith("the same as far as asv stored it; of either side threads")
    (line,) = differences(*sides(tmp_path / "b", [environment()]))
    assert "of the head threads, flags and load are not known" in line


def test_without_journals_what_asv_stored_is_compared(tmp_path):
    def another(frame):
        return frame.assign(cpu="Another CPU", tensorflow="2.22.0", flags="XLA_FLAGS=--a")

    said = differences(*sides(tmp_path, change=another))
    assert said[:-1] == (
        "processor: An imagined CPU @ 2.50GHz in the base, Another CPU in the head",
        "tensorflow: 2.21.0 in the base, 2.22.0 in the head",
        "flags set by asv: none in the base, XLA_FLAGS=--a in the head",
    )
    assert "no journal" in said[-1]


def test_flags_that_asv_set_are_compared_beside_journals(tmp_path):
    both = ([environment()], [environment()])
    said = differences(*sides(tmp_path, *both, change=lambda frame: frame.assign(flags="A=1")))
    assert said == ("flags set by asv: none in the base, A=1 in the head",)


# ---------------------------------------------------------------- which file


def test_a_runs_file_is_found_in_its_directory_its_machines_and_by_itself(tmp_path):
    base, head = load_runs(write_runs(tmp_path))
    for frame, commit in ((base, BASE), (head, HEAD)):
        (file,) = (tmp_path / "laptop").glob(f"{commit[:8]}-*.json")
        for path in (tmp_path, tmp_path / "laptop", file):
            assert result_files_of(path, frame) == [file]
    assert result_files_of(tmp_path, base[:0]) == []
    assert result_files_of(tmp_path / "nowhere", base) == []


def test_among_machines_the_runs_own_file_is_found(tmp_path):
    for machine in ("desk", "desk-2", "lap"):
        write_runs(tmp_path, machine=machine)
    base, _ = load_runs(tmp_path)
    for machine in ("desk", "desk-2", "lap"):
        mine = base[base["machine"] == machine]
        for name in (machine, f"{machine} (2 cores)"):  # told apart from another of its name
            (file,) = result_files_of(tmp_path, mine.assign(machine=name))
            assert file.parent.name == machine


# ---------------------------------------------------------------- anybody's journals


def test_damaged_lines_are_skipped(tmp_path):
    _, head = sides(tmp_path, [environment()], [environment()])
    (file,) = result_files_of(tmp_path, load_runs(tmp_path)[1])
    good = json.dumps(environment(numpy="9"))
    bad = [
        *("", "{", "[1]", "null", "[" * 50_000, '{"kind": "environment", "facts": 3}'),
        json.dumps({"kind": "environment", "facts": {"x" * 100_000: 1}}),
        '{"kind": "environment", "facts": {"a": NaN, "b": [1], "c": true, "d": 1e999}}',
        '{"kind": "environment", "facts": {"big": ' + "9" * 4000 + "}}",
        '{"kind": 7}',
    ]
    content = "\n".join([*bad, good, good[:30]]).encode() + b"\xff\xfe\x00"
    journal_of(file).write_bytes(content)
    again = environment_of(load_runs(tmp_path)[1], [file])
    assert again.journal["numpy"] == ("9",)
    assert not {"a", "b", "c", "d", "big"} & set(again.journal)
    assert differences(head, again) == ("numpy: 2.2.0 in the base, 9 in the head",)


def test_what_a_terminal_would_obey_is_left_out(tmp_path):
    evil = environment(numpy="\x1b[31m2.3\n## all good\r" + "x" * 5000)
    (line,) = differences(*sides(tmp_path, [environment()], [evil]))
    assert line.isprintable()
    assert len(line) < 400


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_what_is_no_regular_file_is_no_journal(tmp_path):
    frame, _ = load_runs(write_runs(tmp_path))
    (file,) = result_files_of(tmp_path, frame)
    os.mkfifo(journal_of(file))
    assert environment_of(frame, [file]).journal == {}
    os.unlink(journal_of(file))
    journal_of(file).mkdir()
    assert environment_of(frame, [file]).journal == {}
    assert process_seconds([file]) == {}


def test_the_seconds_of_a_process_are_the_median(tmp_path):
    def process(seconds, status="ok", parameters=("'a'", "1")):
        line = {"kind": "process", "benchmark": "b.ratio_x", "status": status, "value": 1.0}
        return {**line, "parameters": list(parameters), "seconds": seconds}

    lines = [process(seconds) for seconds in (0.5, 0.9, 30.0)]
    lines += [process(900.0, "failed"), process(None), process(-1), process("x"), process(True)]
    lines += [process(math.inf), {**process(7.0), "parameters": None}, {"kind": "process"}]
    lines += [process(2.0, "disturbed", ("'b'", "1"))]
    file = tmp_path / "a.json"
    journal_of(file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert process_seconds([file, tmp_path / "none.json"]) == {
        bench_of("b.ratio_x", ("'a'", "1")): 0.9,
        bench_of("b.ratio_x", ("'b'", "1")): 2.0,
    }
