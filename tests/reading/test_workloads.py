"""Workloads of any name: told apart, whichever benchmark has them, by today's names and by old."""

import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asvfiles import COMMIT, row, write_machine
from pagereader import Page

from manualbp.reading import figures, summary
from manualbp.reading import text as text_module
from manualbp.reading.calibration import load_calibration
from manualbp.reading.counts import structure
from manualbp.reading.frame import load_results, places, select
from manualbp.reading.history import history
from manualbp.reading.looks import LOOKS, looks_of
from manualbp.reading.margins import load_margins
from manualbp.reading.panels import panels
from manualbp.reading.report import write_report
from manualbp.reading.speedups import speedups
from manualbp.reading.ticks import labelled
from manualbp.reading.verdicts import compare

RESULTS = Path(__file__).parents[2] / "results"
RUN = RESULTS / "amd-epyc-2core/0cf648bf-existing-py3.11-tensorflow2.21.0.json"
"""A committed run of the time before workloads, by its name."""

NEW, OLD = "a" * 40, "b" * 40
THEIRS = tuple(f"idea_{number}" for number in range(9))


def benchmark(workload, gradients, batches, ratio=0.5, modes=("eager",)):
    """A row of ratios to the tape, as asv stores a benchmark over one workload."""
    params = [(workload,), gradients, modes, ("CPU:0",), batches]
    cells = [[ratio * 0.99, ratio, ratio * 1.01] for _ in itertools.product(*params)]
    return row(params, cells)


def written(path, benchmarks, **options):
    return write_machine(path, suite={}, extra=benchmarks, **options)


SUITE = {
    "workloads.Attention.ratio_to_tape": benchmark("attention", THEIRS, (3, 100_000), 0.25),
    "ratios.Step.ratio_to_tape": benchmark("exercise", ("chain", "fused"), (1, 64)),
    "workloads.Wide.ratio_to_tape": benchmark("wide", ("fused",), (512,), 1.5),
}


# ---------------------------------------------------------------- old names


def test_a_committed_run_of_before_has_the_cells_that_its_suite_had():
    frame = load_results(RUN)
    # Counted by hand from the suite of its commit: exercise with 7 gradients (2 of them of the
    # logits' loss) at 6 batches, wide with 3 at 3 batches, in 3 modes on 2 devices.
    steps = frame[frame["quantity"] == "steady_step"]
    assert steps.groupby("workload").size().to_dict() == {
        "exercise": 5 * 6 * 3 * 2,
        "exercise-logits": 2 * 6 * 3 * 2,
        "wide": 3 * 3 * 3 * 2,
    }
    assert set(steps.loc[steps["workload"] == "wide", "batch"]) == {1, 64, 512}
    assert len(frame) == 1363
    assert not set(frame["gradient"].dropna()) & {"stable", "stable_tape"}


def test_the_gradients_of_the_logits_are_those_of_a_workload_of_their_own():
    content = json.loads(RUN.read_text())
    name = "ratios.Step.ratio_to_tape"
    stored = dict(zip(content["result_columns"], content["results"][name], strict=False))
    cases = list(itertools.product(*stored["params"]))
    place = cases.index(("'exercise'", "'stable'", "'xla'", "'CPU:0'", "64"))
    known = speedups(load_results(RUN))
    mine = known[(known["workload"] == "exercise-logits") & (known["batch"] == 64)]
    mine = mine[(mine["mode"] == "xla") & (mine["device"] == "CPU:0")]
    assert list(mine["gradient"]) == ["fused"]
    expected = math.exp(-np.log(stored["samples"][place]).mean())
    assert mine["speedup"].item() == pytest.approx(expected)


HEAD = "quantity,network,gradient,mode,device,batch,margin"


def test_margins_of_before_are_read_by_the_names_of_today(tmp_path):
    file = tmp_path / "margins.csv"
    file.write_text(
        f"{HEAD}\nratio_to_tape,exercise,stable,xla,CPU:0,64,0.02\n"
        "ratio_tape_to_tape,exercise,,xla,CPU:0,64,0.03\n"
        "ratio_to_tape,theirs,stable,xla,CPU:0,64,0.04\n"
    )
    assert load_margins(file) == {
        ("ratio_to_tape", "exercise-logits", "fused", "xla", "CPU:0", 64): 0.02,
        ("ratio_tape_to_tape", "exercise", None, "xla", "CPU:0", 64): 0.03,
        ("ratio_to_tape", "theirs", "stable", "xla", "CPU:0", 64): 0.04,
    }
    file.write_text(file.read_text().replace("network", "workload"))
    assert len(load_margins(file)) == 3


def test_a_calibration_of_before_is_read_by_the_names_of_today(tmp_path):
    file = tmp_path / "calibration.csv"
    cell = "ratios.Step.ratio_to_tape,ratio_to_tape,exercise,stable_tape,xla,CPU:0,64"
    file.write_text(
        "series,condition,round,arm,benchmark,quantity,network,gradient,mode,device,batch,value\n"
        f"20260101T000000,idle,1,equal-1,{cell},1.01\n"
    )
    known = load_calibration(file).iloc[0]
    assert (known["workload"], known["gradient"]) == ("exercise-logits", "tape")


def test_the_committed_margins_are_of_cells_that_the_committed_runs_have():
    frame = load_results(RUN.parent)
    columns = ["quantity", "workload", "gradient", "mode", "device", "batch"]
    known = {
        tuple(None if pd.isna(value) else value for value in cell)
        for cell in frame[columns].itertuples(index=False, name=None)
    }
    margins = load_margins(RUN.parent / "margins.csv")
    assert margins
    assert set(margins) <= known


# ---------------------------------------------------------------- the suite of today


def test_skipped_cells_of_a_benchmark_over_one_workload_all_stay(tmp_path):
    params = [("attention",), ("mine",), ("eager", "graph"), ("CPU:0", "GPU:0"), (1, 16)]
    cells = [[0.5, 0.6]] + [math.nan] * 7
    frame = load_results(written(tmp_path, {"workloads.A.ratio_to_tape": row(params, cells)}))
    assert frame["status"].value_counts().to_dict() == {"ok": 1, "skipped": 7}


def test_the_exercise_comes_first_and_every_workload_has_its_lines(tmp_path):
    frame = load_results(written(tmp_path, SUITE))
    assert places(frame) == [("exercise", "CPU:0"), ("attention", "CPU:0"), ("wide", "CPU:0")]
    said = summary.headline(frame).splitlines()
    assert [line.split(",")[0] for line in said[:3]] == ["exercise", "attention", "wide"]
    assert "4.00× as fast as the tape" in said[1]
    assert "slower, the best is fused 0.67×" in said[2]
    assert [panel.workload for panel in panels(frame)] == ["exercise", "attention", "wide"]
    assert panels(frame)[1].batches == (3, 100_000)


def test_a_run_of_one_workload_that_is_not_the_exercise_has_its_headline(tmp_path):
    name = "workloads.Attention.ratio_to_tape"
    file = written(tmp_path / "results", {name: SUITE[name]})
    report = write_report(file, tmp_path / "out")
    assert report.headline.startswith("attention, CPU:0, eager: ")
    page = Page(report.files[0].read_text(encoding="utf-8"))
    (answer,) = page.find("answer", "article")
    assert answer.own["data-workload"] == "attention"
    assert "4.00×" in answer.text


def test_a_users_workload_comes_out_everywhere(tmp_path):
    report = write_report(written(tmp_path / "results", SUITE), tmp_path / "out")
    names = {file.name for file in report.files}
    assert {"speedup-attention-CPU0.svg", "answer-attention-CPU0-light.svg"} <= names
    page = Page(report.files[0].read_text(encoding="utf-8"))
    matrix = page.find("matrix", "td", data_workload="attention")
    assert len([cell for cell in matrix if cell.own.get("class") == "fast"]) == 9 * 2
    text = (tmp_path / "out/report.md").read_text()
    assert "## attention on CPU:0" in text
    assert "batch 100000" in text


def test_a_shipped_workload_is_described_and_another_only_named(tmp_path, monkeypatch):
    ours = {"exercise": "The course exercise: 2 → 12 → 32 → 1"}
    for module in (text_module, summary):
        monkeypatch.setattr(module, "describe_workload", lambda name: ours.get(name, ""))
    frame = load_results(written(tmp_path, SUITE))
    for workload, words in (("exercise", f"exercise: {ours['exercise']}"), ("wide", "wide")):
        figure = figures.speedup_against_batch(select(frame, workload, "CPU:0"))
        assert figure.get_suptitle() == f"Speedup over the tape on CPU:0\n{words}"
    text = summary.markdown(frame)
    assert f"## exercise on CPU:0\n\n{ours['exercise']}\n\n### " in text
    assert "## wide on CPU:0\n\n### " in text


def test_looks_are_of_the_run_and_differ_within_a_workload(tmp_path):
    names = {
        "one": ("chain", "fused", "third", "fourth", "fifth"),
        "two": ("fused", "x", "y", "z"),
        "three": ("x", "chain", "w"),
    }
    suite = {
        f"workloads.{name}.ratio_to_tape": benchmark(name, gradients, (1,))
        for name, gradients in names.items()
    }
    looks = looks_of(load_results(written(tmp_path, suite)))
    assert looks["tape"] == 0
    assert set(looks.values()) == set(range(LOOKS))
    for gradients in names.values():
        assert len({looks[gradient] for gradient in gradients}) == len(gradients)


def test_a_workload_with_more_gradients_than_looks_uses_all_of_them(tmp_path):
    looks = looks_of(load_results(written(tmp_path, SUITE)))
    assert {looks[name] for name in THEIRS} == set(range(1, LOOKS))


def test_figures_have_the_looks_that_they_are_given(tmp_path):
    frame = load_results(written(tmp_path, SUITE))
    figure = figures.speedup_against_batch(select(frame, "wide", "CPU:0"), {"fused": 3})
    drawn = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 1]
    assert {(line.get_color(), line.get_marker()) for line in drawn} >= {figures.mark_of(3)}


# ---------------------------------------------------------------- one quantity, two benchmarks


def moved(tmp_path):
    """Two commits: one suite has a workload among others, the next in a benchmark of its own."""
    ours = {"ratios.Step.ratio_to_tape": benchmark("wide", ("fused",), (1,), 0.5)}
    theirs = {"workloads.Wide.ratio_to_tape": benchmark("wide", ("fused",), (1,), 0.8)}
    written(tmp_path, ours, commit=OLD)
    written(tmp_path, theirs, commit=NEW, started=1_770_000_000_000)
    frame = load_results(tmp_path)
    return frame[frame["commit"] == OLD], frame[frame["commit"] == NEW], frame


def test_a_cell_is_compared_with_itself_in_another_benchmark(tmp_path):
    base, head, _ = moved(tmp_path)
    (cell,) = compare(base, head, {}).to_dict("records")
    assert cell["benchmark"] == "workloads.Wide.ratio_to_tape"
    assert cell["change"] == pytest.approx(0.8 / 0.5)


def test_a_cell_is_one_line_over_commits_whichever_benchmark_has_it(tmp_path):
    _, _, frame = moved(tmp_path)
    lines = history(frame)
    assert set(lines["series"]) == {0}
    assert lines["value"].tolist() == pytest.approx([0.5, 0.8], rel=1e-3)


def test_counts_are_compared_across_benchmarks(tmp_path):
    params = [("wide",), ("fused",), ("CPU:0",), (1,)]
    for commit, name, count in ((OLD, "structure.Graph", 50), (NEW, "workloads.WideGraph", 60)):
        written(tmp_path, {f"{name}.track_graph_nodes": row(params, [count])}, commit=commit)
    frame = load_results(tmp_path)
    base, head = (frame[frame["commit"] == commit] for commit in (OLD, NEW))
    (count,) = structure(base, head).to_dict("records")
    assert (count["base"], count["head"], count["outcome"]) == (50, 60, "changed")


def test_a_foreign_number_is_another_one_in_another_benchmark(tmp_path):
    for commit, name in ((OLD, "one"), (COMMIT, "two")):
        written(tmp_path, {f"{name}.time_it": row([], [[1.0, 1.1]])}, commit=commit)
    assert history(load_results(tmp_path))["series"].nunique() == 2


def test_the_report_in_markdown_tells_workloads_apart(tmp_path):
    text = summary.markdown(load_results(written(tmp_path, SUITE)))
    found = [text.index(f"## {name} on CPU:0") for name in ("exercise", "attention", "wide")]
    assert found == sorted(found)


# ---------------------------------------------------------------- batches of any size


def test_as_many_batches_are_named_as_can_be_read():
    assert labelled([1, 8, 64, 512, 4096, 32768], 36, 1.7) == [1, 8, 64, 512, 4096, 32768]
    assert labelled([7], 36, 1.7) == [7]
    assert labelled([100_000, 100_001], 36, 1.7) == [100_001]
    many = labelled(range(1, 2000), 40, 1.0)
    assert many[0] == 1
    assert many[-1] == 1999
    unit = 40 / math.log(1999)
    for one, other in itertools.pairwise(many):
        room = (len(str(one)) + len(str(other))) / 2
        assert (math.log(other) - math.log(one)) * unit > room


def test_names_of_any_length_stand_beside_the_cells_of_the_picture(tmp_path):
    name = "recompute_softmax_blockwise"
    suite = {"workloads.A.ratio_to_tape": benchmark("attention", (name,), (3, 5))}
    report = write_report(written(tmp_path / "results", suite), tmp_path / "out")
    (file,) = (file for file in report.files if file.name.endswith("-light.svg"))
    text = file.read_text(encoding="utf-8")
    start = re.search(rf'class="title" x="(\d+)" y="\d+">{name}<', text)
    cells = re.findall(r'class="cell"><rect class="\w+" style="[^"]*" x="([\d.]+)"', text)
    assert start is not None
    assert min(map(float, cells)) > float(start[1]) + 7 * len(name)
