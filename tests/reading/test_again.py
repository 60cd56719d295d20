"""The command that measures a cell again selects that cell, by asv's own matching, and no other."""

import itertools
import re
import shlex
from types import SimpleNamespace

import pytest
from asv.benchmarks import Benchmarks
from asvfiles import SUITE, parameters, write_results

from manualbp.cli import main
from manualbp.reading.again import bench_of, gate_command, run_command, together
from manualbp.reading.frame import load_results

OTHERS = {
    "other.track_size": [
        ["1", "10", "-1"],
        ["'a'", "'a, b'", "'a b'", "'(a|b)'", "'.*'", '"it\'s"'],
    ],
    "other.track_size_more": [["1", "10"], ["'a'"]],
    "other.Xtrack_size": [],
    "other.track_alone": [],
    "other.track_alone_too": [],
}


def suite():
    """Every benchmark with the reprs of its parameters, as asv discovers them."""
    ours = {
        f"{place}.{quantity}": [[repr(v) for v in values] for values in parameters(quantity, names)]
        for place in ("ratios.Step", "ratios.StepToo")
        for quantity, (_, _, names) in SUITE.items()
    }
    found = {**ours, **OTHERS}
    return [{"name": name, "params": params} for name, params in found.items()]


def selected(regex):
    """The cells that asv would measure."""
    chosen = Benchmarks(SimpleNamespace(benchmark_dir=""), suite(), regex=[regex])
    cells = set()
    for name, benchmark in chosen.items():
        combinations = list(itertools.product(*benchmark["params"]))
        indices = chosen.benchmark_selection[name]
        cells |= {(name, combinations[index]) for index in indices or range(len(combinations))}
    return cells


def every_cell():
    return [
        (benchmark["name"], combination)
        for benchmark in suite()
        for combination in itertools.product(*benchmark["params"])
    ]


def test_each_cell_is_selected_alone():
    texts = {
        f"{name}({', '.join(values)})" if values else name: (name, values)
        for name, values in every_cell()
    }
    assert len(texts) > 500
    for cell in texts.values():
        regex = bench_of(*cell)
        # asv's own rule in one line, for asv itself takes long over so many.
        assert [other for text, other in texts.items() if re.search(regex, text)] == [cell]


@pytest.mark.parametrize(
    "cell",
    [
        ("ratios.Step.ratio_to_tape", ("'exercise'", "'fused'", "'eager'", "'CPU:0'", "1")),
        *((name, v) for name, params in OTHERS.items() for v in itertools.product(*params)),
    ],
)
def test_asv_selects_the_cell_that_a_shell_is_told(cell):
    for command in (run_command(bench_of(*cell)), gate_command("a", "b", bench_of(*cell))):
        words = shlex.split(command)
        assert selected(words[words.index("--bench") + 1]) == {cell}


def test_the_command_can_be_read_and_copied():
    cell = ("ratios.Step.ratio_to_tape", ("'exercise'", "'fused'", "'eager'", "'CPU:0'", "1"))
    bench = bench_of(*cell)
    assert run_command(bench) == (
        "manualbp run --bench "
        r"'^ratios\.Step\.ratio_to_tape\(.exercise., .fused., .eager., .CPU:0., 1\)$'"
    )
    assert gate_command("1a2b3c4d", "5e6f7a8b", bench, 20) == (
        "manualbp gate 1a2b3c4d 5e6f7a8b --bench "
        r"'^ratios\.Step\.ratio_to_tape\(.exercise., .fused., .eager., .CPU:0., 1\)$' "
        "--processes 20"
    )


def case(gradient, batch, name="ratios.Step.ratio_to_tape"):
    return name, ("'exercise'", f"'{gradient}'", "'eager'", "'CPU:0'", str(batch))


def test_all_combinations_of_some_values_are_one_command():
    cells = [case(gradient, batch) for gradient in ("chain", "fused") for batch in (1, 8, 64)]
    (regex,) = together([bench_of(*cell) for cell in cells])
    assert selected(regex) == set(cells)


def test_cells_that_are_not_all_combinations_stay_apart():
    cells = [case("chain", 1), case("chain", 8), case("fused", 1)]
    benches = [bench_of(*cell) for cell in cells]
    assert together(benches) == benches
    assert together([]) == []


def test_cells_of_two_benchmarks_stay_apart():
    cells = [case("chain", 1), case("chain", 8), case("chain", 1, "ratios.StepToo.ratio_to_tape")]
    cells += [("other.track_alone", ())]
    regexes = together([bench_of(*cell) for cell in cells])
    assert len(regexes) == 3
    assert set().union(*map(selected, regexes)) == set(cells)


def test_every_stored_cell_has_its_expression(tmp_path, capsys):
    write_results(tmp_path)
    frame = load_results(tmp_path)
    assert frame["bench"].is_unique
    one = frame[(frame["quantity"] == "ratio_to_tape") & (frame["batch"] == 8)].iloc[0]
    name = f"{one['benchmark']}('exercise', '{one['gradient']}', '{one['mode']}', "
    assert re.fullmatch(one["bench"], f"{name}'{one['device']}', 8)")
    assert main(["export", str(tmp_path)]) == 0
    assert "bench" in capsys.readouterr().out.splitlines()[0].split(",")
