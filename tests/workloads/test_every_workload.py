"""What holds for every workload that ships: its gradients are right, and wrong ones are refused."""

import importlib
import inspect
from functools import cache

import pytest
from agreement import off_by_a_thousandth

from manualbp import Case, build_step, workloads
from manualbp.cases import BASELINE, MODES, describe_workload, shipped_workloads
from manualbp.measuring import differences, oracle
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.problem import make_problem

OURS = [name for name in shipped_workloads() if name not in ("exercise", "wide")]
"""The exercise and the wide network, whose formulas are the exercise's, have tests of their own."""


@cache
def problem(name):
    """The workload at its smallest batch, its oracles asked once."""
    made = make_problem(name, min(workloads.find(name).batches))
    oracle.expected(made)
    return made


def case_of(name, gradient, mode="eager"):
    return Case(name, gradient, mode, "CPU:0", problem(name).batch)


def module_of(name):
    return importlib.import_module(f"manualbp.workloads.{name.replace('-', '_')}")


def formulas(name):
    """The local formulas of a workload: functions of its module that end in ``_vjp``."""
    found = inspect.getmembers(module_of(name), inspect.isfunction)
    return [function for function, _ in found if function.endswith("_vjp")]


def refused_gradients(name, mode):
    """The gradients of a workload that do not pass."""
    refused = []
    for gradient in workloads.find(name).gradients:
        step = build_step(case_of(name, gradient, mode), problem=problem(name), verify=False)
        try:
            step.verify()
        except VerificationError:
            refused.append(gradient)
    return refused


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", OURS)
def test_every_gradient_is_right_and_still_so_elsewhere(name, mode):
    for gradient in workloads.find(name).gradients:
        step = build_step(case_of(name, gradient, mode), problem=problem(name))
        step.verify_again()


@pytest.mark.parametrize("name", OURS)
def test_every_gradient_agrees_with_central_differences(name):
    small = make_problem(name, min(workloads.find(name).batches), dtype="float64")
    for gradient in workloads.find(name).gradients:
        case = case_of(name, gradient)
        step = build_step(case, dtype="float64", problem=small)
        errors = differences.difference_errors(small, step.gradients(), entries=2)
        oracle.require(case, "the central difference", errors)


@pytest.mark.parametrize(
    ("name", "formula"), [(name, formula) for name in OURS for formula in formulas(name)]
)
def test_a_formula_wrong_by_a_thousandth_is_refused(name, formula, monkeypatch):
    assert oracle.expected(problem(name)).notes == []  # asked while everything is right
    monkeypatch.setattr(
        module_of(name), formula, off_by_a_thousandth(getattr(module_of(name), formula))
    )
    refused = refused_gradients(name, "eager")
    assert refused
    assert BASELINE not in refused


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("name", [name for name in OURS if formulas(name)])
def test_a_compiled_formula_wrong_by_a_thousandth_is_refused(name, mode, monkeypatch):
    formula = formulas(name)[-1]
    problem(name)
    monkeypatch.setattr(
        module_of(name), formula, off_by_a_thousandth(getattr(module_of(name), formula))
    )
    assert refused_gradients(name, mode)


@pytest.mark.parametrize("name", shipped_workloads())
def test_a_workload_is_one_file_of_at_most_150_lines_that_says_what_it_is(name):
    assert len(inspect.getsource(module_of(name)).splitlines()) <= 150
    assert describe_workload(name)
    assert workloads.find(name).name == name
    assert len(workloads.find(name).gradients) > 1
