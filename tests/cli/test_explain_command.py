"""``manualbp explain``: what it prints, and what it refuses."""

import json
from dataclasses import replace
from functools import partial

import pytest
from explanations import arm, explanation

from manualbp.cases import Case
from manualbp.cli import explanation as words
from manualbp.cli import main
from manualbp.exercise import derivatives
from manualbp.measuring import explain, roofline
from manualbp.measuring.profile import Kernel
from manualbp.measuring.reasons import verdict
from manualbp.measuring.roofline import Machine

FOUND = explanation(arm(waiting=0), arm("tape", waiting=100, pool_calls=3.0))


@pytest.fixture
def machine(monkeypatch):
    """Take the machine's limits for measured, which would need seconds."""
    monkeypatch.setattr(roofline, "measure_machine", lambda device: Machine(1e11, 1e10, 2**25))


def test_a_case_is_explained_as_json(capsys, machine, monkeypatch):
    monkeypatch.setattr(explain, "explain", partial(explain.explain, budget=0.02))
    assert main(["explain", "fused/eager/1", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    case = {"workload": "exercise", "mode": "eager", "device": "CPU:0", "batch": 1}
    case |= {"call": "function"}
    assert found["verdict"].startswith("fused is ")
    assert found["arm"]["case"] == {**case, "gradient": "fused"}
    assert found["baseline"]["case"] == {**case, "gradient": "tape"}
    for each in (found["arm"], found["baseline"]):
        profile = each["profile"]
        parts = ("kernels_s", "waiting_s", "executor_s", "runtime_s", "python_s")
        assert sum(profile[part] for part in parts) == pytest.approx(profile["step_s"])
        calls = sum(kernel["calls"] for kernel in profile["kernels"])
        assert calls == each["counts"]["eager operations"]


def test_the_verdict_comes_first():
    assert words.markdown(FOUND).splitlines()[2] == f"**{verdict(FOUND)}**"


@pytest.mark.parametrize("form", ["terminal", "markdown"])
def test_both_texts_hold_the_same_numbers(form, capsys):
    words.print_as(form, FOUND)
    out = capsys.readouterr().out
    for section in words.sections(FOUND):
        assert section.title in out
        for row in section.rows:
            for cell in row:
                assert cell in out


def test_tables_in_markdown_are_rectangles():
    rows = [line for line in words.markdown(FOUND).splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {4}


def test_the_parts_of_a_profile_are_scaled_to_the_step():
    (profile,) = [each for each in words.sections(FOUND) if "What passes" in each.title]
    assert profile.rows[-1][1:] == ("60.0 (67 %)", "60.0 (32 %)")
    assert "1.50 (fused) and 1.50 (tape)" in profile.note


def test_a_dozen_kernels_are_named_and_the_others_summed_up():
    kernels = next(each for each in words.sections(FOUND) if each.title.startswith("Kernels"))
    assert len(kernels.rows) == 12 + 2
    # 90 us under the profiler: three quarters are one kernel, each of 25 others takes 1 %.
    assert kernels.rows[0] == ("slow", "1", "67.5")
    assert kernels.rows[-2] == ("14 others", "14", "12.6")
    assert kernels.rows[-1] == ("all", "26", "90.0")


def test_the_sum_of_one_is_its_name():
    mine = arm()
    kernels = tuple(Kernel(f"kernel_{number}", 1, 1e-6) for number in range(13))
    mine = replace(mine, profile=replace(mine.profile, kernels=kernels))
    section = next(each for each in words.sections(explanation(mine, mine)) if each.heads[0])
    assert [row[0] for row in section.rows] == [*(each.name for each in kernels), "all"]


def test_the_baseline_stands_alone():
    tape = arm("tape")
    said = words.markdown(explanation(tape, tape))
    assert "tape is the baseline itself" in said
    assert said.count("#### Kernels") == 1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("wide/chain/graph/CPU:1/64", ("", Case("wide", "chain", "graph", "CPU:1", 64))),
        ("fused/xla/8", ("", Case("exercise", "fused", "xla", "CPU:0", 8))),
        ("a.py:fused/xla/8", ("a.py", Case("", "fused", "xla", "CPU:0", 8))),
        ("a/b.py:fused/xla/CPU:1/8", ("a/b.py", Case("", "fused", "xla", "CPU:1", 8))),
        ("a.py:b/c/xla/CPU:1/8", ("a.py", Case("b", "c", "xla", "CPU:1", 8))),
    ],
)
def test_a_case_has_a_long_and_a_short_form(text, parts):
    from manualbp.cli.explain import read_case

    assert read_case(text) == parts


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("fused/xla", "expected workload/gradient/mode/device/batch, gradient/mode/batch"),
        ("fused/xla/many", "the batch must be a whole number"),
        ("fused/xla/0", "batch must be at least 1"),
        ("nonsense/xla/1", "unknown gradient 'nonsense': expected one of tape, chain, fused"),
        ("fused/lazy/1", "unknown mode 'lazy': expected one of eager, graph, xla"),
        ("tiny/fused/xla/CPU:0/1", "unknown workload 'tiny': expected one of exercise, "),
        ("exercise/fused/xla/GPU:9/1", "no device 'GPU:9' here"),
    ],
)
def test_what_is_no_case_is_one_line(case, message, capsys):
    assert main(["explain", case]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("manualbp: ")
    assert message in line


def test_a_wrong_gradient_has_no_explanation(capsys, monkeypatch, machine):
    right = derivatives.sigmoid_vjp
    monkeypatch.setattr(derivatives, "sigmoid_vjp", lambda *a: 1.001 * right(*a))
    assert main(["explain", "chain/eager/8"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("manualbp: exercise/chain/eager/CPU:0/8")


def test_help_names_the_forms_of_a_case(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["explain", "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "usage: manualbp explain" in out
    for form in ("workload/gradient/mode/device/batch", "gradient/mode/batch", "fused/eager/1"):
        assert form in out
