"""The exercise's own check, made element-wise, and what its text promises."""

import numpy as np
import pytest
import tensorflow as tf

import manualbp
from manualbp import compute_forward_pass, compute_gradients, make_variables
from manualbp.measuring.oracle import flatten


def tape_gradients(x, y, variables, *, mean):
    with tf.GradientTape() as tape:
        tape.watch(variables)
        loss = compute_forward_pass(x, y, variables)[0]
        if mean:
            loss = tf.reduce_mean(loss)
    return tape.gradient(loss, variables)


def assert_bitwise_equal(got, expected):
    for a, b in zip(flatten(got), flatten(expected), strict=True):
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()


def test_the_exercises_test_cell_holds_for_all_six_tensors():
    variables = make_variables()
    x = tf.constant([[0.3, 0.9]])
    y = tf.constant([[1.0]])

    data_from_forward = compute_forward_pass(x, y, variables)
    your_solution_gradients = compute_gradients(variables, data_from_forward, y, batch_size=1)

    with tf.GradientTape() as tape:
        tape.watch(variables)
        data_from_forward = compute_forward_pass(x, y, variables)
        loss = data_from_forward[0]
    gradients = tape.gradient(loss, variables)

    assert len(flatten(your_solution_gradients)) == 6
    assert_bitwise_equal(your_solution_gradients, gradients)


@pytest.mark.parametrize("batch", [1, 7, 1024, 32768])
@pytest.mark.parametrize("mean", [False, True])
def test_the_chain_rule_is_bitwise_the_eager_tape(batch, mean, variables, batch_of):
    x, y = batch_of(batch)
    data = compute_forward_pass(x, y, variables)
    gradients = compute_gradients(variables, data, y, batch_size=batch if mean else 1)
    assert_bitwise_equal(gradients, tape_gradients(x, y, variables, mean=mean))


@pytest.mark.parametrize("batch", [1, 7, 1024, 32768])
@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("xla", [False, True])
def test_compiled_the_chain_rule_is_within_the_measured_tolerance(batch, mean, xla):
    from manualbp.measuring import oracle
    from manualbp.measuring.problem import make_problem

    problem = make_problem("exercise", batch)

    @tf.function(jit_compile=xla)
    def manual(x, y):
        data = compute_forward_pass(x, y, problem.variables)
        return compute_gradients(problem.variables, data, y, batch_size=batch if mean else 1)

    expected = flatten(tape_gradients(*problem.data, problem.variables, mean=mean))
    tolerances = [2 * tolerance for tolerance in oracle.expected(problem).tolerances]
    scales = [np.abs(gradient).max() for gradient in expected]
    got = manual(*problem.data)
    errors = oracle.compare(problem.names(), got, expected, scales, tolerances)
    assert [error for error in errors if not error.ok] == []


def test_the_forward_pass_returns_the_results_in_the_exercises_order(variables, batch_of):
    x, y = batch_of(5)
    loss, out3, layer3, out2, layer2, out1, layer1, inputs = compute_forward_pass(x, y, variables)
    (w1, b1), (w2, b2), (w3, b3) = variables
    np.testing.assert_allclose(layer1, x @ w1 + b1, rtol=1e-6)
    np.testing.assert_array_equal(out1, np.maximum(layer1, 0))
    np.testing.assert_allclose(layer2, out1 @ w2 + b2, rtol=1e-6)
    np.testing.assert_array_equal(out2, np.maximum(layer2, 0))
    np.testing.assert_allclose(layer3, out2 @ w3 + b3, rtol=1e-6)
    np.testing.assert_allclose(out3, 1 / (1 + np.exp(-layer3.numpy())), rtol=1e-5)
    np.testing.assert_allclose(loss, -y * np.log(out3) - (1 - y) * np.log(1 - out3), rtol=1e-5)
    np.testing.assert_array_equal(inputs, x)


def test_batch_size_divides_every_gradient(variables, batch_of):
    x, y = batch_of(8)
    data = compute_forward_pass(x, y, variables)
    total = flatten(compute_gradients(variables, data, y, batch_size=1))
    mean = flatten(compute_gradients(variables, data, y, batch_size=8))
    for a, b in zip(total, mean, strict=True):
        np.testing.assert_array_equal(a / 8, b)


def test_gradients_are_nested_and_shaped_as_the_variables(batch_of):
    x, y = batch_of(3)
    variables = tuple(
        (tf.convert_to_tensor(w), tf.reshape(b, (1, -1))) for w, b in make_variables()
    )
    data = compute_forward_pass(x, y, variables)
    gradients = compute_gradients(variables, data, y, batch_size=3)
    assert isinstance(gradients, tuple)
    for pair, d_pair in zip(variables, gradients, strict=True):
        assert [v.shape for v in pair] == [d.shape for d in d_pair]
    assert_bitwise_equal(gradients, tape_gradients(x, y, variables, mean=True))


def test_relus_derivative_at_zero_is_zero():
    # A network whose hidden layer is exactly 0: nothing may flow through it.
    variables = ((tf.zeros((2, 3)), tf.zeros(3)), (tf.ones((3, 1)), tf.zeros(1)))
    data = compute_forward_pass([[1.0, 2.0]], [[1.0]], variables)
    (d_w1, d_b1), (d_w2, d_b2) = compute_gradients(variables, data, [[1.0]])
    np.testing.assert_array_equal(d_w1, np.zeros((2, 3)))
    np.testing.assert_array_equal(d_b1, np.zeros(3))
    np.testing.assert_array_equal(d_w2, np.zeros((3, 1)))
    np.testing.assert_array_equal(d_b2, [-0.5])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("widths", [(3, 1), (2, 12, 32, 1), (4, 5, 6, 7, 1)])
def test_any_depth_dtype_and_kind_of_input(dtype, widths):
    variables = make_variables(widths, seed=3, dtype=dtype)
    x = np.linspace(-1, 1, 4 * widths[0]).reshape(4, widths[0])
    y = [[0.0], [1.0], [1.0], [0.0]]
    from_arrays = compute_forward_pass(x, y, variables)
    from_lists = compute_forward_pass(x.tolist(), np.array(y), variables)
    assert len(from_arrays) == 2 * len(widths)
    assert {item.dtype.name for item in from_arrays} == {dtype}
    for a, b in zip(from_arrays, from_lists, strict=True):
        np.testing.assert_array_equal(a, b)
    gradients = compute_gradients(variables, from_arrays, y, batch_size=4)
    assert_bitwise_equal(gradients, tape_gradients(x, y, variables, mean=True))


def test_variables_are_reproducible():
    a, b, c = (flatten(make_variables(seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0], c[0])
    assert [x.shape for x in a] == [(2, 12), (12,), (12, 32), (32,), (32, 1), (1,)]
    assert all(isinstance(v, tf.Variable) for pair in make_variables() for v in pair)


def test_the_names_are_listed():
    assert list(manualbp.MODES) == ["eager", "graph", "xla"]
    assert set(manualbp.__all__) <= set(dir(manualbp))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = manualbp.nonsense
