"""The oracles agree with each other, and they bite."""

import inspect
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import tensorflow as tf

from manualbp.cases import MODES, NETWORKS, is_measured
from manualbp.measuring import derivatives, oracle, reference
from manualbp.measuring.gradients import GRADIENTS
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.problem import KINK_MARGIN, make_problem
from manualbp.measuring.step import build_step, make_case

WRONG = 1.001
"""0.1 %: what a check must see to be worth having."""

LOCAL_DERIVATIVES = [
    name for name, _ in inspect.getmembers(derivatives, inspect.isfunction) if name.endswith("_vjp")
]


def scaled(function):
    return lambda *args, **kwargs: function(*args, **kwargs) * WRONG


def test_there_are_six_local_derivatives():
    assert len(LOCAL_DERIVATIVES) == 6


@pytest.mark.parametrize("network", NETWORKS)
def test_the_reference_agrees_with_central_differences(network):
    problem = make_problem(network, 8, dtype="float64")
    _, gradients = reference.step(*problem.arrays("float64"))
    errors = oracle.difference_errors(problem, gradients, entries=16)
    assert max(error.relative for error in errors) < 1e-8


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [1, 7, 64, 4096])
def test_every_gradient_is_right_in_every_mode(gradient, mode, batch):
    step = build_step(gradient, mode, "CPU:0", batch)  # raises if it is not
    assert all(np.isfinite(g).all() for g in oracle.flatten(step.gradients()))


@pytest.mark.parametrize("gradient", [name for name in GRADIENTS if is_measured("wide", name)])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_gradient_is_right_on_the_wide_network(gradient, mode, dtype):
    build_step(gradient, mode, "CPU:0", 16, "wide", dtype=dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [64, 32768])
@pytest.mark.parametrize("name", LOCAL_DERIVATIVES)
def test_a_local_derivative_wrong_by_a_thousandth_is_refused(name, mode, batch, monkeypatch):
    monkeypatch.setattr(derivatives, name, scaled(getattr(derivatives, name)))
    with pytest.raises(VerificationError, match=rf"exercise/chain/{mode}/CPU:0/{batch}: "):
        build_step("chain", mode, "CPU:0", batch)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "operation",
    ["Sub", "Mul", "Sum", "ReluGrad", "MatMul", "Sigmoid", "Relu", "Log", "Mean", "BiasAdd"],
)
def test_an_operation_of_fused_wrong_by_a_thousandth_is_refused(operation, mode, monkeypatch):
    monkeypatch.setattr(tf.raw_ops, operation, scaled(getattr(tf.raw_ops, operation)))
    with pytest.raises(VerificationError, match=f"exercise/fused/{mode}"):
        build_step("fused", mode, "CPU:0", 64)


# The comparison knows no modes: in all of them for one gradient.
@pytest.mark.parametrize(
    ("gradient", "mode"), [*((name, "eager") for name in GRADIENTS), *product(["fused"], MODES[1:])]
)
@pytest.mark.parametrize("tensor", range(6))
def test_a_tensor_wrong_by_a_thousandth_is_refused_by_name(tensor, gradient, mode, monkeypatch):
    right = GRADIENTS[gradient]

    def unpack(nested, variables):
        flat = tf.nest.flatten(right.layout.unpack(nested, variables))
        flat[tensor] = flat[tensor] * WRONG
        return tuple(zip(flat[0::2], flat[1::2], strict=True))

    layout = replace(right.layout, unpack=unpack)
    monkeypatch.setitem(GRADIENTS, gradient, replace(right, layout=layout))
    name = oracle.tensor_names(3)[tensor]
    with pytest.raises(VerificationError, match=f"the gradient of {name} at "):
        build_step(gradient, mode, "CPU:0", 64)


def test_a_mismatch_names_case_tensor_index_and_both_values():
    case = make_case("exercise", "chain", "eager", "CPU:0", 4)
    problem = make_problem("exercise", 4)
    loss, gradients = oracle.tape_gradients(problem)
    arrays = [[np.array(item) for item in pair] for pair in gradients]
    arrays[1][0][3, 17] += 1.0
    right, wrong = np.array(gradients[1][0])[3, 17], arrays[1][0][3, 17]
    with pytest.raises(VerificationError) as caught:
        oracle.verify(case, problem, loss, arrays)
    message = str(caught.value)
    assert "exercise/chain/eager/CPU:0/4" in message
    assert "weights of layer 2 at (3, 17)" in message
    assert f"is {wrong:.9g}, " in message
    assert f"has {right:.5g}"[:-1] in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_never_within_tolerance(value):
    case = make_case("exercise", "chain", "eager", "CPU:0", 4)
    problem = make_problem("exercise", 4)
    loss, gradients = oracle.tape_gradients(problem)
    arrays = [[np.array(item) for item in pair] for pair in gradients]
    arrays[2][1][0] = value
    with pytest.raises(VerificationError, match="bias of layer 3"):
        oracle.verify(case, problem, loss, arrays)
    with pytest.raises(VerificationError, match=r"mean loss is nan.*rounded to 0 or 1"):
        oracle.verify(case, problem, tf.constant(np.nan), gradients)


def test_a_gradient_of_the_wrong_shape_is_refused():
    case = make_case("exercise", "chain", "eager", "CPU:0", 4)
    problem = make_problem("exercise", 4)
    loss, gradients = oracle.tape_gradients(problem)
    transposed = ((tf.transpose(gradients[0][0]), gradients[0][1]), *gradients[1:])
    with pytest.raises(VerificationError, match="weights of layer 1 has shape"):
        oracle.verify(case, problem, loss, transposed)


@pytest.mark.parametrize("network", NETWORKS)
def test_tolerances_are_sharp_at_every_batch_of_the_suite(network):
    for batch in NETWORKS[network].batches:
        tolerances = oracle.tolerances(make_problem(network, batch))
        assert max(tolerances) < (WRONG - 1) / 2


@pytest.mark.parametrize("network", NETWORKS)
def test_no_relu_of_a_problem_stands_near_its_kink(network):
    inputs, _, variables = make_problem(network, 512).arrays("float64")
    for layer in reference.layer_outs(inputs, variables)[:-1]:
        assert np.abs(layer).min() > KINK_MARGIN


def test_problems_are_the_same_for_every_caller():
    a, b = (make_problem("exercise", 16) for _ in range(2))
    np.testing.assert_array_equal(a.inputs, b.inputs)
    np.testing.assert_array_equal(a.targets, b.targets)
    assert 0 < np.mean(a.targets) < 1
