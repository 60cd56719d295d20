"""Beside other libraries: the tables show what the samples say, and no verdict hangs on them."""

import math

import numpy as np
import pytest
from asvfiles import SKIP, SUITE, model, write_results
from pagereader import Page
from pages import write_without_pictures
from scipy import stats

from manualbp.reading import beside
from manualbp.reading.digest import digest
from manualbp.reading.frame import latest_run, load_results
from manualbp.reading.schema import CONTEXT, QUANTITIES
from manualbp.reading.summary import markdown
from manualbp.reading.verdicts import compare, uniform

CONTEXT_SUITE = {name: QUANTITIES[name][:3] for name in CONTEXT}
WHOLE = {**SUITE, "ratio_to_numpy": QUANTITIES["ratio_to_numpy"][:3], **CONTEXT_SUITE}
OVER_NUMPY = {"jax": 0.9, "keras": 130.0, "numba": 0.054}
LEVELS = {"tape": 6.0, "chain": 5.5, "fused": 3.25}


def beside_model(quantity, case):
    """JAX, Keras and numba measured, one cell of Keras failed, and no PyTorch."""

    def spread(value):
        key = repr((quantity, sorted(case.items())))
        noise = np.random.default_rng([ord(letter) for letter in key])
        return list(value * np.exp(0.02 * noise.normal(size=5)))

    if quantity not in ("ratio_to_numpy", *CONTEXT):
        return model(quantity, case)
    if case["workload"] != "exercise" or case.get("device") == "GPU:0":
        return SKIP
    if quantity == "ratio_peer_to_numpy":
        if case["batch"] == 8 or case["peer"] == "torch":
            return SKIP
        if (case["peer"], case["batch"]) == ("keras", 64):
            return None
        return spread(OVER_NUMPY[case["peer"]] * (1 + case["batch"] / 1000))
    if quantity == "ratio_to_numpy":
        return spread(LEVELS[case["gradient"]]) if case["batch"] in (1, 4096) else SKIP
    if case["batch"] != 1:
        return SKIP
    if quantity == "ratio_peer_sgd_to_floor":
        return spread(2.5) if case["peer"] == "jax" else SKIP
    return spread(LEVELS[case["gradient"]] / 2) if case["mode"] == "xla" else SKIP


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("beside") / "results"
    return write_results(path, suite=WHOLE, model=beside_model)


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    return shown(results, tmp_path_factory.mktemp("page"))


def shown(results, folder):
    report = write_without_pictures(results, folder / "report")
    return Page(report.files[0].read_text(encoding="utf-8"))


def samples(quantity, **case):
    return beside_model(quantity, {"workload": "exercise", **case})


def lines(page):
    """Return the cells of every line: by table, then by step, a text for each batch."""
    found = {}
    caption = None
    for element in page.find("beside"):
        if element.tag == "caption":
            caption = element.text.split(",")[0]
            found[caption] = {}
        if element.tag == "tr" and element.children[0].own.get("scope") == "row":
            step, *cells = element.children
            found[caption][step.text] = [cell.text for cell in cells]
    return found


def said(values):
    """Return what a cell shall say: geometric mean and 95 % interval, by scipy's own t-test."""
    logs = np.log(values)
    low, high = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    return [math.exp(logs.mean()), math.exp(low), math.exp(high)]


def numbers(text):
    return [float(word.replace(",", "")) for word in text.split() if word != "to"]


def test_every_library_stands_over_numpy_with_its_interval(page):
    table = lines(page)["Step over the step in NumPy"]
    batches = (1, 64, 512, 4096, 32768)
    for peer in ("jax", "numba"):
        assert len(table[peer]) == len(batches)
        for batch, text in zip(batches, table[peer], strict=True):
            expected = said(samples("ratio_peer_to_numpy", peer=peer, batch=batch))
            assert numbers(text) == pytest.approx(expected, rel=0.006)


def test_tensorflows_own_steps_stand_beside_them_where_they_are_measured(page):
    table = lines(page)["Step over the step in NumPy"]
    for gradient, mode in (("tape", "eager"), ("fused", "xla")):
        first, *rest = table[f"TensorFlow: {gradient}, {mode}"]
        case = {"gradient": gradient, "mode": mode, "device": "CPU:0"}
        expected = said(samples("ratio_to_numpy", **case, batch=1))
        assert numbers(first) == pytest.approx(expected, rel=0.006)
        assert [bool(text.strip()) for text in rest] == [False, False, True, False]


def test_steps_over_jax_and_over_the_floor_have_tables_of_their_own(page):
    tables = lines(page)
    over_jax = tables["Step over JAX's jit(value_and_grad)"]
    assert list(over_jax) == [f"TensorFlow: {gradient}, xla" for gradient in LEVELS]
    floor = tables["100 SGD steps in one call over the same in numba's loop"]
    assert list(floor) == ["jax", *over_jax]
    expected = said(samples("ratio_to_jax", gradient="fused", mode="xla", batch=1))
    assert numbers(over_jax["TensorFlow: fused, xla"][0]) == pytest.approx(expected, rel=0.006)


def test_failed_and_skipped_are_told_apart_from_numbers(page):
    table = lines(page)["Step over the step in NumPy"]
    assert table["keras"][1] == "✕ failed"
    assert "torch" not in table
    (note,) = [e for e in page.find("beside", "p") if e.own.get("class") == "note"]
    assert note.text == "Skipped, not chosen or not installed: torch."
    tally = next(e for e in page.elements if e.own.get("class") == "tally")
    assert "ratio_peer_to_numpy: exercise, keras, CPU:0, batch 64" in tally.text


def test_the_finding_names_the_fastest_on_both_sides(page):
    first = next(e for e in page.find("beside", "p") if e.own.get("class") == "finding")
    numba = said(samples("ratio_peer_to_numpy", peer="numba", batch=1))[0]
    assert f"batch 1: numba {numba:.4f} and TensorFlow: fused, " in first.text
    assert "batch 32,768: numba " in first.text


def test_a_cell_names_the_row_that_it_stands_for(page):
    table = page.table("results.csv")
    buttons = [e for e in page.find("beside", "button") if "data-row" in e.own]
    assert len(buttons) == (5 + 4 + 5) + 9 * 2 + 3 + (1 + 3)
    for button in buttons:
        row = table[int(button.own["data-row"])]
        step = row["peer"] or f"TensorFlow: {row['gradient']}, {row['mode']}"
        assert button.own["data-tip"].startswith(f"{step}, batch {int(row['batch']):,}: ")
        assert numbers(button.text) == pytest.approx([float(row["value"])], rel=0.006)


def test_the_sections_csv_holds_what_its_tables_show(page):
    rows = page.table("beside-exercise-CPU0.csv")
    assert {row["quantity"] for row in rows} == {"ratio_to_numpy", *CONTEXT}
    assert "skipped" not in {row["status"] for row in rows}
    assert sum(row["peer"] == "jax" for row in rows) == 5 + 1


def test_without_other_libraries_there_is_no_section(tmp_path):
    suite = {name: kind for name, kind in WHOLE.items() if name not in CONTEXT}
    results = write_results(tmp_path / "results", suite=suite, model=beside_model)
    assert not shown(results, tmp_path).find("beside")
    assert "beside other libraries" not in markdown(load_results(results))


def test_other_libraries_alone_are_shown(tmp_path):
    suite = {"ratio_peer_to_numpy": CONTEXT_SUITE["ratio_peer_to_numpy"]}
    results = write_results(tmp_path / "results", suite=suite, model=beside_model)
    table = lines(shown(results, tmp_path))["Step over the step in NumPy"]
    assert list(table) == ["jax", "keras", "numba"]


def test_what_was_skipped_everywhere_is_no_table(tmp_path):
    results = write_results(
        tmp_path / "results", suite=CONTEXT_SUITE, model=lambda quantity, case: SKIP
    )
    frame = load_results(results)
    assert beside.tables(frame) == []
    assert beside.skipped(frame) == ["jax", "torch", "keras", "numba"]


def test_the_markdown_has_the_same_tables(results):
    frame = latest_run(load_results(results))
    for text in (markdown(frame), digest(frame)):
        part = text.partition("### Step over the step in NumPy, beside other libraries\n")[2]
        table = part.strip().split("\n\n")[0].splitlines()
        rows = {
            cells[0]: cells[1:]
            for cells in ([cell.strip() for cell in row.strip("|").split("|")] for row in table[2:])
        }
        value, low, high = said(samples("ratio_peer_to_numpy", peer="jax", batch=1))
        assert rows["jax"][0] == f"{value:.3f} ({low:.3f}–{high:.3f})"
        assert rows["keras"][1] == "failed"
        assert rows["TensorFlow: fused, xla"][1] == "–"
        assert "torch" not in rows


def test_they_are_rows_of_the_table_with_a_column_of_their_own(results):
    frame = load_results(results)
    mine = frame[frame["quantity"] == "ratio_peer_to_numpy"]
    assert set(mine["peer"]) == {"jax", "torch", "keras", "numba"}
    assert set(mine["device"]) == {"CPU:0"}
    assert mine["gradient"].isna().all()
    assert mine["parameters"].isna().all()
    assert frame.loc[~frame["quantity"].isin(CONTEXT), "peer"].isna().all()


def test_no_verdict_is_given_on_them(results):
    base = latest_run(load_results(results))
    moved = base["quantity"].isin(CONTEXT)
    slower = base["samples"].map(lambda values: tuple(2 * value for value in values))
    head = base.assign(samples=slower.where(moved, base["samples"]))
    cells = compare(base, head, uniform(0.02, base, head))
    assert len(cells)
    assert not cells["quantity"].isin(CONTEXT).any()
    assert not cells["verdict"].isin(["slower", "faster"]).any()
