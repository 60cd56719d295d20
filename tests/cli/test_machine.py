"""The name of a machine: its own, kept from others', and refused where it is another's."""

import json
import os
import re
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from manualbp.cli import main
from manualbp.running import machine
from manualbp.running.machine import choose_machine, default_machine_name, register_machine
from manualbp.running.source import checked_out
from manualbp.running.suite import Suite
from manualbp.running.tree import SuiteError

GB = 10**9
HERE = {
    "machine": "a-host-name",
    "os": "Linux 6.8",
    "arch": "x86_64",
    "cpu": "Intel(R) Core(TM) i5-2520M CPU @ 2.50GHz",
    "num_cpu": "4",
    "ram": str(16 * GB),
}
AN_ID = "0123456789abcdef0123456789abcdef"
OTHERS = [
    ({"num_cpu": "8"}, "8 cores, here 4 cores"),
    ({"cpu": "AMD EPYC"}, "AMD EPYC, here Intel(R) Core(TM) i5-2520M CPU @ 2.50GHz"),
    ({"ram": str(32 * GB)}, "32 GB, here 16 GB"),
]


@pytest.fixture
def here(tmp_path, home, monkeypatch):
    """Make this an imagined machine with an id; returns what asv finds out about it."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    facts = dict(HERE)
    monkeypatch.setattr(machine.Machine, "get_defaults", lambda: dict(facts))
    monkeypatch.setattr(machine.util, "get_cpu_info", lambda: facts["cpu"])
    monkeypatch.setattr(os, "cpu_count", lambda: int(facts["num_cpu"]))
    monkeypatch.setattr(machine, "MACHINE_IDS", (tmp_path / "machine-id",))
    (tmp_path / "machine-id").write_text(AN_ID + "\n")
    return facts


@pytest.fixture
def without_id(here, tmp_path):
    (tmp_path / "machine-id").unlink()


def describe(folder, **facts):
    folder.mkdir(parents=True, exist_ok=True)
    content = {**HERE, "machine": folder.name, "version": 1, **facts}
    (folder / "machine.json").write_text(json.dumps(content))


# ---------------------------------------------------------------- the default name


def test_it_says_processor_and_cores_and_has_a_tag(here):
    assert re.fullmatch(r"intel-core-i5-2520m-4core-[a-z2-9]{5}", default_machine_name())


def test_it_is_the_same_every_time_and_after_another_kernel(here):
    name = default_machine_name()
    here |= {"os": "Linux 6.9", "ram": str(int(15.9 * GB))}
    assert default_machine_name() == name


@pytest.mark.parametrize(
    "facts", [{"ram": str(32 * GB)}, {"cpu": "Intel(R) Core(TM) i5-2520M CPU @ 2.6GHz"}]
)
def test_machines_that_share_an_id_have_two_names(facts, here):
    name = default_machine_name()
    here |= facts
    assert default_machine_name() != name


def test_two_machines_of_one_kind_have_two_names(here, tmp_path):
    name = default_machine_name()
    (tmp_path / "machine-id").write_text("f" * 32)
    other = default_machine_name()
    assert other != name
    assert other.rpartition("-")[0] == name.rpartition("-")[0]


def test_it_gives_away_neither_the_id_nor_the_host(here, tmp_path):
    names = []
    for number in range(20):
        (tmp_path / "machine-id").write_text(f"{number + 1:032x}")
        here["machine"] = f"host-{number}"
        names.append(default_machine_name().rpartition("-")[2])
    assert len(set(names)) == 20
    identifier = (tmp_path / "machine-id").read_text()
    assert not any(part in identifier or part in here["machine"] for part in names)


@pytest.mark.parametrize("text", ["", "uninitialized\n", "0" * 32, "\xff", "short"])
def test_an_id_that_is_none_is_not_taken(text, here, tmp_path):
    (tmp_path / "machine-id").write_text(text, encoding="latin-1")
    default_machine_name()
    assert machine.state_folder().joinpath("machine-id").is_file()


def test_the_second_place_is_looked_at(here, tmp_path, monkeypatch):
    name = default_machine_name()
    monkeypatch.setattr(machine, "MACHINE_IDS", (tmp_path / "none", tmp_path / "machine-id"))
    assert default_machine_name() == name


def test_without_an_id_one_is_kept_for_the_user(without_id, home):
    name = default_machine_name()
    assert default_machine_name() == name
    file = home / ".local/state/manualbp/machine-id"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["machine-id"]
    file.unlink()
    assert default_machine_name() != name


def test_it_is_kept_where_the_user_keeps_state(without_id, home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    default_machine_name()
    assert (tmp_path / "state/manualbp/machine-id").is_file()
    assert not (home / ".local").exists()
    # The specification has relative paths ignored.
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    default_machine_name()
    assert (home / ".local/state/manualbp/machine-id").is_file()


def test_a_damaged_id_of_the_users_is_replaced(without_id, home):
    folder = home / ".local/state/manualbp"
    folder.mkdir(parents=True)
    (folder / "machine-id").write_bytes(b"\xff")
    name = default_machine_name()
    assert default_machine_name() == name


def test_a_home_that_cannot_be_used_leaves_the_facts_and_a_warning(without_id, home):
    (home / ".local").write_text("a file, not a folder")
    with pytest.warns(UserWarning, match="no id of this machine can be read or kept"):
        assert default_machine_name() == "intel-core-i5-2520m-4core"


@pytest.mark.filterwarnings("always")
def test_the_warning_is_one_line_of_the_command(without_id, home, small_checkout, capsys):
    (home / ".local").write_text("a file, not a folder")
    assert main(["run", "--bench", "no_such_benchmark"]) == 1
    first, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("manualbp: no id of this machine can be read or kept")
    assert first.endswith("--machine gives it a name of its own")


# ---------------------------------------------------------------- a name that is taken


def test_a_free_name_and_ones_own_are_taken(here, tmp_path):
    assert choose_machine("desk", tmp_path) == "desk"
    describe(tmp_path / "desk", os="Linux 5.4", ram=str(int(15.7 * GB)))
    assert choose_machine("desk", tmp_path) == "desk"
    own = default_machine_name()
    describe(tmp_path / own)
    assert choose_machine(None, tmp_path) == own


@pytest.mark.parametrize(("facts", "message"), OTHERS)
def test_a_chosen_name_of_another_machine_is_refused(facts, message, here, tmp_path):
    describe(tmp_path / "desk", **facts)
    with pytest.raises(SuiteError, match=re.escape(message)) as error:
        choose_machine("desk", tmp_path / "empty", tmp_path)
    assert "choose another with --machine" in str(error.value)
    assert str(tmp_path / "desk") in str(error.value)
    assert choose_machine("desk", tmp_path, to_read=True) == "desk"


@pytest.mark.parametrize(("facts", "message"), OTHERS)
def test_a_default_name_of_another_machine_gets_a_number(facts, message, here, tmp_path):
    own = default_machine_name()
    describe(tmp_path / own, **facts)
    with pytest.warns(UserWarning, match=re.escape(message)):
        assert choose_machine(None, tmp_path) == f"{own}-2"
    describe(tmp_path / f"{own}-2")
    with pytest.warns(UserWarning, match="another machine's"):
        assert choose_machine(None, tmp_path) == f"{own}-2"
    describe(tmp_path / "dirty" / f"{own}-2", num_cpu="64")
    with pytest.warns(UserWarning, match="another machine's"):
        assert choose_machine(None, tmp_path, tmp_path / "dirty") == f"{own}-3"


@pytest.mark.parametrize("facts", [{"num_cpu": ""}, {"ram": "16GB"}, {"cpu": None}])
def test_what_is_not_known_tells_no_machines_apart(facts, here, tmp_path):
    describe(tmp_path / "desk", **facts)
    assert choose_machine("desk", tmp_path) == "desk"


@pytest.mark.parametrize("described", [None, "{}"])
def test_without_a_description_the_results_tell(described, here, tmp_path):
    (tmp_path / "desk").mkdir()
    if described:
        (tmp_path / "desk/machine.json").write_text(described)
    assert choose_machine("desk", tmp_path) == "desk"
    (tmp_path / "desk/1a2b-env.json").write_text(json.dumps({"params": {**HERE, "num_cpu": "8"}}))
    with pytest.raises(SuiteError, match="8 cores, here 4 cores"):
        choose_machine("desk", tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b""])
@pytest.mark.parametrize("command", [["run"], ["calibrate"], ["gate", "HEAD"]])
def test_a_damaged_description_is_one_line(content, command, here, checkout, capsys):
    folder = checkout / "results/desk"
    folder.mkdir(parents=True)
    (folder / "machine.json").write_bytes(content)
    assert main([*command, "--machine", "desk"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "machine.json cannot be read" in line
    assert "restore or remove it" in line
    assert (folder / "machine.json").read_bytes() == content


@pytest.mark.parametrize("command", [["run"], ["calibrate"], ["gate", "HEAD"]])
def test_every_command_that_measures_refuses_anothers_name(command, here, checkout, capsys):
    describe(checkout / "results/desk", num_cpu="8")
    assert main([*command, "--machine", "desk"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "results/desk is another machine's (8 cores, here 4 cores)" in line


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "a\nb", "x" * 256, "\udcff"])
@pytest.mark.parametrize("command", [["run"], ["calibrate", "--evaluate"], ["gate", "HEAD"]])
def test_names_of_no_folder_are_refused(name, command, here, checkout, capsys):
    assert main([*command, "--machine", name]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot name a folder" in line


def test_the_name_of_a_file_is_refused(here, tmp_path):
    (tmp_path / "benchmarks.json").write_text("{}")
    with pytest.raises(SuiteError, match="is no folder"):
        choose_machine("benchmarks.json", tmp_path)


# ---------------------------------------------------------------- what is written


def test_a_machine_is_described_once(here, tmp_path):
    facts = register_machine("desk", tmp_path)
    file = tmp_path / "desk/machine.json"
    assert json.loads(file.read_text()) == {**HERE, "machine": "desk", "version": 1}
    assert facts == {**HERE, "machine": "desk"}
    assert "a-host-name" not in file.read_text()

    here |= {"os": "Linux 6.9", "ram": str(int(15.9 * GB))}
    before = file.read_bytes()
    later = register_machine("desk", tmp_path)
    assert file.read_bytes() == before
    # What a run stores: the kernel it ran under, and the memory that asv knows the machine by.
    assert later == {**facts, "os": "Linux 6.9"}

    here["num_cpu"] = "8"
    with pytest.raises(SuiteError, match="4 cores, here 8 cores"):
        register_machine("desk", tmp_path)
    assert file.read_bytes() == before


def test_nothing_is_kept_in_the_home(here, home, tmp_path):
    register_machine("desk", tmp_path / "results")
    default_machine_name()
    assert not list(home.iterdir())


def test_what_a_home_says_about_a_name_is_not_believed(here, home, tmp_path):
    known = {"desk": {**HERE, "machine": "desk", "num_cpu": "64"}, "version": 1}
    (home / ".asv-machine.json").write_text(json.dumps(known))
    assert register_machine("desk", tmp_path)["num_cpu"] == "4"


def test_asv_reads_the_description(here, tmp_path):
    register_machine("desk", tmp_path)
    (file,) = machine_files(tmp_path)
    assert Path(file) == tmp_path / "desk/machine.json"
    loaded = json.loads(Path(file).read_text())
    assert set(loaded) == {name for name, _ in machine.Machine.fields} | {"version"}


def machine_files(results):
    from asv.machine import iter_machine_files

    return list(iter_machine_files(str(results)))


def test_a_suite_that_is_stored_is_not_written_again(here, small_checkout):
    def benchmarks():
        suite = Suite(small_checkout, checked_out(small_checkout), "desk", "track_square")
        return suite.source.results / "benchmarks.json"

    file = benchmarks()
    content = json.loads(file.read_text())
    # As a merge or another version of asv may have left it: the same, in other words.
    file.write_text(json.dumps(content))
    before = file.read_bytes()
    assert benchmarks().read_bytes() == before
    file.write_text(json.dumps({**content, "gone.steady_gone": {}}))
    assert json.loads(benchmarks().read_text()) == content


def test_a_run_in_a_clean_checkout_leaves_it_clean(small_checkout, home):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]

    def run():
        command = [sys.executable, "-m", "manualbp", "run", "--bench", "track_square"]
        done = subprocess.run(
            [*command, "--minutes", "0.0001"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def git(*arguments):
        return subprocess.run(
            ["git", *identity, *arguments], capture_output=True, text=True, check=True
        ).stdout

    run()
    git("add", "results")
    git("commit", "-qm", "Results")
    assert "machine.json" in git("ls-files", "results")
    run()
    assert git("status", "--porcelain") == ""


def test_this_machine_has_a_name(home):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = default_machine_name()
    assert machine.check_machine_name(name) == name
    assert os.uname().nodename not in name
