"""A value taken on a busy machine, and a cell that has no other, on every surface."""

import json

import pandas as pd
import pytest
from asvfiles import (
    BUSY,
    DATE,
    SKIP,
    SUITE,
    model,
    process_line,
    result_file_of,
    write_benchmarks,
    write_disturbed,
    write_journal,
    write_machine,
    write_results,
)
from lines import cell, line, table
from pagereader import Page
from pages import write_without_pictures
from runs import BASE, HEAD, load_runs, margins, only, write_runs

from manualbp.cli import main
from manualbp.reading import calibration, comparison, figures, gaps, power, summary
from manualbp.reading.comparison_json import as_json
from manualbp.reading.counts import counted, structure
from manualbp.reading.digest import digest
from manualbp.reading.frame import latest_run, load_results, select
from manualbp.reading.history import change_points, history
from manualbp.reading.history_figures import history_figure
from manualbp.reading.panels import panels
from manualbp.reading.speedups import speedups
from manualbp.reading.verdicts import compare

NEVER_QUIET = (
    "2 cells never found a quiet moment: exercise, CPU:0: ratio_to_tape xla batch 4096 (fused); "
    "exercise, CPU:0: steady_step eager batch 1 (tape)."
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_disturbed(tmp_path_factory.mktemp("busy") / "results")


@pytest.fixture(scope="module")
def frame(results):
    return load_results(results)


@pytest.fixture(scope="module")
def report(results, tmp_path_factory):
    output = tmp_path_factory.mktemp("report")
    write_without_pictures(results, output)
    return output


@pytest.fixture(scope="module")
def page(report):
    return Page((report / "index.html").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- names


def cells(*cases):
    return pd.DataFrame(cases, columns=["mode", "gradient", "batch"])


ALL = [(m, g, b) for m in ("eager", "xla") for g in ("chain", "fused", "packed") for b in (1, 8)]


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        ([("xla", "fused", 8)], "xla batch 8 (fused)"),
        ([("xla", "fused", 8), ("xla", "packed", 8)], "xla batch 8 (fused, packed)"),
        ([c for c in ALL if c[0] == "xla"], "xla"),
        ([c for c in ALL if c[::2] == ("xla", 8)], "xla batch 8"),
        ([c for c in ALL if c[:2] == ("eager", "chain")], "eager (chain)"),
        (
            [("xla", "chain", 1), ("xla", "chain", 8), ("xla", "fused", 8), ("eager", "fused", 1)],
            "eager batch 1 (fused); xla (chain); xla batch 8 (fused)",
        ),
        (ALL, "eager; xla"),
    ],
)
def test_cells_are_named_compactly(chosen, name):
    assert gaps.name_cells(cells(*chosen), cells(*ALL)) == name


def test_cells_without_modes_or_gradients_have_names_too():
    among = cells((None, None, 1), (None, None, 8))
    assert gaps.name_cells(cells((None, None, 8)), among) == "batch 8"


def test_a_long_list_is_cut_and_counted():
    many = [(f"mode-{n}", "fused", 1) for n in range(9)]
    more = [(mode, gradient, 8) for mode, gradient, _ in many]
    said = gaps.name_cells(cells(*many), cells(*many, *more))
    assert said.endswith("mode-5 batch 1; and 3 more")


# ---------------------------------------------------------------- in words


def test_the_headline_counts_what_was_discarded_and_names_what_is_left_out(frame):
    lines = summary.headline(frame).splitlines()
    values = int(frame["processes"].sum()) + 5
    assert f"5 of {values:,} values discarded: the machine was busy." in lines
    assert NEVER_QUIET in lines
    assert (
        "exercise, CPU:0: no interval at xla batch 512 (fused); "
        "not reached or not chosen: graph batch 32768." in lines
    )
    assert ", 1 failed, 2 are disturbed and " in lines[-1]


def test_a_mode_says_what_its_mean_lacks(frame):
    lines = {line.split(": ")[0]: line for line in summary.headline(frame).splitlines()}
    xla, graph = lines["exercise, CPU:0, xla"], lines["exercise, CPU:0, graph"]
    assert "the tape's speed (no interval: one process at batch 512)" in xla
    assert xla.endswith("5 of 6 batches measured, not 4096.")
    assert graph.endswith("5 of 6 batches measured, not 32768.")
    assert "nothing is shown" not in summary.headline(frame)


def test_an_undisturbed_run_says_nothing_of_it(complete):
    said = summary.headline(load_results(complete))
    assert "disturbed" not in said
    assert "discarded" not in said
    assert "no interval" not in said


def test_a_run_of_one_process_each_has_no_interval_anywhere(tmp_path):
    results = write_results(tmp_path, model=lambda name, case: model(name, case, processes=1))
    said = summary.headline(load_results(results))
    assert "× the tape's speed in one process (no interval), from " in said
    assert "exercise, CPU:0: no interval at eager; graph; xla." in said


def test_a_mode_in_which_all_is_disturbed_says_so(tmp_path):
    def without(quantity, case):
        return SKIP if case.get("mode") == "xla" else model(quantity, case)

    results = write_results(tmp_path, model=without)
    case = {"workload": "exercise", "mode": "xla", "device": "CPU:0"}
    write_journal(
        result_file_of(results),
        *[
            process_line("ratio_to_tape", {**case, "gradient": g, "batch": b}, "disturbed")
            for g in ("chain", "fused")
            for b in (1, 8, 64, 512, 4096, 32768)
        ],
    )
    said = summary.headline(load_results(results))
    assert "exercise, CPU:0, xla: nothing measured, 12 cells disturbed." in said
    assert "12 cells never found a quiet moment: exercise, CPU:0: ratio_to_tape xla." in said


def test_the_report_lists_failed_and_disturbed_cells_with_their_reasons(frame):
    text = summary.markdown(frame)
    failed = text.split("## Failed cells")[1].split("##")[0]
    assert failed.strip().endswith("batch 8: `<b>out of memory</b>`")
    disturbed = text.split("## Disturbed cells")[1].split("##")[0]
    assert disturbed.count(f": `{BUSY}`") == 2
    assert "| disturbed" in text.split("### xla: speedup over the tape")[1].split("###")[0]


def test_a_reason_cannot_leave_its_code_span(tmp_path):
    results = write_disturbed(tmp_path)
    case = {"workload": "exercise", "gradient": "fused", "mode": "xla", "device": "CPU:0"}
    case["batch"] = 4096
    reason = "`@somebody [x](http://y)"
    write_journal(
        result_file_of(results), process_line("ratio_to_tape", case, "disturbed", reason=reason)
    )
    assert ": `` `@somebody [x](http://y) ``\n" in summary.markdown(load_results(results))


def test_the_digest_folds_the_disturbed_cells(frame):
    text = digest(frame)
    assert "<summary>Disturbed cells (2)</summary>" in text
    assert "- 5 of " in text.split("<details>")[0]


# ---------------------------------------------------------------- the terminal


def test_show_has_a_mark_and_a_legend(results, capsys):
    assert main(["show", str(results), "--workload", "exercise", "--mode", "xla"]) == 0
    out = capsys.readouterr().out
    fused = next(line for line in out.splitlines() if line.startswith("fused"))
    assert "disturbed !" in fused
    assert "\ndisturbed !: measured, but every value was discarded" in out
    assert NEVER_QUIET in out
    assert "failed" in next(line for line in out.splitlines() if line.startswith("chain"))


def test_the_panels_tell_disturbed_from_failed_and_skipped(frame):
    xla = next(p for p in panels(frame, ["exercise"], ["xla"]) if p.device == "CPU:0")
    kinds = {gradient: [cell.kind for cell in line] for gradient, line in xla.lines}
    assert kinds["fused"][4] == "disturbed"
    assert kinds["chain"][1] == "failed"


# ---------------------------------------------------------------- figures and history


@pytest.mark.parametrize("name", figures.FIGURES)
def test_figures_mark_disturbed_cells_and_explain_the_mark(frame, name):
    here = select(frame, "exercise", "CPU:0")
    if name == "first-call":
        first = (here["quantity"] == "first_call") & (here["gradient"] == "fused")
        here = here.assign(status=here["status"].mask(first, "disturbed"))
    drawn = figures.FIGURES[name][1](here)
    texts = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert "disturbed: busy machine" in texts
    marks = [
        each for axes in drawn.axes for each in axes.lines
        if each.get_marker() == figures.DISTURBED_MARK["marker"]
    ]  # fmt: skip
    assert marks


def test_a_disturbed_commit_is_a_gap_and_no_change():
    values = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0, 1.01]
    rows = [cell(n, [value, value * 1.001]) for n, value in enumerate(values)]
    empty = {"value": float("nan"), "samples": (), "processes": 0, "discarded": 3}
    rows[3] |= {**empty, "status": "disturbed"}
    lines = history(table(*rows))
    assert lines["status"].tolist().count("disturbed") == 1
    found = change_points(lines)
    assert found.empty
    (axes,) = (a for a in history_figure(lines, found).axes if a.get_visible())
    drawn = next(each for each in axes.lines if len(each.get_xdata()) == len(values))
    assert pd.isna(drawn.get_ydata()).tolist() == [n == 3 for n in range(len(values))]


def test_of_two_environments_the_measured_one_is_kept_before_the_disturbed_one():
    one = line([1.0, 1.0], environment="a")
    two = line([1.0, 1.0], environment="b")
    two[1] |= {"status": "disturbed", "value": float("nan")}
    lines = history(table(*one, *two))
    assert lines.sort_values("place")["status"].tolist() == ["ok", "ok"]


# ---------------------------------------------------------------- the page


def of_class(page, section, tag, name):
    return [e for e in page.find(section, tag) if e.own.get("class") == name]


def test_the_page_counts_and_names_in_its_answer(page):
    said = of_class(page, "answer", "ul", "lead")[0]
    assert "no interval: one process at batch 512" in said.text
    assert "5 of 6 batches measured, not 4096" in said.text
    answer = " ".join(element.text for element in page.find("answer", "p"))
    assert (
        "Missing: no interval at xla batch 512 (fused); not reached or not chosen: graph" in answer
    )
    assert NEVER_QUIET in answer
    assert "1 failed, 2 disturbed, " in answer
    assert "over 16 of 18 cells" in answer


def test_the_page_lists_failed_and_disturbed_cells_with_reasons(page):
    items = [element.text for element in page.find("answer", "li")]
    assert "ratio_to_tape: exercise, chain, xla, CPU:0, batch 8: <b>out of memory</b>" in items
    assert f"steady_step: exercise, tape, eager, CPU:0, batch 1: {BUSY}" in items


def test_a_disturbed_cell_of_the_matrix_has_its_look_and_its_reason(page):
    (disturbed,) = of_class(page, "matrix", "td", "disturbed")
    assert disturbed.text == "≈ disturbed"
    (button,) = disturbed.children
    assert button.own["data-tip"] == f"fused, xla, batch 4,096: disturbed: {BUSY}"
    rows = page.files["results.csv"].splitlines()
    row = rows[1 + int(button.own["data-row"])]
    assert ",disturbed,,,,0,,3," in row
    (failed,) = of_class(page, "matrix", "td", "failed")
    assert failed.children[0].own["data-tip"].endswith("failed: <b>out of memory</b>")


def test_discarded_values_are_told_beside_those_that_were_kept(page):
    tips = [e.own.get("data-tip", "") for e in page.find("matrix", "button")]
    (told,) = (tip for tip in tips if tip.startswith("fused, eager, batch 8:"))
    assert told.endswith("8 processes, 1 further value discarded")


def test_the_curves_mark_disturbed_points_below_the_data(page):
    keys = [e.text for e in page.find("speedup", "li")]
    assert any("disturbed: the machine was busy" in text for text in keys)
    marks = [e for e in page.find("speedup", "g") if e.own.get("class", "").startswith("disturbed")]
    assert len(marks) == 1
    assert marks[0].children[0].own["data-tip"].endswith(BUSY)


def test_the_page_says_what_the_word_means(page):
    reading = " ".join(e.text for e in page.find("reading", "div"))
    assert "failed, skipped, disturbed, slow" in reading
    assert "every value was discarded because the machine was busy" in reading


def test_the_picture_has_the_look_as_well(report):
    text = (report / "answer-exercise-CPU0-light.svg").read_text(encoding="utf-8")
    assert 'class="disturbed"' in text
    assert "≈ disturbed" in text


def test_a_hostile_reason_is_text_on_the_page(page):
    assert any("<b>out of memory</b>" in element.text for element in page.find("answer", "li"))
    assert not any("out of memory" in element.text for element in page.find(tag="b"))


# ---------------------------------------------------------------- comparing


ONE = {"gradient": "fused", "mode": "graph", "batch": 4096}


def compared(path):
    """A base with a discarded value and a head in which one cell is disturbed."""
    write_runs(path, change=only(SKIP, **ONE))
    files = {f.name[0]: f for f in path.glob("*/*.json") if f.name != "machine.json"}
    case = {"workload": "exercise", "gradient": "fused", "mode": "graph", "device": "CPU:0"}
    write_journal(
        files[HEAD[0]],
        *[process_line("ratio_to_tape", {**case, "batch": 4096}, "disturbed", reason=BUSY)] * 2,
    )
    write_journal(files[BASE[0]], process_line("ratio_to_tape", {**case, "batch": 8}, "disturbed"))
    base, head = load_runs(path)
    table = compare(base, head, margins())
    return comparison.Comparison("old", "new", table, structure(base, head), counted(head))


def test_a_disturbed_side_is_not_measured_and_says_so(tmp_path):
    found = compared(tmp_path)
    rows = found.cells[(found.cells["mode"] == "graph") & (found.cells["batch"] == 4096)]
    row = rows[rows["gradient"] == "fused"].iloc[0]
    assert (row["verdict"], row["reason"]) == ("not measured", "disturbed in the head")
    assert (row["base_discarded"], row["head_discarded"]) == (0, 2)
    assert "(disturbed in the head)" in comparison.headline(found)


def test_what_each_side_discarded_stands_above_the_verdict(tmp_path, capsys):
    found = compared(tmp_path)
    said = comparison.discarded(found)
    assert "1 of 433 in the base, 2 of 426 in the head" in said
    text = comparison.markdown(found)
    assert text.index(said) < text.index("## Not measured")
    assert json.loads(as_json(found))["discarded"] == said
    arguments = ["compare", BASE, HEAD, "--results", str(tmp_path), "--margin", "2"]
    assert main(arguments) == 5
    out = " ".join(capsys.readouterr().out.split())
    assert out.index(said) < out.index("Not measured:")


def test_where_nothing_was_discarded_nothing_is_said(tmp_path):
    base, head = load_runs(write_runs(tmp_path))
    found = comparison.Comparison(
        "a", "b", compare(base, head, margins()), structure(base, head), 0
    )
    assert comparison.discarded(found) == ""
    assert comparison.markdown(found).startswith("## ")


# ---------------------------------------------------------------- calibration


HEADER = ",".join(calibration.VALUES)


def value_line(number, value, *status, condition="idle"):
    cell = "ratios.Step.ratio_to_tape,ratio_to_tape,exercise,fused,xla,CPU:0,64"
    return ",".join([f"s1,{condition},{number},equal-1,{cell},{value}", *status])


@pytest.mark.parametrize("header", [HEADER, f"{HEADER},status"], ids=["old head", "new head"])
def test_disturbed_values_of_a_calibration_are_left_out_and_counted(tmp_path, header):
    file = tmp_path / "calibration.csv"
    file.write_text(
        "\n".join(
            [
                header,
                value_line(1, 0.8),
                value_line(2, 0.81, "ok"),
                value_line(3, 99, "disturbed"),
                value_line(1, 0.9, "ok", condition="busy"),
            ]
        )
        + "\n"
    )
    values = calibration.load_calibration(file)
    assert list(values.columns) == calibration.VALUES
    assert values["value"].tolist() == [0.8, 0.81, 0.9]
    tries = calibration.judge(values, {}, 5, 8)
    said = power.summary(values, tries)
    assert "idle: 1 of 3 values discarded: the machine was busy." in said
    assert "busy: " not in said.replace("machine was busy", "")


def test_a_calibration_without_statuses_reads_as_before(tmp_path):
    file = tmp_path / "calibration.csv"
    file.write_text("\n".join([HEADER, value_line(1, 0.8), value_line(2, 0.81)]) + "\n")
    values = calibration.load_calibration(file)
    assert values["value"].tolist() == [0.8, 0.81]
    assert "discarded" not in power.summary(values, calibration.judge(values, {}, 5, 8))


def test_the_table_of_speedups_keeps_its_columns_for_several_commits(tmp_path):
    write_benchmarks(tmp_path, SUITE)
    for commit, started in (("a" * 40, DATE), ("b" * 40, DATE + 1000)):
        write_machine(tmp_path, commit=commit, started=started)
    found = speedups(load_results(tmp_path))
    assert found["discarded"].eq(0).all()
    assert found["reason"].isna().all()
    assert len(latest_run(load_results(tmp_path))["commit"].unique()) == 1
