"""The journal beside a result file: read where it is one, ignored or skipped where it is not."""

import json
import math
import os
import threading

import pandas as pd
import pytest
from asvfiles import (
    BUSY,
    SKIP,
    model,
    process_line,
    result_file_of,
    write_disturbed,
    write_journal,
    write_machine,
    write_results,
)

from manualbp.reading import journal
from manualbp.reading.frame import load_results, runs
from manualbp.reading.speedups import speedups

CASE = {"workload": "exercise", "gradient": "fused", "mode": "xla", "device": "CPU:0", "batch": 64}
FACTS = {"kernel": "6.8", "cores": 2, "load": 0.25, "XLA_FLAGS": None}


def cell(frame, quantity="ratio_to_tape", **changes):
    mask = frame["quantity"] == quantity if "quantity" in frame else True
    for column, value in {**CASE, **changes}.items():
        mask &= frame[column] == value
    assert mask.sum() == 1
    return frame[mask].iloc[0]


def without_samples(stored, quantity="ratio_to_tape"):
    """The model in which one cell has no sample: ``stored`` is what asv's file has instead."""

    def altered(name, case):
        hit = name == quantity and all(case.get(key) == CASE[key] for key in CASE)
        return stored if hit else model(name, case)

    return altered


@pytest.fixture
def file(tmp_path):
    return result_file_of(write_results(tmp_path, model=without_samples(SKIP)))


def line(status, **rest):
    return process_line("ratio_to_tape", CASE, status, **rest)


# ---------------------------------------------------------------- its lines


def test_the_environments_are_read_in_their_order(file):
    write_journal(
        file,
        line("ok", value=0.5),
        {"kind": "environment", "started": "2026-11-24T21:00:00Z", "facts": FACTS},
        line("disturbed", reason=BUSY),
        {"kind": "environment", "started": "2026-11-25T21:00:00Z", "facts": {}},
    )
    assert journal.environments(file) == [FACTS, {}]


def test_of_a_cell_the_last_status_and_the_newest_reasons_are_told(file):
    write_journal(
        file,
        line("ok", value=0.5),
        line("disturbed", reason="first"),
        line("disturbed", reason=BUSY),
        line("failed", reason="ValueError: no"),
    )
    ((key, told),) = journal.told(file).items()
    assert key[2] == tuple(repr(value) for value in CASE.values())
    assert (told.discarded, told.last) == (2, "failed")
    assert told.reasons == {"disturbed": BUSY, "failed": "ValueError: no"}


def test_without_a_journal_nothing_is_known(file):
    assert journal.environments(file) == []
    assert journal.told(file) == {}


BAD = {
    "torn": '{"kind": "process", "benchmark": "bench_ratio.ra',
    "no JSON": "\x00\x01\x02",
    "no object": "[1, 2]",
    "deep": "[" * 50_000,
    "deep in a line": '{"kind": "process", "x": ' + "[" * 50_000,
    "long": json.dumps({**line("disturbed"), "reason": "x" * 200_000}),
    "unknown kind": json.dumps({**line("disturbed"), "kind": "other"}),
    "unknown status": json.dumps({**line("disturbed"), "status": "splendid"}),
    "unhashable status": json.dumps({**line("disturbed"), "status": ["disturbed"]}),
    "no benchmark": json.dumps({**line("disturbed"), "benchmark": 5}),
    "no parameters": json.dumps({**line("disturbed"), "parameters": "none"}),
    "numbers for parameters": json.dumps({**line("disturbed"), "parameters": [1, 2, 3, 4, 5]}),
    "no version": json.dumps({**line("disturbed"), "version": None}),
    "not to be encoded": json.dumps({**line("disturbed"), "benchmark": "\ud800"}),
    "huge number": '{"kind": "process", "value": ' + "9" * 60_000 + "}",
    "facts that are none": '{"kind": "environments", "facts": 3}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_damaged_line_is_skipped_and_the_others_stand(file, bad):
    write_journal(file, bad, line("disturbed", reason=BUSY), bad)
    (told,) = journal.told(file).values()
    assert (told.discarded, told.last) == (1, "disturbed")
    assert told.reasons == {"disturbed": BUSY}


def test_a_reason_of_a_wrong_type_is_none(file):
    write_journal(file, line("disturbed", reason=3), line("ok", value=10**400))
    (told,) = journal.told(file).values()
    assert (told.discarded, told.reasons) == (1, {})


def test_a_reason_is_one_printable_line_of_bounded_length(file):
    reason = "first\nsecond \x1b[31mred \ud800 " + "x" * 5000
    write_journal(file, line("disturbed", reason=reason))
    (told,) = journal.told(file).values()
    found = told.reasons["disturbed"]
    assert found.startswith("first second [31mred x")
    assert found.isprintable()
    assert len(found) == journal.REASON_LIMIT


def test_facts_that_are_not_flat_are_left_out(file):
    facts = {**FACTS, "nested": {"a": 1}, "list": [1], "true": True, "inf": math.inf}
    write_journal(file, {"kind": "environment", "facts": facts, "started": None})
    assert journal.environments(file) == [FACTS]


# ---------------------------------------------------------------- files that are none


def read(file):
    """Read a results file with whatever stands for its journal, and give up after a while."""
    done = []
    thread = threading.Thread(target=lambda: done.append(load_results(file)), daemon=True)
    thread.start()
    thread.join(60)
    assert done, "reading hung"
    return done[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO on this system")
def test_a_fifo_is_not_waited_for(file):
    os.mkfifo(journal.journal_of(file))
    assert not read(file)["discarded"].any()


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin"])
@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device on this system")
def test_a_link_to_a_device_is_not_read(file, target):
    journal.journal_of(file).symlink_to(target)
    assert not read(file)["discarded"].any()


def test_a_folder_or_a_dangling_link_is_no_journal(file):
    path = journal.journal_of(file)
    path.mkdir()
    assert journal.told(file) == {}
    path.rmdir()
    path.symlink_to("nowhere")
    assert journal.told(file) == {}


def test_of_a_huge_file_only_the_newest_part_is_read(file, monkeypatch):
    path = write_journal(file, line("failed", reason="long ago"))
    with path.open("ab") as stream:  # a hole: it takes no room on the disk
        stream.truncate(2**36)
    write_journal(file, "", line("disturbed", reason=BUSY))
    monkeypatch.setattr(journal, "FILE_LIMIT", 2**20)
    (told,) = journal.told(file).values()
    assert told.reasons == {"disturbed": BUSY}


def test_lines_of_accepted_values_are_not_parsed(file, monkeypatch):
    """A history of hundreds of commits has hundreds of thousands of them."""
    write_journal(file, *[line("ok")] * 3, json.dumps(line("ok"), separators=(",", ":")))
    write_journal(file, line("failed", reason='it said "status": "ok"'))
    parsed = []
    monkeypatch.setattr(journal, "_key", lambda line: parsed.append(line["status"]))
    assert journal.told(file) == {}
    assert parsed == ["failed"]


# ---------------------------------------------------------------- the table of results


@pytest.mark.parametrize("stored", [SKIP, None], ids=["NaN", "null"])
def test_a_cell_with_nothing_but_disturbed_values_is_disturbed(tmp_path, stored):
    file = result_file_of(write_results(tmp_path, model=without_samples(stored)))
    write_journal(file, line("disturbed", reason="first"), line("disturbed", reason="second"))
    frame = load_results(tmp_path)
    found = cell(frame)
    assert (found["status"], found["discarded"], found["reason"]) == ("disturbed", 2, "second")
    assert math.isnan(found["value"])
    assert found["processes"] == 0
    assert runs(frame)["disturbed"].tolist() == [1]


def test_a_later_failure_makes_it_failed_and_an_earlier_one_does_not(file):
    write_journal(file, line("failed", reason="a"), line("disturbed", reason="b"))
    assert cell(load_results(file))["status"] == "disturbed"
    write_results(file.parents[1], model=without_samples(None))
    write_journal(file, line("failed", reason="c"))
    found = cell(load_results(file))
    assert (found["status"], found["reason"], found["discarded"]) == ("failed", "c", 1)


def test_a_cell_with_samples_keeps_them_and_counts_what_was_discarded(tmp_path):
    file = result_file_of(write_results(tmp_path))
    before = cell(load_results(tmp_path))
    write_journal(file, line("ok"), line("disturbed", reason=BUSY))
    found = cell(load_results(tmp_path))
    assert (found["status"], found["discarded"]) == ("ok", 1)
    assert found["samples"] == before["samples"]
    assert pd.isna(found["reason"])


def test_why_a_cell_failed_or_was_skipped_is_told(tmp_path):
    file = result_file_of(write_results(tmp_path, model=without_samples(None)))
    write_journal(
        file,
        line("failed", reason="ResourceExhaustedError"),
        process_line(
            "steady_step", {**CASE, "device": "GPU:0"}, "skipped", reason="no device GPU:0"
        ),
    )
    frame = load_results(tmp_path)
    assert cell(frame)["reason"] == "ResourceExhaustedError"
    assert cell(frame, "steady_step", device="GPU:0")["reason"] == "no device GPU:0"


def test_lines_of_another_version_say_nothing(file):
    write_journal(file, line("disturbed", version="v0"))
    found = cell(load_results(file))
    assert (found["status"], found["discarded"]) == ("skipped", 0)


def test_a_benchmark_that_only_the_journal_knows_has_its_cells(tmp_path):
    """Its first processes were all disturbed, so that asv's file never had a row for it."""
    write_machine(tmp_path, suite={})
    file = result_file_of(tmp_path)
    other = {**CASE, "batch": 8}
    write_journal(
        file,
        process_line("ratio_to_tape", CASE, "disturbed", version="v0"),
        line("disturbed", reason=BUSY),
        process_line("ratio_to_tape", other, "failed", reason="no"),
        {**line("disturbed"), "benchmark": "theirs.unknown"},
        {**line("disturbed"), "parameters": ["'exercise'"]},
    )
    frame = load_results(tmp_path)
    assert len(frame) == 2
    assert cell(frame)["status"] == "disturbed"
    assert cell(frame, batch=8)["status"] == "failed"


def test_a_disturbed_ratio_makes_the_case_disturbed_even_if_times_exist(file):
    write_journal(file, line("disturbed", reason=BUSY))
    found = cell(speedups(load_results(file)))
    assert (found["status"], found["source"]) == ("disturbed", "interleaved")
    assert (found["discarded"], found["reason"]) == (1, BUSY)
    assert math.isnan(found["speedup"])


def test_a_disturbed_time_of_the_tape_makes_separate_cases_disturbed(tmp_path):
    def without_ratio(quantity, case):
        tape = {**CASE, "gradient": "tape"}
        hit = quantity == "steady_step" and all(case[key] == tape[key] for key in tape)
        return SKIP if hit or quantity == "ratio_to_tape" else model(quantity, case)

    file = result_file_of(write_results(tmp_path, model=without_ratio))
    tape = process_line("steady_step", {**CASE, "gradient": "tape"}, "disturbed", reason=BUSY)
    write_journal(file, tape, process_line("steady_step", CASE, "disturbed"))
    found = cell(speedups(load_results(tmp_path)))
    assert (found["status"], found["source"], found["reason"]) == ("disturbed", "separate", BUSY)
    assert found["discarded"] == 2
    assert cell(speedups(load_results(tmp_path)), batch=8)["status"] == "ok"


def test_asv_ignores_the_journal_and_so_does_the_search_for_files(tmp_path):
    write_disturbed(tmp_path)
    assert len(list(tmp_path.glob("*/*.processes.jsonl"))) == 1
    assert len(runs(load_results(tmp_path))) == 1
