import functools

import matplotlib as mpl
import pytest
from asvfiles import model, write_machine, write_results
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from manualbp.cases import describe_workload
from manualbp.reading.figures import first_call, speedup_against_batch, time_against_batch
from manualbp.reading.frame import load_results, select
from manualbp.reading.speedups import speedups

DRAW = (time_against_batch, speedup_against_batch, first_call)
RED = "#cc0000"


@pytest.fixture(scope="module")
def exercise(complete):
    return select(load_results(complete), "exercise", "CPU:0")


def words(figure):
    """All text of a figure that a reader sees."""
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(mpl.text.Text)]


def lines(axes, colour):
    return [
        line
        for line in axes.get_lines()
        if to_hex(line.get_color()) == colour and len(line.get_xdata()) > 1
    ]


def crosses(axes):
    return [line for line in axes.get_lines() if to_hex(line.get_color()) == RED]


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("workload", ["exercise", "wide"])
def test_a_figure_names_what_it_shows(complete, draw, workload):
    figure = draw(select(load_results(complete), workload, "CPU:0"))
    assert isinstance(figure, Figure)
    text = " ".join(words(figure))
    what = f"\n{workload}: {describe_workload(workload)}".removesuffix(": ")
    for expected in (what, "CPU:0", "laptop", "An imagined CPU", "TensorFlow 2.21.0",
                     "commit 01234567", "8 processes", "95 %"):  # fmt: skip
        assert expected in text


def test_the_axes_have_units_and_readable_ticks(exercise):
    figure = time_against_batch(exercise)
    text = words(figure)
    assert "time per step (µs)" in text
    assert "batch (examples)" in text
    assert {"1", "8", "64", "512", "4096", "32768", "1,000"} <= set(text)
    speed = words(speedup_against_batch(exercise))
    assert "speedup over the tape\n(tape time ÷ gradient time)" in speed
    assert {"1", "2", "4", "faster ↑", "slower ↓"} <= set(speed)
    assert not any("mathdefault" in word for word in text + speed)


def test_the_points_are_the_table(exercise):
    figure = time_against_batch(exercise)
    steps = exercise[(exercise["quantity"] == "steady_step") & (exercise["gradient"] == "tape")]
    for axes, mode in zip(figure.axes, ("eager", "graph", "xla"), strict=True):
        (tape,) = lines(axes, "#000000")
        expected = steps.loc[steps["mode"] == mode, "value"] * 1e6
        assert list(tape.get_ydata()) == pytest.approx(list(expected))


def test_colour_is_the_gradient_and_style_the_mode_everywhere(exercise):
    for draw, count in ((time_against_batch, 3), (speedup_against_batch, 2)):
        for axes, style in zip(draw(exercise).axes, ("-", "--", "-."), strict=True):
            marked = [line for line in axes.get_lines() if line.get_marker() in ("o", "s", "^")]
            assert {line.get_linestyle() for line in marked} == {style}
            looks = {(to_hex(line.get_color()), line.get_marker()) for line in marked}
            assert looks <= {("#000000", "o"), ("#0072b2", "s"), ("#e69f00", "^")}
            assert len(looks) == count


def test_yardsticks_are_drawn_where_measured(exercise):
    names = {"NumPy (control)", "harness alone (call floor)"}
    assert names <= set(words(time_against_batch(exercise)))
    bare = exercise[~exercise["quantity"].isin(["steady_numpy", "steady_empty"])]
    assert not names & set(words(time_against_batch(bare)))


def test_a_harness_measured_at_one_batch_is_a_level(exercise):
    other = (exercise["quantity"] == "steady_empty") & (exercise["batch"] != 1)
    axes = time_against_batch(exercise[~other]).axes[1]
    (level,) = [line for line in axes.get_lines() if list(line.get_xdata()) == [0, 1]]
    floor = exercise[(exercise["quantity"] == "steady_empty") & (exercise["mode"] == "graph")]
    assert level.get_ydata()[0] == pytest.approx(floor["value"].iloc[0] * 1e6)


def test_the_zone_of_no_difference_spans_the_controls_processes(exercise):
    axes = speedup_against_batch(exercise).axes[0]
    (zone,) = axes.collections[:1]
    heights = zone.get_paths()[0].vertices[:, 1]
    control = exercise[
        (exercise["quantity"] == "ratio_tape_to_tape") & (exercise["mode"] == "eager")
    ]
    everything = [value for samples in control["samples"] for value in samples]
    assert heights.min() == pytest.approx(1 / max(everything))
    assert heights.max() == pytest.approx(1 / min(everything))
    bare = exercise[exercise["quantity"] != "ratio_tape_to_tape"]
    assert "tape against tape (A/A)" not in words(speedup_against_batch(bare))


def test_failed_cells_are_crosses_and_no_points(tmp_path):
    broken = {"gradient": "chain", "mode": "xla", "device": "CPU:0", "batch": 8}

    def fails(quantity, case):
        return None if broken.items() <= case.items() else model(quantity, case)

    frame = select(load_results(write_results(tmp_path, model=fails)), "exercise", "CPU:0")
    for draw in (time_against_batch, speedup_against_batch):
        figure = draw(frame)
        eager, graph, xla = figure.axes
        assert [len(crosses(axes)) for axes in (eager, graph, xla)] == [0, 0, 1]
        # In axes' height, not data: at the bottom whatever the times are.
        assert 0 < crosses(xla)[0].get_ydata()[0] < 0.2
        (chain,) = lines(xla, "#0072b2")
        assert len(chain.get_xdata()) == 5
        assert "failed" in words(figure)


def test_skipped_cells_are_not_drawn(complete):
    frame = load_results(complete)
    with pytest.raises(ValueError, match="nothing to draw"):
        time_against_batch(select(frame, "exercise", "GPU:0"))
    steps = select(frame, "exercise", "CPU:0").copy()
    xla = steps["mode"] == "xla"
    steps.loc[xla, "status"] = "skipped"
    assert len(time_against_batch(steps).axes) == 2


@pytest.mark.parametrize("draw", DRAW)
def test_a_run_in_which_all_failed_can_be_drawn(tmp_path, draw):
    def fails(quantity, case):
        return None if case.get("device") == "CPU:0" else model(quantity, case)

    frame = select(load_results(write_results(tmp_path, model=fails)), "wide", "CPU:0")
    text = words(draw(frame))
    assert "failed" in text
    assert "no point measured" in " ".join(text)


@pytest.mark.parametrize("draw", DRAW)
def test_one_process_and_one_batch_can_be_drawn(tmp_path, draw):
    one = functools.partial(model, processes=1)
    frame = select(load_results(write_results(tmp_path, model=one)), "wide", "CPU:0")
    frame = frame[(frame["batch"] == 64).fillna(True)]
    text = " ".join(words(draw(frame)))
    assert "1 process each" in text
    assert "95 %" not in text


def test_speedups_from_separate_processes_are_said_to_be(exercise):
    bare = exercise[exercise["quantity"] != "ratio_to_tape"]
    text = " ".join(words(speedup_against_batch(bare)))
    assert "36 of 36 points from separate processes" in text
    assert len(speedups(bare)) == 36


@pytest.mark.parametrize("draw", DRAW)
def test_runs_workloads_and_devices_are_not_mixed(tmp_path, complete, draw):
    frame = load_results(complete)
    with pytest.raises(ValueError, match="one workload, got exercise, wide"):
        draw(frame[frame["device"] == "CPU:0"])
    with pytest.raises(ValueError, match="one device, got CPU:0, GPU:0"):
        draw(frame[frame["workload"] == "wide"])
    write_results(tmp_path)
    write_machine(tmp_path, machine="server")
    with pytest.raises(ValueError, match="one run, got 2 runs"):
        draw(select(load_results(tmp_path), "wide", "CPU:0"))


def test_the_first_calls_trace_is_part_of_its_bar(exercise):
    axes = first_call(exercise).axes[0]
    hatched = [bar for bar in axes.patches if bar.get_hatch() and bar.get_height()]
    traces = exercise[(exercise["quantity"] == "first_trace") & (exercise["batch"] == 1)]
    expected = traces.loc[traces["status"] == "ok", "value"]
    assert sorted(bar.get_height() for bar in hatched) == pytest.approx(sorted(expected))
    assert "of it, tracing" in words(axes.figure)
