"""``manualbp gate`` on real commits of the project, installed and measured by turns.

What does not depend on the clock is tested here: what cannot be measured is never good news,
and a change of structure is shown.  How large a slowdown is found is calibrated, not tested.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkouts import commit

from manualbp.cli import main
from manualbp.cli.gate import judging_margins
from manualbp.reading.verdicts import CONTROLS
from manualbp.running import sides
from manualbp.running.cells import Cell
from manualbp.running.tree import describe_commit, harness_changes

# At a batch that has a control, which then shares the ratio's process.
CELLS = r"(ratio_to_tape.*exercise.*chain.*graph.*CPU:0', 1\)|track_graph_nodes.*chain.*CPU:0)"


def edit(name, old, new):
    path = Path(name)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def project(project):
    """Measure in two processes: enough for an interval, and a fork server less for each."""
    edit("manualbp/measuring/suite.py", "rounds = 5", "rounds = 2")
    commit(project, "Measure less")
    return project


def gate(*arguments):
    # The second look as short as it may be: how often it measures is not what is tested.
    options = ["--bench", CELLS, "--processes", "2", *arguments]
    done = subprocess.run(
        [sys.executable, "-m", "manualbp", "gate", "HEAD^", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def answer(done):
    return json.loads(done.stdout)


REDUNDANT = """    upstream = tf.ones_like(loss) / batch_size
    upstream = upstream * (1 + 1e-30 * tf.reduce_max(inputs @ variables[0][0]))
"""


def test_a_redundant_product_is_a_change_of_structure(project):
    edit(
        "manualbp/exercise/chain.py",
        "    upstream = tf.ones_like(loss) / batch_size\n",
        REDUNDANT,
    )
    commit(project, "Multiply once more than needed")
    # A margin so wide that the clock decides nothing here.
    done = gate("--margin", "99", "--format", "json")
    content = answer(done)
    assert content["conclusion"] == "structure changed", done.stderr
    assert done.returncode == 6
    changed = [row for row in content["structure"] if row["quantity"] == "track_graph_nodes"]
    assert changed
    assert all(row["head"] > row["base"] for row in changed)
    assert all(row["outcome"] == "changed" for row in changed)
    assert len(content["environment"]) == 1
    assert content["environment"][0].startswith("the same")
    (folder,) = Path(".asv/gate").iterdir()
    for side in ("base", "head"):
        (file,) = (p for p in folder.glob(f"screening/{side}/*/*.json") if p.stem != "machine")
        assert json.loads(file.read_text())["results"]


def test_a_wrong_gradient_is_not_measured(project):
    edit(
        "manualbp/exercise/derivatives.py",
        "return upstream * tf.cast(layer_out > 0, upstream.dtype)",
        "return 1.001 * upstream * tf.cast(layer_out > 0, upstream.dtype)",
    )
    commit(project, "Break a derivative")
    done = gate("--margin", "99", "--format", "json")
    assert done.returncode == 5
    content = answer(done)
    assert content["conclusion"] == "not measured"
    # The tape's step is right on both sides, and so the controls beside it are measured.
    assert {row["reason"] for row in content["cells"] if row["gated"]} == {"failed in the head"}
    assert {row["quantity"] for row in content["cells"] if not row["gated"]} == set(CONTROLS)
    assert "VerificationError: exercise/chain/graph/CPU:0/1: the gradient of" in done.stderr


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("benchmarks/ratios.py", "import parts", "import no_such_part", "cannot read the suite"),
        ("pyproject.toml", "[build-system]", "[build-system", "cannot be installed"),
    ],
)
def test_a_commit_that_cannot_be_had_is_not_measured(name, old, new, message, project):
    edit(name, old, new)
    commit(project, "Break the suite or the package")
    margins = Path("margins.csv")
    margins.write_text(
        "quantity,workload,gradient,mode,device,batch,margin,within,deviation,processes\n"
        "ratio_to_tape,exercise,chain,graph,CPU:0,64,0.02,0.005,0.005,39\n"
    )
    done = gate("--margins", str(margins))
    assert done.returncode == 5
    assert "the head cannot be measured: " in done.stderr
    assert message in done.stderr
    assert "Not measured" in done.stdout or "Nothing to compare" in done.stdout


def test_a_commit_does_not_choose_the_margins_it_is_judged_by(project, tmp_path):
    path = Path("results/desk/margins.csv")
    path.parent.mkdir(parents=True)
    without = describe_commit(project, "HEAD")
    path.write_text("the base's")
    subprocess.run(["git", "add", "--force", str(path)], check=True)
    commit(project, "Calibrate")
    base = describe_commit(project, "HEAD")
    path.write_text("the head's")
    commit(project, "Let anything pass")
    assert judging_margins(project, base, "desk", tmp_path).read_text() == "the base's"
    # Where the base has none, and for another machine, it is what is in the checkout.
    assert judging_margins(project, without, "desk", tmp_path) == project / path
    assert not judging_margins(project, base, "another", tmp_path).exists()


@pytest.mark.parametrize("processes", ["1", "0", "-2", "many"])
def test_a_second_look_needs_two_processes(processes, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["gate", "HEAD^", "--processes", processes])
    assert caught.value.code == 2
    assert "--processes" in capsys.readouterr().err


def test_no_such_commit_is_one_line(project, capsys):
    assert main(["gate", "no-such-branch"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no-such-branch" in line


# ---------------------------------------------------------------- what a commit may hold


def slow_backend(pid):
    """A build that never ends; it says which process it is."""
    return f"""
import os, pathlib, time

def _forever(*arguments, **options):
    pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))
    time.sleep(600)

build_wheel = prepare_metadata_for_build_wheel = get_requires_for_build_wheel = _forever
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    path = tmp_path / "repository"
    (path / "benchmarks").mkdir(parents=True)
    (path / "benchmarks/__init__.py").touch()
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    commit(path, "Nothing")
    monkeypatch.chdir(path)
    return path


def installed(repository, folder):
    return sides.install(repository, describe_commit(repository, "HEAD"), folder)


def test_a_build_that_never_ends_is_ended(repository, tmp_path, monkeypatch):
    pid = tmp_path / "pid"
    (repository / "slow.py").write_text(slow_backend(pid))
    (repository / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "slow"\nbackend-path = ["."]\n'
    )
    commit(repository, "Build for ever")
    monkeypatch.setattr(sides, "BUILD_S", 20.0)
    found = installed(repository, tmp_path / "installed")
    assert "cannot be installed: building it took longer than 20 s" in found.reason
    for _ in range(100):  # it was killed, and is gone in a moment
        if not Path(f"/proc/{pid.read_text()}").exists():
            break
        time.sleep(0.1)
    else:
        pytest.fail("the build goes on")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside"])
def test_a_link_out_of_a_commit_is_not_followed(target, repository, tmp_path):
    (repository / "link").symlink_to(target)
    commit(repository, "A link")
    found = installed(repository, tmp_path / "installed")
    assert "cannot be installed" in found.reason
    assert "link" in found.reason
    assert not (tmp_path / "installed/source/link").exists()


def test_a_package_of_another_name_is_not_measured(repository, tmp_path, monkeypatch):
    """Its suite would import the package that is installed in this environment, on both sides."""
    monkeypatch.setattr(sides, "_run_pip", lambda *arguments: None)
    found = installed(repository, tmp_path / "installed")
    assert "it holds no package 'manualbp'" in found.reason


def test_what_measures_and_verifies_is_compared_between_commits(repository):
    for name in ("benchmarks/ratios.py", "manualbp/measuring/oracle.py", "manualbp/chain.py"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("# changed\n")
    commit(repository, "Change three files")
    changed = harness_changes(repository, "HEAD^", "HEAD")
    assert changed == ("benchmarks/ratios.py", "manualbp/measuring/oracle.py")
    assert harness_changes(repository, "HEAD", "HEAD") == ()
    assert harness_changes(repository, "no such commit", "HEAD") == ()


# ---------------------------------------------------------------- controls


def cell(quantity, **case):
    case = {"workload": "exercise", **case}
    values = tuple(map(repr, case.values()))
    return Cell(f"ratios.Step.{quantity}", 0, tuple(case), values, 5)


def test_the_controls_of_what_is_chosen_are_measured_beside_it():
    def ratio(gradient, mode, batch):
        return cell("ratio_to_tape", gradient=gradient, mode=mode, device="CPU:0", batch=batch)

    def tapes(mode, batch, **case):
        return cell("ratio_tape_to_tape", **case, mode=mode, device="CPU:0", batch=batch)

    machine = cell("ratio_numpy_to_numpy")
    cells = [
        *(ratio("fused", "eager", 512), ratio("chain", "eager", 512), ratio("fused", "xla", 1)),
        *(tapes("eager", 1), tapes("eager", 4096), tapes("xla", 1)),
        *(tapes("eager", 512, workload="wide"), machine, cell("track_graph_nodes", batch=1)),
    ]
    chosen = sides.with_their_controls(cells, r"ratio_to_tape\(.*'fused', 'eager'")
    assert chosen == [ratio("fused", "eager", 512), tapes("eager", 4096), machine]
    assert sides.with_their_controls(cells, "track_") == [cell("track_graph_nodes", batch=1)]
    assert sides.with_their_controls(cells, "no such benchmark") == []
    assert sides.with_their_controls(cells, "ratio_") == cells[:-1]
