"""The page's numbers, each recomputed from the stored samples without the code that wrote it."""

import ast
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from asvfiles import DATE, SKIP, SUITE, model, write_benchmarks, write_machine, write_results
from pagereader import Page
from pages import write_without_pictures
from scipy import stats

RUN = "results/amd-epyc-2core/0cf648bf-existing-py3.11-tensorflow2.21.0.json"
"""A committed run, by its name: the newest in results/ may be somebody's own."""

RATIOS = {"ratio_to_tape": SUITE["ratio_to_tape"]}

LOADING = re.compile(r"""(?:src|href)=["'](?!#|data:|results\.csv)|url\(|@import|//[a-z]+\.""")


PLAN = {
    "exercise": (1, 8, 64, 512, 4096, 32768),
    "exercise-logits": (1, 8, 64, 512, 4096, 32768),
    "wide": (1, 64, 512),
}
"""The batches of that run's workloads; ``wide`` it measured with three gradients alone."""


def named_today(case):
    """Return a stored case with the names of today."""
    named = {"workload" if name == "network" else name: value for name, value in case.items()}
    if named.get("workload") == "exercise" and named.get("gradient") in ("stable", "stable_tape"):
        named["workload"] = "exercise-logits"
        named["gradient"] = {"stable": "fused", "stable_tape": "tape"}[named["gradient"]]
    return named


def stored(file):
    """Return every stored cell by quantity and parameters: its result and its samples."""
    content = json.loads(file.read_text())
    names = json.loads((file.parent.parent / "benchmarks.json").read_text())
    cells = {}
    for name, row in content["results"].items():
        known = dict(zip(content["result_columns"], row, strict=False))
        combinations = list(itertools.product(*known["params"]))
        results = known["result"] or [None] * len(combinations)
        samples = known.get("samples") or [None] * len(combinations)
        for combination, result, values in zip(combinations, results, samples, strict=True):
            case = [ast.literal_eval(text) for text in combination]
            key = named_today(dict(zip(names[name]["param_names"], case, strict=True)))
            cells[name.rpartition(".")[2], *sorted(key.items())] = (result, values)
    return cells


def cell(cells, quantity, **case):
    return cells[quantity, *sorted(case.items())]


def interval(values):
    """Return geometric mean and 95 % interval, by scipy's own t-test of the logarithms."""
    logs = np.log(values)
    if len(values) < 2:
        return math.exp(logs[0]), math.nan, math.nan
    low, high = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    return math.exp(logs.mean()), math.exp(low), math.exp(high)


def mean_of(cells_values):
    """Return the geometric mean over cells with its interval: Satterthwaite, written out."""
    n = len(cells_values)
    logs = [np.log(values) for values in cells_values]
    variances = [log.var(ddof=1) / len(log) / n**2 for log in logs]
    freedom = sum(variances) ** 2 / sum(
        v**2 / (len(log) - 1) for v, log in zip(variances, logs, strict=True)
    )
    middle = sum(log.mean() for log in logs) / n
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(variances))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def numbers(text):
    return [float(number.replace(",", "")) for number in re.findall(r"[\d,]*\.?\d+", text)]


def written(tmp_path, results, **options):
    report = write_without_pictures(results, tmp_path / "report", **options)
    return Page(report.files[0].read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """A committed run's cells, and its page."""
    file = Path(__file__).parents[2] / RUN
    return stored(file), written(tmp_path_factory.mktemp("committed"), file)


@pytest.fixture(scope="module")
def folder(complete, tmp_path_factory):
    """The report of a whole suite."""
    path = tmp_path_factory.mktemp("whole")
    write_without_pictures(complete, path)
    return path


@pytest.fixture(scope="module")
def whole(folder):
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def test_every_cell_of_the_matrix_is_what_the_samples_say(committed):
    cells, page = committed
    seen = 0
    for button in page.find("matrix", "button"):
        if "data-row" not in button.own:
            continue
        gradient, mode, batch = re.match(
            r"(\w+), (\w+), batch ([\d,]+):", button.own["data-tip"]
        ).groups()
        case = {"gradient": gradient, "mode": mode, "batch": int(batch.replace(",", ""))}
        case |= {name: button.known[f"data-{name}"] for name in ("workload", "device")}
        assert mode == button.known["data-mode"]
        _, samples = cell(cells, "ratio_to_tape", **case)
        value, low, high = interval(1 / np.array(samples))
        assert numbers(button.children[0].text) == pytest.approx([value], abs=0.00501)
        assert numbers(button.children[1].text) == pytest.approx([low, high], abs=0.00501)
        kind = "fast" if low > 1 else "slow" if high < 1 else "level"
        assert any(e.own.get("class") == kind and button in e.children for e in page.elements)
        seen += 1
    assert seen == sum(
        key[0] == "ratio_to_tape" and samples is not None for key, (_, samples) in cells.items()
    )


def test_the_headline_is_the_mean_over_all_cells_of_the_best_gradient(committed):
    cells, page = committed
    for article in page.find("answer", "article"):
        workload = article.own["data-workload"]
        means = {}
        for key, (_, samples) in cells.items():
            case = dict(key[1:])
            if key[0] == "ratio_to_tape" and samples and case["workload"] == workload:
                means.setdefault(case["gradient"], []).append(1 / np.array(samples))
        best, value = max(
            ((g, mean_of(values)) for g, values in means.items()), key=lambda pair: pair[1][0]
        )
        big = next(
            e
            for e in page.find("answer", "p", data_workload=workload)
            if "big" in e.own.get("class", "")
        )
        said = numbers(big.text.replace("95 %", ""))
        assert said == pytest.approx(value, abs=0.00501)
        means_text = next(
            e
            for e in page.find("answer", "p", data_workload=workload)
            if e.own.get("class") == "means"
        )
        worst = min(math.exp(np.log(v).mean()) for v in means[best])
        assert f"speedup of {best}," in means_text.text
        assert f"worst cell is {worst:.2f}×" in means_text.text


def test_the_means_by_mode_are_those_of_the_samples(committed):
    cells, page = committed
    for row in page.table("headline-exercise-CPU0.csv"):
        values = [
            1 / np.array(samples)
            for key, (_, samples) in cells.items()
            if key[0] == "ratio_to_tape" and samples
            and dict(key[1:])["workload"] == "exercise"
            and dict(key[1:])["gradient"] == row["gradient"]
            and row["mode"] in ("all", dict(key[1:])["mode"])
        ]  # fmt: skip
        known = [float(row[name]) for name in ("speedup", "low", "high")]
        assert known == pytest.approx(mean_of(values), rel=1e-9)


def test_the_tally_counts_what_is_stored(committed):
    cells, page = committed
    status = []
    for key, (result, _) in cells.items():
        case = dict(key[1:])
        of_wide = case.get("gradient") in (None, "tape", "chain", "fused")
        planned = "batch" not in case or case["batch"] in PLAN[case["workload"]]
        if planned and (case.get("workload") != "wide" or of_wide):
            status.append("failed" if result is None else "skipped" if result != result else "ok")
    tally = next(e for e in page.elements if e.own.get("class") == "tally")
    counts = [status.count(name) for name in ("ok", "failed", "skipped")]
    assert [int(n) for n in numbers(tally.text)[:4]] == [len(status), *counts]


def test_every_point_of_the_times_is_what_the_samples_say(committed):
    cells, page = committed
    units = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1}
    seen = 0
    for section, quantity in (("time", "steady_step"), ("compiling", "first_call")):
        for point in page.find(section):
            found = re.match(
                r"(\w+), (\w+), batch ([\d,]+): ([\d.,]+) (\w+)", point.own.get("data-tip", "")
            )
            if not found or "data-row" not in point.own:
                continue
            gradient, mode, batch, number, unit = found.groups()
            case = {"gradient": gradient, "mode": mode, "batch": int(batch.replace(",", ""))}
            case |= {name: point.known[f"data-{name}"] for name in ("workload", "device")}
            _, samples = cell(cells, quantity, **case)
            value = interval(samples)[0]
            said = float(number.replace(",", "")) * units[unit]
            # The second figure of the section is the time per example.
            assert min(abs(said / value - 1), abs(said * case["batch"] / value - 1)) < 0.006
            seen += 1
    assert seen > 100


def test_break_even_is_the_extra_first_call_over_what_a_step_saves(committed):
    cells, page = committed

    def mean(quantity, gradient, mode, batch):
        case = {"workload": "exercise", "device": "CPU:0", "gradient": gradient, "mode": mode}
        return interval(cell(cells, quantity, **case, batch=batch)[1])[0]

    rows = page.table("break-even-exercise-CPU0.csv")
    # Five gradients in three pairs of modes, and four beside the tape in three modes.
    assert len(rows) == 5 * 3 + 4 * 3
    for row in rows:
        batch = int(row["batch"])
        if row["compared"] == "modes":
            one, two = (row["held"], row["first"], batch), (row["held"], row["second"], batch)
            gain = mean("steady_step", *one) - mean("steady_step", *two)
        else:
            one, two = (row["first"], row["held"], batch), (row["second"], row["held"], batch)
            gain = mean("steady_step", *one) * (1 - mean("ratio_to_tape", *two))
        cost = mean("first_call", *two) - mean("first_call", *one)
        expected = 1.0 if gain > 0 >= cost else math.inf if gain <= 0 <= cost else 1 + cost / gain
        assert float(row["steps"]) == pytest.approx(expected)
        assert float(row["low"]) <= float(row["steps"]) <= float(row["high"])


def test_accuracy_and_memory_are_the_numbers_stored(committed):
    cells, page = committed
    for name, quantity in (("error-ulp", "track_error_ulp"), ("peak-memory", "track_peak_memory")):
        rows = page.table(f"{name}-exercise-CPU0.csv")
        assert rows
        for row in rows:
            if row["status"] == "ok":
                case = {n: row[n] for n in ("workload", "gradient", "mode", "device")}
                assert (
                    float(row["value"]) == cell(cells, quantity, **case, batch=int(row["batch"]))[0]
                )
    shown = [
        e for e in page.find("accuracy", "td", data_workload="exercise") if "data-value" in e.own
    ]
    for entry in shown:
        assert numbers(entry.text)[0] == pytest.approx(float(entry.own["data-value"]), rel=0.006)


def test_the_table_to_download_is_the_one_beside_the_page(folder, whole):
    assert whole.files["results.csv"] == (folder / "results.csv").read_text()


def test_points_name_the_row_that_they_stand_for(whole):
    table = whole.table("results.csv")
    named = [e for e in whole.elements if "data-row" in e.own]
    assert len(named) > 200
    for element in named:
        row = table[int(element.own["data-row"])]
        case = [row["gradient"], row["mode"], f"batch {int(row['batch']):,}"]
        assert element.own["data-tip"].startswith(", ".join(case) + ":")
        assert row["workload"] == element.known["data-workload"]


def test_the_page_loads_nothing(folder):
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert not LOADING.search(html.partition('id="files"')[0])
    assert (folder / "index.html").stat().st_size < 3_000_000


def test_every_figure_has_its_numbers_and_its_finding_in_words(whole):
    figures = [e for e in whole.elements if e.tag == "figure"]
    assert len(figures) >= 8
    for element in figures:
        assert whole.table(f"{element.own['id']}.csv")
    pictures = [e for e in whole.elements if e.tag == "svg" and e.own.get("role") == "img"]
    assert all(re.search(r"\d", e.own["aria-label"]) for e in pictures)


def test_failed_and_skipped_cells_have_glyphs_and_no_number(tmp_path):
    def broken(quantity, case):
        if quantity == "ratio_to_tape" and (case["workload"], case["device"]) == (
            "exercise",
            "CPU:0",
        ):
            if case["gradient"] == "chain" and case["batch"] == 8:
                return None
            if case["gradient"] == "chain" and case["batch"] == 64:
                return SKIP
        if quantity == "steady_step" and case["gradient"] == "chain":
            return SKIP if case["batch"] == 64 else model(quantity, case)
        return model(quantity, case)

    suite = {name: SUITE[name] for name in ("ratio_to_tape", "steady_step")}
    page = written(tmp_path, write_results(tmp_path / "results", suite=suite, model=broken))
    cells = page.find("matrix", "td", data_workload="exercise", data_mode="eager")
    assert [e.own["class"] for e in cells[:4]] == ["fast", "failed", "skipped", "fast"]
    assert [e.text.strip() for e in cells[1:3]] == ["✕ failed", "· skipped"]
    assert not any("data-value" in e.own for e in cells[1:3])
    tally = next(e for e in page.elements if e.own.get("class") == "tally")
    assert " 3 failed" in tally.text
    assert "ratio_to_tape: exercise, chain, eager, CPU:0, batch 8" in tally.text
    crosses = [e for e in page.find("speedup") if e.own.get("data-tip", "").endswith(": failed")]
    assert crosses


def test_a_run_without_speedups_says_so(tmp_path):
    results = write_results(tmp_path / "results", model=lambda quantity, case: SKIP)
    page = written(tmp_path, results)
    assert "neither faster nor slower" in " ".join(e.text for e in page.find("answer", "p"))


def test_two_machines_stand_side_by_side_and_never_in_one_line(tmp_path):
    results = tmp_path / "results"
    write_benchmarks(results, RATIOS)
    write_machine(results, machine="laptop", suite=RATIOS)
    write_machine(results, machine="server", suite=RATIOS, started=DATE + 9000)
    page = written(tmp_path, [results / "laptop", results / "server"])
    figures = page.find("speedup", "figure")
    assert {e.own["data-run"] for e in figures} == {"laptop", "server"}
    assert len(figures) == 4
    for element in figures:
        rows = page.table(f"{element.own['id']}.csv")
        assert {row["workload"] for row in rows} == {element.own["data-workload"]}
    heads = [e.text for e in page.find("runs", "th")]
    assert {"laptop", "server"} <= set(heads)
    assert {row["machine"] for row in page.table("results.csv")} == {"laptop", "server"}


def test_runs_of_one_machine_are_told_apart_by_what_differs(tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    write_results(first, suite=RATIOS)
    write_results(second, suite=RATIOS, commit="feed" * 10)
    page = written(tmp_path, [first, second])
    assert {"01234567", "feedfeed"} <= {e.text for e in page.find("runs", "th")}


def test_names_cannot_break_out_of_the_page(tmp_path):
    results = tmp_path / "results"
    evil = "</script><script>alert(1)</script>"
    write_benchmarks(results, RATIOS)
    file = write_machine(results, suite=RATIOS)
    content = json.loads(file.read_text())
    content["params"]["machine"] = content["params"]["cpu"] = evil
    file.write_text(json.dumps(content))
    page = written(tmp_path, results)
    assert len([e for e in page.elements if e.tag == "script"]) == 2
    assert any(evil in e.text for e in page.find("facts", "td"))


def test_history_has_a_point_for_each_complete_commit(tmp_path):
    results = tmp_path / "results"
    write_benchmarks(results, RATIOS)
    for number in range(8):
        started = DATE + 3_600_000 * number
        write_machine(results, suite=RATIOS, commit=f"{number:08x}" * 5, started=started)
    page = written(tmp_path, results)
    rows = page.table("history-speedup-exercise-CPU0.csv")
    assert len(rows) == 8 * 2 * 3
    fused = [row for row in rows if row["gradient"] == "fused" and row["mode"] == "eager"]
    values = [
        1 / np.array(model("ratio_to_tape", {
            "workload": "exercise", "gradient": "fused", "mode": "eager", "device": "CPU:0",
            "batch": batch,
        }))
        for batch in (1, 8, 64, 512, 4096, 32768)
    ]  # fmt: skip
    for row in fused:
        known = [float(row[name]) for name in ("speedup", "low", "high")]
        assert known == pytest.approx(mean_of(values), rel=1e-5)


def test_history_leaves_out_incomplete_commits_and_other_versions(tmp_path):
    results = tmp_path / "results"
    write_benchmarks(results, RATIOS)

    def without_a_cell(quantity, case):
        missing = quantity == "ratio_to_tape" and case["gradient"] == "chain" and case["batch"] == 8
        return None if missing else model(quantity, case)

    for number in range(4):
        file = write_machine(
            results, suite=RATIOS, commit=f"{number:08x}" * 5, started=DATE + 3_600_000 * number,
            model=without_a_cell if number == 2 else model,
        )  # fmt: skip
        if number == 0:
            content = json.loads(file.read_text())
            row = content["results"]["bench_ratio.ratio_to_tape"]
            row[content["result_columns"].index("version")] = "v0"
            file.write_text(json.dumps(content))
    page = written(tmp_path, results)
    found = {"chain": set(), "fused": set()}
    for row in page.table("history-speedup-exercise-CPU0.csv"):
        found[row["gradient"]].add(int(row["commit"][:8], 16))
    assert found == {"chain": {1, 3}, "fused": {1, 2, 3}}


def test_a_count_that_becomes_nothing_is_a_change(tmp_path):
    suite = {
        **RATIOS,
        "track_graph_nodes": ("track", "nodes", ("workload", "gradient", "device", "batch")),
    }
    results = tmp_path / "results"
    write_benchmarks(results, suite)
    for number in range(3):

        def counted(quantity, case, nodes=40 * (number < 2)):
            if quantity == "track_graph_nodes":
                return nodes if case["device"] == "CPU:0" else SKIP
            return model(quantity, case)

        write_machine(
            results, commit=f"{number:08x}" * 5, started=DATE + 3_600_000 * number, suite=suite,
            model=counted,
        )  # fmt: skip
    page = written(tmp_path, results)
    rows = [
        row
        for row in page.table("history-exercise-CPU0.csv")
        if row["quantity"] == "track_graph_nodes"
    ]
    assert {(row["before"], row["after"], row["commit"][:8]) for row in rows} == {
        ("40.0", "0.0", "00000002")
    }
    assert any("track_graph_nodes" in e.text for e in page.find("history", "td"))
    assert any(e.text == "0" for e in page.find("structure", "td", data_workload="exercise"))
