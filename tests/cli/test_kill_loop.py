"""The first runs of the study of killed runs (docs/studies/kill_loop.py)."""


def test_what_is_killed_or_meets_a_full_disk_loses_nothing(load_study, tmp_path, home):
    found = load_study("kill_loop").loop(tmp_path / "project", kills=4, full=1, seed=1)
    assert found.wrong == []
    assert sum(found.ended.values()) == 5
