"""Saving results: by several runs at once, on a full disk, after one that was killed."""

import datetime as dt
import errno
import json
import threading
from pathlib import Path

import pytest

from manualbp.running import store
from manualbp.running.cells import Cell, Outcome
from manualbp.running.sides import folder_of_now
from manualbp.running.store import Store
from manualbp.running.tree import Tree

TREE = Tree("0" * 40, dirty=False, date=1_700_000_000_000)
NAME = "ratios.Step.ratio_to_tape"
BATCHES = [str(number) for number in range(8)]
CELLS = [Cell(NAME, index, ("batch",), (batch,), 1) for index, batch in enumerate(BATCHES)]
STARTED = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


class Discovered(dict):
    """What a store asks of asv's benchmarks."""

    api_version = 2

    def __init__(self):
        benchmark = {"name": NAME, "type": "ratio", "unit": "1", "version": "1"}
        super().__init__({NAME: {**benchmark, "params": [BATCHES], "param_names": ["batch"]}})
        self._all_benchmarks = dict(self)

    def get_benchmark_file_path(self, results):
        return f"{results}/benchmarks.json"


def opened(folder):
    return Store(folder, TREE, "desk", Discovered())


def ok(value):
    return Outcome("ok", value=value, seconds=1.0)


def test_what_two_have_open_is_added_to_what_the_other_saved(tmp_path):
    one, other = opened(tmp_path), opened(tmp_path)
    for value in (1.0, 2.0):
        one.add({CELLS[0]: ok(value)}, STARTED)
        other.add({CELLS[0]: ok(value + 0.5), CELLS[1]: ok(value)}, STARTED)
    for each in (one, opened(tmp_path)):
        assert sorted(each.samples(CELLS[0])) in ([1.0, 1.5, 2.0], [1.0, 1.5, 2.0, 2.5])
    assert sorted(opened(tmp_path).samples(CELLS[0])) == [1.0, 1.5, 2.0, 2.5]
    assert opened(tmp_path).samples(CELLS[1]) == (1.0, 2.0)


def test_several_that_save_at_once_lose_nothing(tmp_path):
    stores = [opened(tmp_path) for _ in CELLS]

    def add(mine, cell):
        for value in range(20):
            mine.add({cell: ok(1.0 + value), CELLS[0]: ok(1.0)}, STARTED)

    threads = [
        threading.Thread(target=add, args=pair) for pair in zip(stores[1:], CELLS[1:], strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = opened(tmp_path)
    assert len(found.samples(CELLS[0])) == 20 * len(threads)
    for cell in CELLS[1:]:
        assert found.samples(cell) == tuple(1.0 + value for value in range(20))


def test_what_a_killed_one_was_writing_is_removed(tmp_path):
    left = tmp_path / ".saving-killed/desk"
    left.mkdir(parents=True)
    (left / "half.json").write_text("{")
    opened(tmp_path).add({CELLS[0]: ok(1.0)}, STARTED)
    assert {path.name for path in tmp_path.iterdir()} == {"benchmarks.json", "desk"}


def test_a_full_disk_leaves_the_files_as_they_were(tmp_path, monkeypatch):
    opened(tmp_path).add({CELLS[0]: ok(1.0)}, STARTED)
    description = tmp_path / "benchmarks.json"
    description.write_text(json.dumps({"version": 2}))

    def fill(path, *_, **__):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device", path)

    with monkeypatch.context() as patch:
        patch.setattr(store.util, "write_json", fill)
        with pytest.raises(OSError, match="No space left"):
            opened(tmp_path)
    assert json.loads(description.read_text()) == {"version": 2}
    again = opened(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(store.util, "write_json", fill)
        with pytest.raises(OSError, match="No space left"):
            again.add({CELLS[0]: ok(2.0)}, STARTED)
    assert opened(tmp_path).samples(CELLS[0]) == (1.0,)


def test_what_begins_in_one_second_has_a_folder_of_its_own(tmp_path):
    folders = [folder_of_now(tmp_path / "gate") for _ in range(5)]
    assert len(set(folders)) == 5
    assert all(folder.is_dir() for folder in folders)
