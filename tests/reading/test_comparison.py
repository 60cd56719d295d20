"""What a comparison says, and the status that CI acts on."""

import itertools
import json
import math
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
from asvfiles import DATE, write_benchmarks, write_machine
from lines import hash_of
from runs import BASE, HEAD, SUITE, load_runs, margins, only, write_runs

from manualbp.cli import gate, main
from manualbp.reading import comparison as words
from manualbp.reading.comparison_json import as_json
from manualbp.reading.counts import counted, structure
from manualbp.reading.frame import records
from manualbp.reading.journal import journal_of
from manualbp.reading.margins import COLUMNS, FILE, load_margins
from manualbp.reading.remedies import again
from manualbp.reading.schema import CASE
from manualbp.reading.verdicts import compare
from manualbp.running.tree import Tree

ONE = {"gradient": "fused", "mode": "graph", "batch": 4096}


def say(path, known=None, **options):
    base, head = load_runs(write_runs(path, **options))
    cells = compare(base, head, margins() if known is None else known)
    return words.Comparison("old", "new", cells, structure(base, head), counted(head))


def test_the_headline_names_the_worst_cell_with_its_interval(tmp_path):
    line = words.headline(say(tmp_path, change=only(1.1, **ONE)))
    assert line.startswith("Slower: 1 of 36 gated cells, at worst exercise/fused/graph/CPU:0/4096 ")
    assert "+10." in line or "+9." in line
    assert "(95 % +" in line


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({}, "Same: all of 36 gated cells"),
        ({"change": only(0.8, **ONE)}, "Faster: 1 of 36 gated cells"),
        ({"change": only(None, **ONE)}, "Not measured: 1 of 36 gated cells (failed in the head)"),
        ({"known": {}}, "Report only: no margin is known"),
        ({"deviation": 0.03, "seed": 1}, "Inconclusive: "),
    ],
)
def test_every_conclusion_has_its_words(options, start, tmp_path):
    assert words.headline(say(tmp_path, **options)).startswith(start)


def test_slower_is_more_pressing_than_not_measured(tmp_path):
    def change(quantity, case):
        slower = only(1.2, **ONE)(quantity, case)
        return None if quantity == "ratio_to_tape" and case["mode"] == "xla" else slower

    comparison = say(tmp_path, change=change)
    assert words.conclude(comparison) == "slower"
    assert "also 12 not measured" in words.headline(comparison)


def test_markdown_folds_what_is_the_same(tmp_path):
    text = words.markdown(say(tmp_path, change=only(1.1, **ONE)))
    before, folded, commands = text.split("<details>")
    assert "exercise/fused/graph/CPU:0/4096" in before
    assert folded.count("exercise/chain") >= 18
    assert commands.count("manualbp gate") + commands.count("manualbp run") == 1
    assert len(text) < 60_000


def test_json_holds_every_cell(tmp_path):
    comparison = say(tmp_path, change=only(None, **ONE))
    content = json.loads(as_json(comparison))
    assert content["conclusion"] == "not measured"
    assert len(content["cells"]) == len(comparison.cells)
    assert {cell["change"] for cell in content["cells"] if cell["reason"]} == {None}


# ---------------------------------------------------------------- the command


def status(path, *arguments):
    return main(["compare", BASE[:8], HEAD[:8], "--results", str(path), *arguments])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0),
        ({"change": only(0.8, **ONE)}, 0),
        ({"change": only(1.1, **ONE)}, 3),
        ({"deviation": 0.03, "seed": 1}, 4),
        ({"change": only(None, **ONE)}, 5),
        ({"change": lambda quantity, case: 1.05 if "nodes" in quantity else 1.0}, 6),
        ({"change": lambda quantity, case: 1.2 if "tape_to" in quantity else 1.0}, 5),
    ],
)
def test_the_exit_status_says_what_was_found(options, expected, tmp_path, capsys):
    assert status(write_runs(tmp_path, **options), "--margin", "2") == expected
    assert capsys.readouterr().out.count("\n") > 2


@pytest.mark.parametrize("side", ["base", "head", "both"])
def test_without_a_control_nothing_is_called_the_same(side, tmp_path, capsys):
    """On either side: nothing then shows whether it is the machine that changed, or stayed."""
    write_runs(tmp_path)
    for commit in {"base": [BASE], "head": [HEAD], "both": [BASE, HEAD]}[side]:
        (file,) = tmp_path.glob(f"laptop/{commit[:8]}-*.json")
        content = json.loads(file.read_text())
        (control,) = (name for name in content["results"] if "tape_to_tape" in name)
        del content["results"][control]
        file.write_text(json.dumps(content))
    assert status(tmp_path, "--margin", "2") == 5
    out = capsys.readouterr().out
    assert out.startswith("No control was measured on both sides")
    assert "Same" not in out


def test_a_control_that_is_missing_hides_no_slower_cell(tmp_path, capsys):
    write_runs(tmp_path, change=lambda quantity, case: control_fails(quantity, case))
    assert status(tmp_path, "--margin", "2") == 3
    assert capsys.readouterr().out.startswith("Slower: 1 of 36")


def control_fails(quantity, case):
    return None if quantity == "ratio_tape_to_tape" else only(1.1, **ONE)(quantity, case)


def test_a_change_of_what_measures_and_verifies_stands_above_the_verdict(tmp_path):
    files = ("manualbp/measuring/oracle.py", *(f"benchmarks/_{n}.py" for n in range(6)))
    comparison = replace(say(tmp_path), harness=files)
    text = words.markdown(comparison)
    said = "The sides differ in what measures and verifies, and each was judged by its own: "
    assert text.startswith(f"> {said}manualbp/measuring/oracle.py, `benchmarks/_0.py`, ")
    assert "and 2 more files." in text.splitlines()[0]
    assert words.reservations(comparison)[0].startswith(f"{said}manualbp/measuring/oracle.py, ")
    assert json.loads(as_json(comparison))["harness"] == list(files)
    assert words.reservations(say(tmp_path)) == []


def test_nothing_gated_is_not_good(tmp_path, capsys):
    assert status(write_runs(tmp_path)) == 5
    assert "Report only" in capsys.readouterr().out


def test_a_changed_count_can_be_accepted(tmp_path):
    write_runs(tmp_path, change=lambda quantity, case: 1.05 if "nodes" in quantity else 1.0)
    assert status(tmp_path, "--margin", "2", "--accept-structure") == 0


def test_the_machines_own_margins_are_found(tmp_path, capsys):
    write_runs(tmp_path)
    assert status(tmp_path) == 5
    rows = ["ratio_to_tape,exercise,chain,xla,CPU:0,64,0.02,0.005,0.005,39"]
    (tmp_path / "laptop" / FILE).write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    assert status(tmp_path) == 0
    assert "all of 1 gated cell " in capsys.readouterr().out


def test_files_are_compared_across_machines(tmp_path, capsys):
    one = write_runs(tmp_path / "one", machine="desk") / "desk"
    two = write_runs(tmp_path / "two", machine="lap") / "lap"
    found = main(["compare", str(one), str(two), "--margin", "2", "--format", "json"])
    content = json.loads(capsys.readouterr().out)
    assert found == 0
    assert ("desk" in content["base"], "lap" in content["head"]) == (True, True)


def test_a_run_compared_with_itself_says_so(tmp_path, capsys):
    write_runs(tmp_path)
    for head, said in ((BASE, True), (HEAD, False)):
        main(["compare", BASE, head, "--results", str(tmp_path), "--margin", "2"])
        assert ("the same values as the base's" in capsys.readouterr().out) is said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1234abcd"], "no results of a commit 1234abcd"),
        ([BASE, HEAD, "--machine", "none"], "no results of machine 'none'"),
        ([BASE, HEAD, "--results", "nowhere"], "found no such path"),
    ],
)
def test_what_is_not_there_is_one_line(arguments, message, tmp_path, capsys):
    write_runs(tmp_path)
    if "--results" not in arguments:
        arguments = [*arguments, "--results", str(tmp_path)]
    assert main(["compare", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_bad_arguments_have_a_status_of_their_own(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["compare", "a", "b", "--margin", "-3"])
    assert caught.value.code == 2


def test_a_table_of_margins_is_checked(tmp_path):
    file = tmp_path / FILE
    assert load_margins(file) == {}
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="calibrate again"):
        load_margins(file)
    for margin in ("-1", "0", "0.11", "1000", "inf", "", "nan"):
        row = f"ratio_to_tape,exercise,chain,xla,CPU:0,64,{margin},0,0,5"
        file.write_text(",".join(COLUMNS) + f"\n{row}\n")
        with pytest.raises(ValueError, match=r"positive and at most 0\.1"):
            load_margins(file)


def test_a_commit_between_is_named_where_a_level_changed(tmp_path, capsys):
    """Ten commits; from the sixth on one cell is 10 % slower: the comparison names that commit."""
    generator = np.random.default_rng(0)
    write_benchmarks(tmp_path, SUITE)

    def write(number):
        def model(quantity, case):
            if quantity.startswith("track_") or case["device"] != "CPU:0":
                return math.nan
            slower = number >= 6 and only(1.1, **ONE)(quantity, case) == 1.1
            noise = np.exp(0.003 * generator.normal(size=5))
            return list(0.8 * (1.1 if slower else 1.0) * noise)

        started = DATE + number * 86_400_000
        write_machine(tmp_path, commit=hash_of(number), model=model, suite=SUITE, started=started)

    for number in range(10):
        write(number)
    chosen = (hash_of(2), hash_of(9), "--results", str(tmp_path), "--margin", "3")
    assert main(["compare", *chosen]) == 3
    out = capsys.readouterr().out
    said = out.split("where levels changed between them:")[1]
    assert hash_of(6)[:8] in said
    assert "slower" in said
    assert said.strip().count("\n") == 1  # a head and one line
    assert main(["compare", *chosen, "--format", "json"]) == 3
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert change["commit"] == hash_of(6)[:8]
    # Nothing changed between two commits of one level.
    assert main(["compare", hash_of(6), hash_of(9), "--results", str(tmp_path)]) == 5
    assert "where levels changed" not in capsys.readouterr().out


# ---------------------------------------------------------------- environments, and once more


def told(path, capsys, *arguments):
    main(["compare", BASE[:8], HEAD[:8], "--results", str(path), *arguments])
    return capsys.readouterr().out


def write_journal(path, commit, *lines):
    (file,) = path.glob(f"laptop/{commit[:8]}-*.json")
    text = "".join(json.dumps(line) + "\n" for line in lines)
    journal_of(file).write_text(text)


def facts(**known):
    return {"kind": "environment", "started": "2026-11-24T21:49:15Z", "facts": known}


def test_the_environments_stand_above_the_cells(tmp_path, capsys):
    write_runs(tmp_path, change=only(1.1, **ONE))
    assert "environment: the same as far as asv stored it; of either" in told(tmp_path, capsys)
    write_journal(tmp_path, BASE, facts(XLA_FLAGS=None, load=0.1))
    write_journal(tmp_path, HEAD, facts(XLA_FLAGS="--xla_`x`", load=0.2))
    out = told(tmp_path, capsys, "--margin", "2")
    line = "XLA_FLAGS: none in the base, --xla_`x` in the head"
    assert f"environment:\n  {line}\n" in out
    assert out.index(line) < out.index("inconclusive" if "inconclusive" in out else "slower")
    markdown = told(tmp_path, capsys, "--margin", "2", "--format", "markdown")
    assert "Environment: ``XLA_FLAGS: none in the base, --xla_`x` in the head``." in markdown
    content = json.loads(told(tmp_path, capsys, "--margin", "2", "--format", "json"))
    assert content["environment"] == [line]
    write_journal(tmp_path, HEAD, facts(XLA_FLAGS=None, load=0.2))
    assert "environment: the same\n" in told(tmp_path, capsys)


def commands(out):
    return [shlex.split(line) for line in out.splitlines() if line.strip().startswith("manualbp ")]


def test_a_cell_that_is_slower_has_the_gate_that_judges_it_alone(tmp_path, capsys):
    write_runs(tmp_path, change=only(1.1, **ONE))
    for form in ("text", "markdown"):
        (command,) = commands(told(tmp_path, capsys, "--margin", "2", "--format", form))
        bench = r"^bench_ratio\.ratio_to_tape\(.exercise., .fused., .graph., .CPU:0., 4096\)$"
        assert command == ["manualbp", "gate", BASE[:8], HEAD[:8], "--bench", bench]


def test_nothing_is_to_be_measured_again_where_all_is_the_same(tmp_path, capsys):
    write_runs(tmp_path)
    out = told(tmp_path, capsys, "--margin", "2")
    assert "measure again" not in out
    assert commands(out) == []


def test_what_measuring_cannot_settle_has_no_command(tmp_path):
    cells = say(tmp_path, {}).cells
    without_margin = cells[cells["verdict"] == "inconclusive"]
    assert len(without_margin) > 10
    assert again(without_margin, ("a", "b")) == []
    base, head = load_runs(tmp_path)
    cells = compare(base, head.assign(version="other"), margins())
    assert again(cells, ("a", "b")) == []


def test_inconclusive_cells_say_what_settles_them_and_the_command_does_it(tmp_path, capsys):
    write_runs(tmp_path, deviation=0.03, seed=1)
    out = told(tmp_path, capsys, "--margin", "2", "--all")
    assert "is wider than the margin" in " ".join(out.split())
    content = json.loads(told(tmp_path, capsys, "--margin", "2", "--format", "json"))
    cells = [cell for cell in content["cells"] if cell["verdict"] == "inconclusive"]
    most = max(cell["more_processes"] or 0 for cell in cells)
    found = commands(out)
    assert found == [shlex.split(command) for command in content["again"]]
    assert {c[-1] for c in found if "--processes" in c} == {str(8 + most)}
    asked = [command[command.index("--bench") + 1] for command in found]
    frame = load_runs(tmp_path)[1]
    texts = {
        row["bench"]: f"{row['benchmark']}("
        + ", ".join(repr(row[c]) for c in CASE if isinstance(row[c], str | int))
        + ")"
        for row in records(frame[frame["kind"] == "ratio"])
    }
    chosen = {b for b, text in texts.items() if any(re.search(one, text) for one in asked)}
    wanted = {
        cell["bench"] for cell in content["cells"] if cell["verdict"] not in ("same", "faster")
    }
    assert chosen == wanted
    # Without --all a few are enough.
    assert len(commands(told(tmp_path, capsys, "--margin", "2"))) <= 6


def test_what_no_gate_can_measure_is_measured_by_a_run(tmp_path, capsys):
    """Two machines: a gate measures two commits on one."""
    desk = write_runs(tmp_path / "one", machine="desk") / "desk"
    other = write_runs(tmp_path / "two", machine="lap", change=only(1.1, **ONE)) / "lap"
    (base,) = desk.glob(f"{BASE[:8]}-*.json")
    (head,) = other.glob(f"{HEAD[:8]}-*.json")
    main(["compare", str(base), str(head), "--margin", "2"])
    (command,) = commands(capsys.readouterr().out)
    assert command[:3] == ["manualbp", "run", "--bench"]


def test_the_gates_second_look_takes_as_many_processes_as_are_asked_for(tmp_path, monkeypatch):
    """Nothing is measured here: what would be is recorded."""
    base, head = load_runs(write_runs(tmp_path, deviation=0.03, seed=1))
    trees = {name: Tree(commit, dirty=False, date=0) for name, commit in (("b", BASE), ("h", HEAD))}
    tables = itertools.cycle([base, head])
    asked = []
    monkeypatch.setattr(gate, "find_project", lambda: tmp_path)
    monkeypatch.setattr(gate, "describe_commit", lambda project, name: trees[name])
    monkeypatch.setattr(gate, "describe_tree", lambda project: trees["h"])
    monkeypatch.setattr(gate, "install", lambda project, tree, folder: None)
    monkeypatch.setattr(gate, "open_side", lambda name, *_, **__: gate.Side(name, None, {}))
    monkeypatch.setattr(gate, "stored", lambda side: next(tables))
    monkeypatch.setattr(gate, "measure_by_turns", lambda sides, many, *_: asked.append(many))
    main(["gate", "b", "h", "--margin", "2", "--processes", "21"])
    _, second = asked
    assert len(second) > 10
    assert set(second.values()) == {21}
