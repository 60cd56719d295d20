"""``manualbp show``: the matrix in a terminal and in a pipe."""

import io
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from asvfiles import SKIP, SUITE, model, write_machine, write_results
from rich.console import Console

from manualbp.cli import main
from manualbp.cli import show as command
from manualbp.reading.frame import latest_run, load_results
from manualbp.reading.panels import panels
from manualbp.reading.speedups import speedups

ROOT = Path(__file__).parents[2]
RATIOS = {"ratio_to_tape": SUITE["ratio_to_tape"]}


def of_every_kind(quantity, case):
    """A ratio of each kind by batch, chain only; fused was tried at the ends alone."""
    if case["device"] == "GPU:0" or case["workload"] != "exercise" or case["mode"] != "eager":
        return SKIP
    if case["gradient"] == "fused":
        return [1.0, 1.1] if case["batch"] in (1, 32768) else SKIP
    return {1: [0.5, 0.51], 8: [2.0, 2.02], 64: [0.9, 1.1], 512: [0.5], 4096: None}.get(
        case["batch"], SKIP
    )


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "results", suite=RATIOS, model=of_every_kind)


def rows(out, title):
    """The lines of the panel with a title, each split into its cells."""
    panel = out.split(f"{title}\n", 1)[1].split("\n\n", 1)[0]
    lines = [line for line in panel.splitlines() if not line.startswith("the fastest of each")]
    return [re.split(r" {2,}", line.strip()) for line in lines]


def test_each_kind_of_cell_has_its_own_text(results, capsys):
    assert main(["show", str(results)]) == 0
    out = capsys.readouterr().out
    batches, chain, fused = rows(out, "exercise, eager, CPU:0")
    assert batches == ["batch", "1", "8", "64", "512", "4096", "32768"]
    assert chain == ["chain", "1.98 +", "0.50 -", "1.01 ~", "2.00 ?", "failed", "skipped"]
    assert fused == ["fused", "0.95 ~", *["skipped"] * 4, "0.95 ~"]
    for line in ("+ faster", "- slower", "~ no difference shown", "? one process",
                 "failed: an error", "skipped: not chosen"):  # fmt: skip
        assert f"\n{line}" in out
    assert "laptop, An imagined CPU @ 2.50GHz, TensorFlow 2.21.0, Python 3.11\n" in out
    assert "measured 2025-10-09 08:53 UTC" in out
    assert "1 failed and" in out


def test_the_numbers_are_the_tables(complete, capsys):
    assert main(["show", str(complete)]) == 0
    out = capsys.readouterr().out
    cells = speedups(load_results(complete))
    cells = cells[cells["device"] == "CPU:0"].set_index(["workload", "mode", "gradient", "batch"])
    seen = 0
    for workload in ("exercise", "wide"):
        for mode in ("eager", "graph", "xla"):
            (_, *batches), *lines = rows(out, f"{workload}, {mode}, CPU:0")
            for gradient, *texts in lines:
                for batch, text in zip(batches, texts, strict=True):
                    known = cells.loc[(workload, mode, gradient, int(batch))]
                    mark = "+" if known["low"] > 1 else "-" if known["high"] < 1 else "~"
                    assert text == f"{known['speedup']:.2f} {mark}"
                    seen += 1
    assert seen == len(cells)
    assert "GPU:0," not in out  # only in the count of skipped cells


def test_the_fastest_of_each_batch_is_summed_up(complete, capsys):
    assert main(["show", str(complete), "--workload", "exercise", "--mode", "eager"]) == 0
    said = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("the fastest of")
    )
    cells = speedups(load_results(complete))
    here = cells[(cells["workload"] == "exercise") & (cells["device"] == "CPU:0")]
    best = here[here["mode"] == "eager"].groupby("batch")["speedup"].max()
    mean = math.exp(np.log(best).mean())
    assert f"{mean:.2f} in the geometric mean, or {1 / mean:.2f} of the tape's time" in said
    assert f"least {best.min():.2f} at batch {best.idxmin()} (fused)" in said


def test_names_choose_panels(complete, capsys):
    def titles(*arguments):
        assert main(["show", str(complete), *arguments]) == 0
        return re.findall(r"^(\w+), (\w+), (\S+)$", capsys.readouterr().out, flags=re.M)

    modes = ("eager", "graph", "xla")
    assert titles("--workload", "wide") == [("wide", mode, "CPU:0") for mode in modes]
    assert titles("--mode", "xla", "--mode", "eager", "--workload", "wide") == [
        ("wide", "eager", "CPU:0"),
        ("wide", "xla", "CPU:0"),
    ]
    # What was skipped everywhere is shown to who asks for it.
    assert titles("--device", "GPU:0", "--mode", "xla") == [
        ("exercise", "xla", "GPU:0"),
        ("wide", "xla", "GPU:0"),
    ]


def test_machine_and_commit_choose_the_run(tmp_path, capsys):
    write_results(tmp_path, suite=RATIOS, model=of_every_kind)
    write_machine(tmp_path, machine="server", commit="feed" * 10, suite=RATIOS, model=of_every_kind)
    for chosen, machine in ((["--machine", "laptop"], "laptop"), (["--commit", "feed"], "server")):
        assert main(["show", str(tmp_path), *chosen]) == 0
        assert capsys.readouterr().out.startswith(f"{machine}, ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workload", "deep"], "no results of workload 'deep'; there are exercise"),
        (["--mode", "jit"], "no results of mode 'jit'; there are eager, graph, xla"),
        (["--device", "TPU:0"], "no results of device 'TPU:0'; there are CPU:0, GPU:0"),
        (["--machine", "desk"], "no results of machine 'desk'; there are laptop"),
        (["--commit", "beef"], "no results of a commit beginning with 'beef'"),
    ],
)
@pytest.mark.parametrize("style", ["terminal", "markdown"])
def test_names_that_are_not_there_get_one_line(results, arguments, message, style, capsys):
    assert main(["show", str(results), "--format", style, *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith(f"manualbp: {message}")


def test_nothing_but_skipped_cells_says_so(tmp_path, capsys):
    write_results(tmp_path, suite=RATIOS, model=lambda quantity, case: SKIP)
    assert main(["show", str(tmp_path)]) == 0
    assert "every cell was skipped" in capsys.readouterr().out


def test_times_of_separate_processes_are_marked(tmp_path, capsys):
    suite = {"steady_step": SUITE["steady_step"]}
    assert main(["show", str(write_results(tmp_path, suite=suite))]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^fused +\d\.\d\d \+\*", out, flags=re.M)
    assert "* from times of separate processes" in out


# ---------------------------------------------------------------- terminals


def drawn(results, **options):
    stream = io.StringIO()
    console = Console(file=stream, highlight=False, markup=False, emoji=False, **options)
    frame = latest_run(load_results(results))
    command.show(console, frame, panels(frame))
    return stream.getvalue()


def test_a_terminal_has_colours_and_the_same_text(results, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    options = {"force_terminal": True, "color_system": "standard", "width": 100}
    coloured, plain = drawn(results, **options), drawn(results, force_terminal=False)
    for style, text in (("1;36", r"1\.98 \+"), ("1;31", r"0\.50 -"), ("7", "failed")):
        assert re.search(rf"\x1b\[{style}m *{text}", coloured)
    assert "\x1b" not in plain
    uncoloured = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert [line.rstrip() for line in uncoloured.splitlines()] == plain.splitlines()


def test_no_color_is_obeyed(results, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in drawn(results, force_terminal=True, width=100)


def test_a_narrow_terminal_cuts_no_number(results, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert drawn(results, force_terminal=True, width=20) == drawn(results, force_terminal=False)


# ---------------------------------------------------------------- all reading commands


@pytest.mark.parametrize(
    "arguments",
    [["export"], ["export", "-o", "table.csv"], ["show"], ["show", "--format=markdown"]],
)
def test_empty_missing_and_foreign_folders_get_one_line(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "package.json").write_text('{"name": "foreign"}')
    for folder, message in (
        ("missing", "found no such path"),
        ("empty", "expected asv result files"),
        ("foreign", "expected an asv result file, but it lacks"),
    ):
        assert main([arguments[0], folder, *arguments[1:]]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        assert captured.err.startswith(f"manualbp: {folder}")
        assert message in captured.err
    assert not (tmp_path / "table.csv").exists()


def test_warnings_are_lines_for_a_person(tmp_path, capsys):
    extra = {"other.time_x": [[1.0], [["1"]]]}
    write_results(tmp_path, suite=RATIOS, model=of_every_kind, extra=extra)
    code = f"from manualbp.cli import main; main(['show', {str(tmp_path)!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.startswith(f"manualbp: {tmp_path}: no benchmarks.json names the parameters")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    def cells(quantity, case):
        found = model(quantity, case, 50)  # more than a pipe holds
        return SKIP if isinstance(found, float) and math.isnan(found) else found

    write_results(tmp_path, suite=RATIOS, model=cells)
    export = [sys.executable, "-m", "manualbp", "export", str(tmp_path)]
    shell = f"{shlex.join(export)} | head -n 1"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("machine,cpu,")
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device on this system")
def test_an_output_that_is_full_is_one_line(tmp_path):
    write_results(tmp_path, suite=RATIOS)
    export = [sys.executable, "-m", "manualbp", "export", str(tmp_path)]
    shell = f"{shlex.join(export)} > /dev/full"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == "manualbp: No space left on device\n"


@pytest.mark.parametrize("command", ["export", "show"])
def test_an_output_that_is_closed_is_no_error(command, tmp_path):
    write_results(tmp_path, suite=RATIOS)
    shell = f"{shlex.join([sys.executable, '-m', 'manualbp', command, str(tmp_path)])} >&-"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
