"""What a run measures next, on cells and values that a test makes up."""

import itertools
import math

import numpy as np
import pytest

from manualbp.reading.intervals import estimate
from manualbp.running.cells import Cell, Outcome
from manualbp.running.plan import PRECISE, TRIES, Plan, is_answer, processes_needed

CASE = ("workload", "gradient", "mode", "device", "batch")


def cell(benchmark, *values, rounds=5, process="timing", names=CASE):
    parameters = tuple(map(repr, values))
    index = hash((benchmark, parameters))
    return Cell(benchmark, index, names[: len(values)], parameters, rounds, process)


def ratio(gradient="fused", mode="xla", batch=1, workload="exercise"):
    return cell("ratios.Step.ratio_to_tape", workload, gradient, mode, "CPU:0", batch)


def step(gradient="fused", mode="xla", batch=1):
    return cell("steps.Step.steady_step", "exercise", gradient, mode, "CPU:0", batch, rounds=3)


def first(gradient="fused"):
    return cell("first.Call.first_call", "exercise", gradient, rounds=2, process="")


class Machine:
    """Measures what the plan asks for: each cell gets the next value of its own."""

    def __init__(self, cells, outcome=lambda cell, number: Outcome("ok", value=1.0), **options):
        self.values = {one: [] for one in cells}
        self.tries = dict.fromkeys(cells, 0)
        self.outcome = outcome
        self.rounds = []
        self.plan = Plan(cells, self.values.__getitem__, **options)

    def run(self, rounds=math.inf):
        for number, groups in enumerate(self.plan.rounds(), start=1):
            self.rounds.append(groups)
            for group in groups:
                outcomes = {}
                for one in group:
                    self.tries[one] += 1
                    outcomes[one] = self.outcome(one, self.tries[one])
                    if outcomes[one].status == "ok":
                        self.values[one].append(outcomes[one].value)
                self.plan.record(outcomes)
            if number >= rounds:
                break
        return self


def test_the_answer_comes_first_then_everything_once_then_the_rest():
    cells = [first(), step(), ratio("chain"), ratio("fused")]
    machine = Machine(cells).run()
    answer = {one for one in cells if is_answer(one)}
    assert len(answer) == 2
    for groups in machine.rounds[:5]:
        assert {one for group in groups for one in group} == answer
    assert {one for group in machine.rounds[5] for one in group} == set(cells) - answer
    # What is left is what each cell still wants: values that all agree need no more.
    assert {one: len(values) for one, values in machine.values.items()} == {
        one: one.rounds for one in cells
    }


def test_cells_of_one_case_but_for_the_gradient_share_a_process():
    cells = [ratio(g, m, b) for g, m, b in itertools.product("ab", ("eager", "xla"), (1, 8))]
    (groups, *_) = Machine(cells).run(1).rounds
    assert len(groups) == 4
    for group in groups:
        assert len({(one.parameters[2], one.parameters[4]) for one in group}) == 1
    alone = Machine([first("a"), first("b")]).run(1).rounds[0]
    assert [len(group) for group in alone] == [1, 1]


def test_what_an_earlier_run_has_stored_counts():
    machine = Machine([ratio()])
    machine.values[ratio()] += [1.0, 1.0, 1.0]
    assert len(machine.run().rounds) == 2


def test_a_further_run_measures_again_what_needs_no_more():
    machine = Machine([ratio()])
    machine.values[ratio()] += [1.0] * 5
    assert len(machine.run().rounds) == 1


def test_with_missing_only_what_an_earlier_run_lacks_is_measured():
    cells = [ratio("a"), ratio("b"), step()]
    whole, torn = Machine(cells, missing=True), Machine(cells, missing=True)
    for one in cells:
        whole.values[one] += [1.0, 1.5] * one.rounds  # wide intervals, which are not narrowed
    assert whole.run().rounds == []
    torn.values[ratio("a")] += [1.0] * 5
    torn.values[ratio("b")] += [1.0] * 3
    torn.run()
    assert {one: torn.tries[one] for one in cells} == {
        ratio("a"): 0,
        ratio("b"): 2,
        step(): step().rounds,
    }


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_cell_that_failed_or_was_skipped_is_not_tried_again(status):
    machine = Machine([ratio("a"), ratio("b")], lambda one, number: Outcome(status, one.benchmark))
    machine.run()
    assert set(machine.tries.values()) <= {1, 2}  # together, and then each alone


def test_a_process_that_fails_whole_is_tried_cell_by_cell():
    bad, good = ratio("bad"), ratio("good")

    def outcome(one, number):
        together = number == 1
        return (
            Outcome("failed", "killed by SIGSEGV")
            if together or one is bad
            else Outcome("ok", value=1.0)
        )

    machine = Machine([bad, good], outcome).run()
    assert len(machine.values[good]) == 5
    assert machine.tries[bad] == 2


def test_discarded_values_are_tried_again_but_take_not_all_of_the_time():
    busy, other = ratio("a"), step()
    machine = Machine(
        [busy, other],
        lambda one, number: Outcome("disturbed" if one is busy else "ok", value=1.0),
    )
    machine.run(rounds=40)
    answer = [groups for groups in machine.rounds if (busy,) in groups or busy in groups[0]]
    assert machine.values[other]  # the rest was measured
    first_of_other = next(n for n, groups in enumerate(machine.rounds) if other in groups[0])
    assert first_of_other <= TRIES * busy.rounds + 1
    assert len(answer) > first_of_other  # and then it is tried again


def test_intervals_that_contain_1_and_wide_ones_come_first():
    random = np.random.default_rng(0)
    spread = {"level": (1.0, 0.02), "wide": (0.5, 0.1), "narrow": (0.5, 0.02)}
    cells = [ratio(name, batch=batch) for batch, name in enumerate(("narrow", "wide", "level"))]

    def outcome(one, number):
        middle, deviation = spread[one.parameters[1].strip("'")]
        return Outcome("ok", value=middle * math.exp(deviation * random.normal()))

    machine = Machine(cells, outcome).run(rounds=6)
    assert [group[0].parameters[1].strip("'") for group in machine.rounds[5]] == [
        "level",
        "wide",
        "narrow",
    ]


def test_it_ends_when_every_interval_is_narrow_enough():
    random = np.random.default_rng(1)
    machine = Machine(
        [ratio()], lambda one, number: Outcome("ok", value=math.exp(0.03 * random.normal()))
    ).run()
    known = estimate(machine.values[ratio()])
    assert math.log(known.high / known.low) / 2 <= math.log1p(PRECISE)
    assert len(machine.values[ratio()]) > 10
    assert machine.plan.seconds_left() == 0


def test_a_quick_look_narrows_nothing():
    random = np.random.default_rng(1)
    machine = Machine(
        [ratio()],
        lambda one, number: Outcome("ok", value=math.exp(0.1 * random.normal())),
        narrow=False,
    ).run()
    assert len(machine.values[ratio()]) == 5


def test_the_processes_needed_follow_from_the_interval():
    values = list(np.exp(0.03 * np.random.default_rng(2).normal(size=8)))
    more = processes_needed(ratio(), values)
    assert more > 0
    known = estimate(values)
    width = math.log(known.high / known.low) / 2 * math.sqrt(8 / (8 + more))
    assert width <= math.log1p(PRECISE)
    assert processes_needed(ratio(), [1.0] * 5) == 0
    assert processes_needed(ratio(), [1.0]) == 4
    assert processes_needed(step(), [1.0, 2.0, 3.0]) == 0  # a time has no such aim


def test_the_time_left_is_that_of_the_processes_left():
    cells = [ratio("a"), ratio("b"), first()]
    machine = Machine(cells, lambda one, number: Outcome("ok", value=1.0, seconds=2.0))
    lefts = []
    for number, groups in enumerate(machine.plan.rounds()):
        for group in groups:
            machine.plan.record({one: Outcome("ok", value=1.0, seconds=2.0) for one in group})
            for one in group:
                machine.values[one].append(1.0)
        if number:
            lefts.append(machine.plan.seconds_left())
    # Five processes of two cells, then two of one: 24 s, of which two rounds are over.
    assert lefts[0] == pytest.approx(4 * 3 + 2 * 2)
    assert lefts == sorted(lefts, reverse=True)
    assert lefts[-1] == 0
