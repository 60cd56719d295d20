import re

import asvfiles
import pytest
from asvfiles import SKIP, SUITE, model, write_machine, write_results

from manualbp.reading import digest as module
from manualbp.reading.digest import digest
from manualbp.reading.frame import load_results
from manualbp.reading.schema import ResultsError
from manualbp.reading.speedups import speedups
from manualbp.reading.summary import headline


def size(text):
    return len(text.encode("utf-8"))


def test_it_leads_with_the_headline_and_the_matrix(complete):
    frame = load_results(complete)
    text = digest(frame)
    for line in headline(frame).splitlines():
        assert f"- {line}\n" in text
    opened = re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)
    table = opened.split("**wide on CPU:0: speedup over the tape**")[1]
    rows = [[c.strip(" *") for c in line.strip("|").split("|")] for line in table.splitlines()
            if line.startswith("|")]  # fmt: skip
    assert rows[0] == ["mode", "gradient", "batch 1", "batch 64", "batch 512"]
    modes = ("eager", "graph", "xla")
    assert [row[:2] for row in rows[2:]] == [[m, g] for m in modes for g in ("chain", "fused")]
    cells = speedups(frame).set_index(["workload", "device", "mode", "gradient", "batch"])
    for mode, gradient, *values in rows[2:]:
        for batch, value in zip((1, 64, 512), values, strict=True):
            known = cells.loc[("wide", "CPU:0", mode, gradient, batch), "speedup"]
            assert value.startswith(f"{known:.2f}")


def test_details_are_folded_and_whole(complete):
    text = digest(load_results(complete))
    assert size(text) < 60_000
    assert "Cut to stay" not in text
    assert text.count("<details>\n<summary>") == text.count("\n</details>\n")
    for block in re.findall(r"<details>\n(.*?)</details>", text, flags=re.DOTALL):
        assert re.match(r"<summary>[^\n]+</summary>\n\n", block)  # GitHub needs the empty line
    assert "<summary>exercise on CPU:0: every table</summary>" in text
    assert "### xla: time per step" in text


def test_failed_cells_are_listed_before_the_tables(tmp_path):
    def cells(quantity, case):
        stored = model(quantity, case)
        return None if case.get("gradient") == "chain" and stored is not SKIP else stored

    frame = load_results(write_results(tmp_path, model=cells))
    text = digest(frame)
    failed = (frame["status"] == "failed").sum()
    assert text.index(f"<summary>Failed cells ({failed})</summary>") < text.index("every table")
    assert "- `bench_ratio.ratio_to_tape`: workload exercise, gradient chain, mode eager" in text


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A run of workloads enough for several hundred KB, a cell of six of them failed."""

    def cells(quantity, case):
        return None if case["batch"] == 8 else model(quantity, {**case, "workload": "exercise"}, 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(asvfiles.VALUES, "workload", [f"workload-{number}-ü" for number in range(12)])
        suite = {"ratio_to_tape": SUITE["ratio_to_tape"], "steady_step": SUITE["steady_step"]}
        results = write_results(tmp_path_factory.mktemp("large"), suite=suite, model=cells)
    return load_results(results)


@pytest.fixture(scope="module")
def whole(large):
    text = digest(large, limit=10**9)
    assert size(text) > 2 * module.LIMIT
    return text


@pytest.mark.parametrize("limit", [60_000, 20_000, 3_000, 500, 200])
def test_it_is_never_longer_than_the_limit_and_says_what_was_cut(large, whole, limit):
    text = digest(large, limit=limit)
    assert size(text) <= limit
    assert text.count("<details>") == text.count("</details>")
    *kept, notice = text.splitlines()
    left_out = int(
        re.search(r"Cut to stay under \d+ KB: (\d+) lines are left out", notice).group(1)
    )
    assert left_out > 0
    assert all(line in whole.splitlines() for line in kept)
    if limit == module.LIMIT:
        assert size(text) > limit - 1000  # no more is cut than must be
        assert headline(large).splitlines()[-1] in text


def test_the_limit_leaves_room_in_a_comment_on_github():
    assert module.LIMIT <= 60_000


def test_names_restrict_it(complete):
    frame = load_results(complete)
    text = digest(frame, ["wide"], ["xla"], ["CPU:0"])
    assert "wide, CPU:0, xla: " in text
    for other in ("exercise", "eager", "graph"):
        assert other not in text
    with pytest.raises(ResultsError, match="no results of mode 'jit'; there are eager, graph, xla"):
        digest(frame, None, ["jit"])


def test_nothing_measured_says_so(tmp_path):
    suite = {"ratio_to_tape": SUITE["ratio_to_tape"]}
    frame = load_results(write_results(tmp_path, suite=suite, model=lambda quantity, case: SKIP))
    text = digest(frame)
    assert "No speedup was measured" in text
    assert "speedup over the tape**" not in text


def test_names_cannot_write_html(tmp_path):
    suite = {"ratio_to_tape": SUITE["ratio_to_tape"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(asvfiles.VALUES, "workload", ["<b>"])
        frame = load_results(write_results(tmp_path, suite=suite, model=lambda q, c: [1.0, 1.1]))
    assert "<summary><code>&lt;b&gt;</code> on CPU:0" in digest(frame)


def test_two_runs_are_refused(tmp_path):
    write_results(tmp_path)
    write_machine(tmp_path, machine="server")
    with pytest.raises(ValueError, match="one run, got 2 runs"):
        digest(load_results(tmp_path))
