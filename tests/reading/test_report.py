import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from asvfiles import COMMIT, DATE, SKIP, SUITE, model, write_machine, write_results

from manualbp.reading.frame import load_results
from manualbp.reading.report import write_report
from manualbp.reading.schema import ResultsError
from manualbp.reading.summary import headline, markdown

RATIOS = {"ratio_to_tape": SUITE["ratio_to_tape"]}


def flat(ratios, processes=3, spread=0.001):
    """A model of one ratio at all batches, for each mode or each (mode, gradient)."""

    def cells(quantity, case):
        if (
            case["device"] != "CPU:0"
            or case["workload"] != "wide"
            or case["batch"] not in (1, 64, 512)
        ):
            return SKIP
        ratio = ratios.get((case["mode"], case["gradient"]), ratios.get(case["mode"], SKIP))
        if ratio is None or math.isnan(ratio):
            return ratio
        middle = (processes - 1) / 2
        return [ratio * math.exp(spread * (place - middle)) for place in range(processes)]

    return cells


def run(tmp_path, cells, **options):
    return load_results(write_results(tmp_path, suite=RATIOS, model=cells, **options))


# ---------------------------------------------------------------- headline


def test_a_win_is_told_with_its_size_range_and_gradient(complete):
    *lines, last = headline(load_results(complete)).splitlines()
    cases = [line.split(": ")[0] for line in lines]
    assert cases == [
        f"{workload}, CPU:0, {mode}"
        for workload in ("exercise", "wide")
        for mode in ("eager", "graph", "xla")
    ]
    batches = (1, 8, 64, 512, 4096, 32768)
    case = {"workload": "exercise", "gradient": "fused", "mode": "eager", "device": "CPU:0"}
    logs = [-np.log(model("ratio_to_tape", {**case, "batch": b})).mean() for b in batches]
    eager = lines[0]
    assert f"fused {math.exp(np.mean(logs)):.2f}× as fast as the tape" in eager
    assert f"from {math.exp(min(logs)):.2f}× at batch {batches[np.argmin(logs)]} " in eager
    assert f"to {math.exp(max(logs)):.2f}× at batch {batches[np.argmax(logs)]}" in eager
    assert "GPU" not in "".join(lines)
    assert "0 failed" in last
    assert "GPU:0: " in last


def test_faster_slower_and_no_difference_have_their_words(tmp_path):
    text = headline(run(tmp_path, flat({"eager": 0.5, "graph": 1.25, "xla": 1.0})))
    eager, graph, xla = text.splitlines()[:3]
    assert "chain 2.00× as fast as the tape" in eager
    assert "slower, the best is chain 0.80× as fast" in graph
    assert "no difference shown, chain 1.00× (95 % interval" in xla


def test_the_best_gradient_is_named_and_the_batches_where_it_does_not_win(tmp_path):
    base = flat({("eager", "chain"): 0.95, ("eager", "fused"): 0.5})

    def cells(quantity, case):
        hit = case["gradient"] == "fused"
        found = base(quantity, case)
        factor = {64: 2.0, 512: 2.1}.get(case["batch"], 1.0)
        return [factor * v for v in found] if hit and isinstance(found, list) else found

    text = headline(run(tmp_path, cells))
    assert "eager: fused" in text
    assert "slower at batch 512, no difference shown at batch 64" in text


def test_one_process_shows_nothing(tmp_path):
    text = headline(run(tmp_path, flat({"eager": 0.5}, processes=1)))
    assert "chain 2.00× the tape's speed in one process (no interval" in text
    assert "as fast" not in text


def test_failed_cells_are_counted_and_named(tmp_path):
    base = flat({"eager": 0.5, "xla": None})

    def cells(quantity, case):
        hit = case["gradient"] == "chain" and case["batch"] == 64 and case["mode"] == "eager"
        return None if hit and base(quantity, case) is not SKIP else base(quantity, case)

    frame = run(tmp_path, cells)
    text = headline(frame)
    assert "xla: nothing measured, 6 cells failed" in text
    assert f"{(frame['status'] == 'failed').sum()} failed" in text
    report = markdown(frame)
    assert (
        "- `bench_ratio.ratio_to_tape`: workload wide, gradient chain, mode eager, device CPU:0, "
        "batch 64" in report
    )
    assert "| failed" in report


@pytest.mark.parametrize("cell", [None, SKIP])
def test_nothing_measured_is_never_no_regression(tmp_path, cell):
    frame = run(tmp_path, lambda quantity, case: cell)
    for text in (headline(frame), markdown(frame)):
        assert "No speedup was measured" in text
        assert "neither faster nor slower" in text
        assert "regression" not in text
        assert "no difference" not in text


def test_without_speedups_the_rest_is_still_counted(tmp_path):
    suite = {"steady_numpy": SUITE["steady_numpy"]}
    frame = load_results(write_results(tmp_path, suite=suite))
    assert "(9 cells of other quantities were)" in headline(frame)


def test_two_runs_are_refused(tmp_path):
    write_results(tmp_path)
    write_machine(tmp_path, machine="server")
    frame = load_results(tmp_path)
    for words in (headline, markdown):
        with pytest.raises(ValueError, match="one run, got 2 runs"):
            words(frame)


# ---------------------------------------------------------------- Markdown


def table(report, heading):
    """A table of the report as rows of stripped cells, its header first."""
    section = report.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[c.strip() for c in line.strip("|").split("|")] for line in (rows[0], *rows[2:])]


def test_the_tables_hold_what_was_measured(complete):
    report = markdown(load_results(complete))
    part = report.split("## wide on CPU:0")[1]
    head, chain, fused = table(part, "### eager: speedup over the tape")
    assert head == ["gradient", "batch 1", "batch 64", "batch 512"]
    assert (chain[0], fused[0]) == ("chain", "fused")
    case = {"workload": "wide", "gradient": "fused", "mode": "eager", "device": "CPU:0", "batch": 1}
    speedup = math.exp(-np.log(model("ratio_to_tape", case)).mean())
    assert fused[1].startswith(f"**{speedup:.2f}** (")
    rows = table(part, "### eager: time per step")
    assert [row[0] for row in rows[1:]] == [
        "tape", "chain", "fused", "NumPy (control)", "harness alone",
    ]  # fmt: skip
    step = math.exp(np.log(model("steady_step", {**case, "gradient": "tape"})).mean())
    assert rows[1][1] == f"{step * 1e3:.2f} ms"
    for heading in ("Backward pass alone", "SGD, time per step", "First call", "Peak memory",
                    "First call: tracing", "Error against the reference (ulp)"):  # fmt: skip
        assert f"### {heading}\n" in part
    assert table(part, "### Graph nodes after grappler")[3] == ["graph", "fused", *["50"] * 3]
    assert table(part, "### Bytes accessed by XLA's kernels")[1][4] == "986,808"
    assert table(part, "### Traces for a sequence of batches")[:2] == [
        ["mode", "gradient", "value"], ["eager", "tape", "3"],
    ]  # fmt: skip
    assert "412 MiB" in report
    assert "GPU:0" not in report.split("## Skipped cells")[0].split("## The run")[1]


def test_the_run_is_described(complete):
    facts = dict(table(markdown(load_results(complete)), "## The run"))
    assert facts["machine"] == "laptop"
    assert facts["processor"] == "An imagined CPU @ 2.50GHz"
    assert facts["TensorFlow"] == "2.21.0"
    assert facts["Python"] == "3.11"
    assert facts["commit"] == f"`{COMMIT}`"
    assert facts["measured"] == "2025-10-09 08:53 UTC"


def test_separate_times_are_marked_and_cells_never_tried_are_dashes(tmp_path):
    # The fused gradient at one batch only, as a suite restricted by hand would leave it.
    suite = {"steady_step": SUITE["steady_step"]}
    frame = load_results(write_results(tmp_path, suite=suite))
    keep = (frame["gradient"] != "fused") | (frame["batch"] == 1)
    report = markdown(frame[keep])
    _, _, fused = table(report, "### eager: speedup over the tape")
    assert "†" in fused[1]
    assert fused[2] == "–"
    assert "from times of separate processes" in headline(frame[keep])


# ---------------------------------------------------------------- files


def test_the_report_is_written_with_pictures_and_a_table(complete, tmp_path):
    output = tmp_path / "a" / "report"
    report = write_report(complete, output)
    names = {file.name for file in report.files}
    stems = [f"{what}-{workload}-CPU0" for what in ("time", "speedup", "first-call")
             for workload in ("exercise", "wide")]  # fmt: skip
    answers = {f"answer-{workload}-CPU0-{theme}.svg" for workload in ("exercise", "wide")
               for theme in ("light", "dark")}  # fmt: skip
    assert names == {"index.html", "report.md", "results.csv"} | answers | {
        f"{stem}.{suffix}" for stem in stems for suffix in ("png", "svg")
    }
    assert {file.name for file in output.iterdir()} == names
    text = (output / "report.md").read_text(encoding="utf-8")
    assert all(f"]({stem}.svg)" in text for stem in stems)
    assert report.headline == headline(load_results(complete))
    assert report.files[0] == output / "index.html"


@pytest.mark.usefixtures("without_pictures")
def test_the_table_can_be_read_back(complete, tmp_path):
    write_report(complete, tmp_path)
    table = pd.read_csv(tmp_path / "results.csv")
    frame = load_results(complete)
    assert list(table.columns) == list(frame.columns)
    np.testing.assert_array_equal(table["value"], frame["value"])
    samples = table["samples"].fillna("").map(lambda text: tuple(map(float, text.split())))
    assert list(samples) == list(frame["samples"])


def test_the_same_results_give_the_same_bytes(tmp_path):
    results = write_results(tmp_path / "results", suite=RATIOS, model=flat({"eager": 0.5}))
    one, two = (write_report(results, tmp_path / name).files for name in ("one", "two"))
    assert [file.name for file in one] == [file.name for file in two]
    for left, right in zip(one, two, strict=True):
        assert left.read_bytes() == right.read_bytes()


@pytest.mark.usefixtures("without_pictures")
def test_the_latest_run_is_reported_unless_another_is_asked_for(tmp_path):
    results, cells = tmp_path / "results", flat({"eager": 0.5})
    write_results(results, suite=RATIOS, model=cells)
    write_machine(results, machine="server", suite=RATIOS, model=cells, started=DATE + 9000)
    write_machine(results, commit="feed" * 10, suite=RATIOS, model=cells, started=DATE - 9000)

    def reported(**chosen):
        write_report(results, tmp_path / "out", **chosen)
        frame = pd.read_csv(tmp_path / "out" / "results.csv")
        return frame["machine"].iloc[0], frame["commit"].iloc[0][:4]

    assert reported() == ("server", "0123")
    assert reported(machine="laptop") == ("laptop", "0123")
    assert reported(commit="feed") == ("laptop", "feed")
    assert reported(machine="laptop", commit=COMMIT) == ("laptop", "0123")
    with pytest.raises(ResultsError, match=r"no results of machine 'desk'; there are .*server"):
        reported(machine="desk")
    with pytest.raises(ResultsError, match="beginning with 'beef'; there are 01234567, feedfeed"):
        reported(commit="beef")
    with pytest.raises(ResultsError, match="beginning with 'feed'; there are 01234567"):
        reported(machine="server", commit="feed")


@pytest.mark.usefixtures("without_pictures")
def test_an_ambiguous_commit_is_refused(tmp_path):
    write_results(tmp_path, suite=RATIOS, model=flat({}))
    write_machine(tmp_path, commit="01ff" * 10, suite=RATIOS, model=flat({}))
    with pytest.raises(ResultsError, match="several commits beginning with '01'"):
        write_report(tmp_path, tmp_path / "out", commit="01")


def test_a_run_without_any_number_is_reported_in_words(tmp_path):
    results = write_results(tmp_path / "results", suite=RATIOS, model=lambda q, c: SKIP)
    report = write_report(results, tmp_path / "out")
    assert "No speedup was measured" in report.headline
    assert {file.name for file in report.files} == {"index.html", "report.md", "results.csv"}


def test_the_reading_wing_works_without_tensorflow(tmp_path):
    results = write_results(tmp_path / "results", suite=RATIOS, model=flat({"eager": 0.5}))
    # None in sys.modules makes an import fail, as on a machine without TensorFlow.
    script = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from pathlib import Path\n"
        "from manualbp.reading.report import write_report\n"
        "write_report(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "loaded = {name.partition('.')[0] for name in sys.modules} - {'tensorflow'}\n"
        "print(sorted(loaded & {'keras', 'asv', 'asv_runner'}), 'scipy.stats' in sys.modules,\n"
        "      'matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(results), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]", "False", "False"]
