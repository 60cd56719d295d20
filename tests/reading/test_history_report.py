import math

import matplotlib as mpl
import pytest
from asvfiles import DATE, SUITE, model, write_benchmarks, write_machine
from lines import count, hash_of, line, table
from matplotlib.colors import to_hex

from manualbp.reading.figures import NothingToDrawError
from manualbp.reading.history import change_points, history
from manualbp.reading.history_figures import PANELS, history_figure, pick_lines
from manualbp.reading.history_words import changes_markdown, history_markdown
from manualbp.reading.report import write_report

STEP = [1.0, 1.01, 0.99, 1.0, 1.01, 1.0, 1.1, 1.11, 1.09, 1.1, 1.11]  # up at place 6
FLAT = [1.0, 1.01, 0.99, 1.0, 1.01, 1.0, 0.99, 1.0, 1.01, 0.99, 1.0]


def draw(frame):
    lines = history(frame)
    found = change_points(lines)
    figure = history_figure(lines, found)
    figure.draw_without_rendering()
    return figure


def words(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text)]


def updated(rows):
    for row in rows[6:]:
        row |= {"tensorflow": "2.21", "environment": "py3.11-tf2.21"}
    return rows


# ---------------------------------------------------------------- the figure


def test_points_levels_and_marks_are_drawn_where_they_belong():
    figure = draw(table(*updated(line(STEP))))
    (axes,) = figure.axes
    points = next(drawn for drawn in axes.get_lines() if drawn.get_marker() == "s")
    assert list(points.get_xdata()) == list(range(11))
    assert list(points.get_ydata()) == STEP
    levels = [drawn for drawn in axes.get_lines() if drawn.get_linewidth() == 4]
    assert [list(level.get_xdata()) for level in levels] == [[0, 5], [6, 10]]
    assert levels[0].get_ydata()[0] == pytest.approx(1.0, abs=0.01)
    assert levels[1].get_ydata()[0] == pytest.approx(1.1, abs=0.01)
    marks = [drawn for drawn in axes.get_lines() if list(drawn.get_xdata()) == [5.5, 5.5]]
    assert len(marks) == 1  # the environment's name holds TensorFlow's version
    text = words(figure)
    assert {"level", "another TensorFlow", "chain", "+10.0 %"} <= set(text)
    assert not {"another environment", "other processor or cores"} & set(text)
    assert "ratio to tape: exercise, chain, eager, CPU:0, batch 8" in text
    assert "ratio (below 1 is faster)" in text
    assert "History on laptop" in text
    assert hash_of(10)[:8] in text


def test_units_are_said_and_applied():
    time = {"quantity": "steady_step", "kind": "time", "unit": "seconds"}
    frame = table(*line([value * 2e-3 for value in STEP], **time))
    figure = draw(frame)
    assert "time (ms)" in words(figure)
    assert figure.axes[0].get_lines()[0].get_ydata()[0] == pytest.approx(2.0)


def test_a_count_that_was_zero_is_drawn_with_its_difference():
    text = words(draw(table(*line([0.0, 0.0, 2.0], **count(gradient="chain")))))
    assert "+2" in text
    assert not any("inf" in word for word in text)


def test_failed_commits_are_crosses_and_no_points():
    rows = line(STEP)
    rows[3] |= {"status": "failed", "value": math.nan}
    figure = draw(table(*rows))
    crosses = [drawn for drawn in figure.axes[0].get_lines() if drawn.get_marker() == "x"]
    assert [list(drawn.get_xdata()) for drawn in crosses] == [[3]]
    assert len(figure.axes[0].get_lines()[0].get_xdata()) == 10
    assert "failed" in words(figure)


def test_what_changed_most_is_drawn_first_and_never_more_than_the_panels():
    rows = [row for batch in range(1, 9) for row in line(FLAT, batch=batch)]
    rows += line(STEP, batch=64)
    rows += line([value**3 for value in STEP], batch=512)
    lines = history(table(*rows))
    found = change_points(lines)
    chosen = pick_lines(lines, found)
    batches = {row["series"]: row["batch"] for row in lines.to_dict("records")}
    assert [batches[series] for series in chosen] == [512, 64, 1, 2, 3, 4]
    assert len(chosen) == PANELS
    with pytest.raises(ValueError, match="at most 6 lines, got 10"):
        history_figure(lines, found, list(batches))
    assert len(history_figure(lines, found, chosen[:2]).axes) == 2


def test_a_gradient_has_the_colour_that_it_has_in_every_figure():
    rows = [*line(FLAT, gradient="tape"), *line(FLAT), *line(STEP, gradient="fused")]
    lines = history(table(*rows))
    (fused,) = set(lines.loc[lines["gradient"] == "fused", "series"])
    (axes,) = history_figure(lines, change_points(lines), [fused]).axes
    assert to_hex(axes.get_lines()[0].get_color()) == "#e69f00"


def test_two_machines_do_not_share_a_figure_and_nothing_is_no_figure():
    frame = table(*line(FLAT), *line(FLAT, machine="server"))
    with pytest.raises(ValueError, match="one machine, got laptop, server"):
        draw(frame)
    with pytest.raises(NothingToDrawError):
        draw(table(*line([math.nan] * 3, status="skipped")))


# ---------------------------------------------------------------- the words


def test_a_change_is_told_with_its_size_and_what_came_with_it():
    text = history_markdown(table(*updated(line(STEP)), *line(FLAT, gradient="fused")))
    assert text.startswith("## History\n")
    assert f"laptop: 11 commits, `{hash_of(0)[:8]}` to `{hash_of(10)[:8]}`" in text
    assert f"TensorFlow at `{hash_of(6)[:8]}`" in text
    assert "1 line of 2 changed." in text
    (row,) = [text_ for text_ in text.splitlines() if "% slower (" in text_]
    cells = [part.strip() for part in row.strip("|").split("|")]
    assert cells[:4] == [
        f"`{hash_of(6)[:8]}`", "2025-10-07", "ratio to tape",
        "exercise, chain, eager, CPU:0, batch 8",
    ]  # fmt: skip
    assert cells[4:6] == ["1.002", "1.102"]
    assert cells[6].startswith("10.0 % slower (+")
    assert cells[7] == "other TensorFlow"


def test_what_changed_beside_the_code_is_told_without_any_change_of_level():
    rows = line(FLAT)
    rows[4]["environment"] = "conda"
    for row in rows[8:]:
        row["cores"] = 4
    text = history_markdown(table(*rows))
    there, back, cores = (hash_of(number)[:8] for number in (4, 5, 8))
    assert f"beside the code: environment at `{there}`, `{back}`; processor or cores at" in text
    assert f"at `{cores}`" in text
    same = history_markdown(table(*line(FLAT)))
    assert "TensorFlow, environment and processor stayed the same." in same


def test_a_gain_is_faster_and_times_have_units():
    time = {"quantity": "steady_step", "kind": "time", "unit": "seconds"}
    text = history_markdown(table(*line([value * 2e-3 for value in STEP[::-1]], **time)))
    assert "% faster (-" in text
    assert "2.2 ms" in text


def test_no_change_is_said_and_too_few_commits_are_not_called_no_change():
    assert "0 lines of 1 changed." in history_markdown(table(*line(FLAT)))
    short = history_markdown(table(*line(FLAT[:5])))
    assert "No line is long enough to tell a change from noise" in short
    assert "1 line with fewer than 6 measured commits says nothing" in short
    assert " changed." not in short.split("\n\n")[2]


def test_every_machine_has_its_part_and_the_newest_change_comes_first():
    double = [*STEP, *(1.3 * value for value in STEP[6:])]
    text = history_markdown(table(*line(double), *line(FLAT, machine="server")))
    laptop, server = text.split("server: 11 commits")
    assert "laptop: 16 commits" in laptop
    rows = [row for row in laptop.splitlines() if row.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [hash_of(11)[:8], hash_of(6)[:8]]
    assert "| `" not in server


def test_counts_are_told_by_their_difference():
    lines = history(table(*line(STEP)))
    found = change_points(lines).assign(exact=True, before=3.0, after=5.0, unit="nodes")
    assert "| 3 " in changes_markdown(lines, found)
    assert "| +2 " in changes_markdown(lines, found)


# ---------------------------------------------------------------- the report


def write_commits(results, count):
    """One ratio's cells over commits; the last five are slower in eager mode."""
    suite = {"ratio_to_tape": SUITE["ratio_to_tape"]}
    write_benchmarks(results, suite)
    for number in range(count):
        slower = 1.3 if number >= count - 5 else 1.0

        def cells(quantity, case, slower=slower, number=number):
            found = model(quantity, case)
            wobble = 1 + 0.003 * ((5 * number) % 7 - 3)
            factor = wobble * (slower if case["mode"] == "eager" else 1)
            return [factor * value for value in found] if isinstance(found, list) else found

        write_machine(
            results, suite=suite, model=cells, commit=hash_of(number), started=DATE + 10**7 * number
        )


def test_a_report_with_several_commits_has_their_history(tmp_path):
    write_commits(tmp_path / "results", 12)
    report = write_report(tmp_path / "results", tmp_path / "out")
    names = {file.name for file in report.files}
    assert {"history.svg", "history.png"} <= names
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    section = text.split("## History")[1]
    assert "](history.svg)" in section
    rows = [row for row in section.splitlines() if row.startswith("| `")]
    assert len(rows) == 18  # two gradients at nine batches, in eager mode
    assert all(hash_of(7)[:8] in row and ", eager," in row for row in rows)


def test_a_report_of_one_commit_has_none(tmp_path):
    write_commits(tmp_path / "results", 1)
    report = write_report(tmp_path / "results", tmp_path / "out")
    assert not any(file.name.startswith("history") for file in report.files)
    assert "## History" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_another_machines_commits_are_no_history(tmp_path):
    write_commits(tmp_path / "results", 1)
    suite = {"ratio_to_tape": SUITE["ratio_to_tape"]}
    write_machine(tmp_path / "results", suite=suite, machine="server", commit="feed" * 10)
    write_report(tmp_path / "results", tmp_path / "out")
    assert "## History" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
