"""The oracles agree with each other, and they bite."""

import inspect
from itertools import product

import numpy as np
import pytest
import tensorflow as tf

from manualbp import Case, build_step, workloads
from manualbp.cases import MODES
from manualbp.exercise import derivatives, reference
from manualbp.measuring import differences, kept, oracle
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.problem import KINK_MARGIN, make_problem
from manualbp.measuring.step import problem_of

EXERCISE = workloads.find("exercise")
NETWORKS = ["exercise", "wide"]

WRONG = 1.001
"""0.1 %: what a check must see to be worth having."""

LOCAL_DERIVATIVES = [
    name for name, _ in inspect.getmembers(derivatives, inspect.isfunction) if name.endswith("_vjp")
]


def scaled(function):
    return lambda *args, **kwargs: function(*args, **kwargs) * WRONG


def case_of(gradient, mode="eager", batch=64, workload="exercise"):
    return Case(workload, gradient, mode, "CPU:0", batch)


def test_there_are_six_local_derivatives():
    assert len(LOCAL_DERIVATIVES) == 6


@pytest.mark.parametrize("network", NETWORKS)
def test_the_reference_agrees_with_central_differences(network):
    problem = make_problem(network, 8, dtype="float64")
    variables, data = problem.arrays("float64")
    _, gradients = reference.step(variables, *data)
    errors = differences.difference_errors(problem, gradients, entries=16)
    assert max(error.relative for error in errors) < 1e-8


@pytest.mark.parametrize("gradient", EXERCISE.gradients)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [1, 7, 64, 4096])
def test_every_gradient_is_right_in_every_mode(gradient, mode, batch):
    step = build_step(case_of(gradient, mode, batch))  # raises if it is not
    assert all(np.isfinite(g).all() for g in oracle.flatten(step.gradients()))


@pytest.mark.parametrize("gradient", workloads.find("wide").gradients)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_gradient_is_right_on_the_wide_network(gradient, mode, dtype):
    build_step(case_of(gradient, mode, 16, "wide"), dtype=dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [64, 32768])
@pytest.mark.parametrize("name", LOCAL_DERIVATIVES)
def test_a_local_derivative_wrong_by_a_thousandth_is_refused(name, mode, batch, monkeypatch):
    monkeypatch.setattr(derivatives, name, scaled(getattr(derivatives, name)))
    with pytest.raises(VerificationError, match=rf"exercise/chain/{mode}/CPU:0/{batch}: "):
        build_step(case_of("chain", mode, batch), problem=known_problem(batch))


_problems = {}


def known_problem(batch):
    """One problem for each batch, whose oracles are asked once."""
    if batch not in _problems:
        _problems[batch] = make_problem("exercise", batch)
        oracle.expected(_problems[batch])
    return _problems[batch]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "operation",
    ["Sub", "Mul", "Sum", "ReluGrad", "MatMul", "Sigmoid", "Relu", "Log", "Mean", "BiasAdd"],
)
def test_an_operation_of_fused_wrong_by_a_thousandth_is_refused(operation, mode, monkeypatch):
    problem = known_problem(64)
    monkeypatch.setattr(tf.raw_ops, operation, scaled(getattr(tf.raw_ops, operation)))
    with pytest.raises(VerificationError, match=f"exercise/fused/{mode}"):
        build_step(case_of("fused", mode), problem=problem)


# The comparison knows no modes: in all of them for one gradient.
@pytest.mark.parametrize(
    ("gradient", "mode"),
    [*((name, "eager") for name in EXERCISE.gradients), *product(["fused"], MODES[1:])],
)
@pytest.mark.parametrize("tensor", range(6))
def test_a_tensor_wrong_by_a_thousandth_is_refused_by_name(tensor, gradient, mode):
    problem = known_problem(64)
    step = build_step(case_of(gradient, mode), problem=problem, verify=False)
    right = step.gradient.as_written

    def as_written(nested):
        flat = tf.nest.flatten(right(nested))
        flat[tensor] = flat[tensor] * WRONG
        return tuple(zip(flat[0::2], flat[1::2], strict=True))

    step.gradient.as_written = as_written
    with pytest.raises(VerificationError, match=f"the gradient of {problem.names()[tensor]} at "):
        step.verify()


def tape_of(problem):
    loss, gradients = oracle.tape_gradients(problem)
    return loss, [[np.array(item) for item in pair] for pair in gradients]


def test_a_mismatch_names_case_tensor_index_and_both_values():
    problem = make_problem("exercise", 4)
    loss, arrays = tape_of(problem)
    right = arrays[1][0][3, 17]
    arrays[1][0][3, 17] += 1.0
    with pytest.raises(VerificationError) as caught:
        oracle.verify(case_of("chain", batch=4), problem, loss, arrays)
    message = str(caught.value)
    assert "exercise/chain/eager/CPU:0/4" in message
    assert "weights of layer 2 at (3, 17)" in message
    assert f"is {arrays[1][0][3, 17]:.9g}, " in message
    assert f"has {right:.5g}"[:-1] in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_never_within_tolerance(value):
    problem = make_problem("exercise", 4)
    loss, arrays = tape_of(problem)
    right = tape_of(problem)[1]
    arrays[2][1][0] = value
    with pytest.raises(VerificationError, match="bias of layer 3"):
        oracle.verify(case_of("chain", batch=4), problem, loss, arrays)
    with pytest.raises(VerificationError, match=r"the loss is nan"):
        oracle.verify(case_of("chain", batch=4), problem, tf.constant(np.nan), right)


def test_gradients_of_another_shape_number_or_none_are_refused():
    problem = make_problem("exercise", 4)
    loss, gradients = tape_of(problem)
    case = case_of("chain", batch=4)
    transposed = [[gradients[0][0].T, gradients[0][1]], *gradients[1:]]
    with pytest.raises(VerificationError, match=r"chain.*weights of layer 1 has shape"):
        oracle.verify(case, problem, loss, transposed)
    with pytest.raises(VerificationError, match="there are 4 gradients of 6 variables"):
        oracle.verify(case, problem, loss, gradients[1:])
    with pytest.raises(VerificationError, match="the gradient of bias of layer 1 is None"):
        oracle.verify(case, problem, loss, [[gradients[0][0], None], *gradients[1:]])
    with pytest.raises(VerificationError, match=r"the loss has shape \(1,\)"):
        oracle.verify(case, problem, tf.reshape(loss, (1,)), gradients)


@pytest.mark.parametrize("network", NETWORKS)
def test_tolerances_are_sharp_at_every_batch_of_the_suite(network):
    for batch in workloads.find(network).batches:
        known = oracle.expected(make_problem(network, batch))
        assert max(known.tolerances) < (WRONG - 1) / 2
        assert known.notes == []


@pytest.mark.parametrize("network", NETWORKS)
def test_no_relu_of_a_problem_stands_near_its_kink(network):
    variables, (inputs, _) = make_problem(network, 512).arrays("float64")
    for layer in reference.layer_outs(variables, inputs)[:-1]:
        assert np.abs(layer).min() > KINK_MARGIN


def test_problems_are_the_same_for_every_caller():
    a, b = (make_problem("exercise", 16).data for _ in range(2))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)
    assert 0 < np.mean(a[1]) < 1


def test_the_oracles_are_asked_again_when_a_variable_has_changed():
    problem = problem_of(case_of("tape", batch=4))
    before = oracle.expected(problem)
    assert oracle.expected(problem) is before
    problem.variables[0][1].assign_add([1.0] * 12)
    assert oracle.expected(problem).loss != before.loss


def test_what_the_oracles_said_is_recalled_for_the_same_values_alone(tmp_path, monkeypatch):
    case = case_of("tape", batch=4)
    monkeypatch.setattr(kept, "folder", tmp_path)
    asked = oracle.expected(problem_of(case))
    assert len(list(tmp_path.iterdir())) == 1

    def ask(*_):
        raise AssertionError("asked again")

    monkeypatch.setattr(oracle, "_ask", ask)
    same = problem_of(case)
    known = oracle.expected(same)
    assert (known.loss, known.scales, known.tolerances) == (
        *(asked.loss, asked.scales, asked.tolerances),
    )
    for one, other in zip(known.gradients + known.tape, asked.gradients + asked.tape, strict=True):
        np.testing.assert_array_equal(one, other)
    same.variables[0][1].assign_add([1e-6] * 12)
    with pytest.raises(AssertionError, match="asked again"):
        oracle.expected(same)
