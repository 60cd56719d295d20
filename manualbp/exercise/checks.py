"""Checks of what users pass in: each failure says what was expected and what came."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

FLOATS = (tf.float32, tf.float64)


def check_dtype(dtype: Any) -> tf.DType:
    """Return ``dtype`` as TensorFlow's, or raise ``ValueError`` unless it is float32 or float64."""
    try:
        found = tf.as_dtype(dtype)
    except TypeError:
        found = None
    if found not in FLOATS:
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    return found


def check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Return ``widths`` as a tuple, or raise when they make no network with one output."""
    widths = tuple(widths)
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int | np.integer):
            raise TypeError(f"widths must be whole numbers, got {width!r} in {widths}")
    if len(widths) < 2:
        raise ValueError(f"widths need at least an input and an output, got {widths}")
    if min(widths) < 1:
        raise ValueError(f"every width must be at least 1, got {widths}")
    if widths[-1] != 1:
        raise ValueError(f"the last width must be 1 (one probability), got {widths}")
    return tuple(int(width) for width in widths)


def as_floats(value: Any, name: str, dtype: tf.DType | None = None) -> Any:
    """Return ``value`` as a float tensor (a ``tf.Variable`` stays one) of ``dtype`` if given.

    Tensors must have that dtype already; NumPy arrays and lists of floats are converted.
    """
    if not tf.is_tensor(value):
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise ValueError(f"{name} must be an array of numbers, got {value!r}") from error
        if value.dtype.kind == "f":
            value = tf.convert_to_tensor(value, dtype)
    if value.dtype not in FLOATS:
        found = tf.as_dtype(value.dtype).name if value.dtype != object else "objects"
        raise TypeError(f"{name} must be float32 or float64, got {found}")
    if dtype is not None and value.dtype != dtype:
        raise TypeError(f"{name} must be {dtype.name} as the variables are, got {value.dtype.name}")
    return value


def check_variables(variables: Any) -> tuple[tuple[Any, Any], ...]:
    """Return the nested tuple of (weights, bias) pairs, or raise when they make no network."""
    try:
        pairs = [(weights, bias) for weights, bias in variables]
    except (TypeError, ValueError):
        raise ValueError(
            "variables must be a tuple of (weights, bias) pairs, one pair per layer"
        ) from None
    if not pairs:
        raise ValueError("variables must hold at least one (weights, bias) pair, got none")
    dtype = None
    checked: list[tuple[Any, Any]] = []
    for number, (weights, bias) in enumerate(pairs, start=1):
        weights = as_floats(weights, f"weights of layer {number}", dtype)
        dtype = tf.as_dtype(weights.dtype)
        bias = as_floats(bias, f"bias of layer {number}", dtype)
        if weights.shape.rank != 2:
            raise ValueError(
                f"weights of layer {number} must be (fan_in, fan_out), got shape {weights.shape}"
            )
        fan_in, fan_out = weights.shape
        if bias.shape not in ((fan_out,), (1, fan_out)):
            raise ValueError(
                f"bias of layer {number} must be ({fan_out},) or (1, {fan_out}) "
                f"beside weights {weights.shape}, got {bias.shape}"
            )
        if checked and checked[-1][0].shape[1] != fan_in:
            raise ValueError(
                f"layer {number} takes {fan_in} inputs, "
                f"but layer {number - 1} has {checked[-1][0].shape[1]} outputs"
            )
        checked.append((weights, bias))
    check_widths([*(weights.shape[0] for weights, _ in checked), checked[-1][0].shape[1]])
    return tuple(checked)


def check_inputs(inputs: Any, variables: Any) -> tf.Tensor:
    """Return ``inputs`` as a (batch, fan_in) tensor of the variables' dtype, or raise."""
    weights = variables[0][0]
    inputs = as_floats(inputs, "inputs", tf.as_dtype(weights.dtype))
    if not inputs.shape.is_compatible_with((None, weights.shape[0])):
        raise ValueError(
            f"inputs must be (batch, {weights.shape[0]}) for these variables, got {inputs.shape}"
        )
    if inputs.shape[0] == 0:
        raise ValueError("inputs must hold at least one example, got none")
    return inputs


def check_targets(targets: Any, like: tf.Tensor) -> tf.Tensor:
    """Return ``targets`` as a (batch, 1) tensor beside ``like``, or raise.

    A target that is neither 0 nor 1 is no label; a tensor without values (one that is being
    traced) cannot be checked for that.
    """
    targets = as_floats(targets, "targets", like.dtype)
    expected = (like.shape[0], 1)
    if not targets.shape.is_compatible_with(expected):
        raise ValueError(
            f"targets must be {expected} beside {like.shape[0]} examples, got {targets.shape}: "
            "another shape would be broadcast against the predictions"
        )
    if tf.executing_eagerly():
        values = targets.numpy()
        wrong = np.argwhere((values != 0) & (values != 1))
        if len(wrong):
            index = tuple(int(i) for i in wrong[0])
            raise ValueError(f"targets must be 0 or 1, got {values[index]!s} at {index}")
    return targets


def check_batch_size(batch_size: Any) -> int:
    """Return the divisor of the gradients, or raise unless it is a positive whole number."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer):
        raise TypeError(
            f"batch_size must be an int, got {type(batch_size).__name__} {batch_size!r}"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    return int(batch_size)


def check_forward_data(data: Any, variables: Any) -> tuple[tf.Tensor, ...]:
    """Return the forward pass's results, or raise when they are not those of these variables."""
    data = tuple(data)
    expected = 2 * len(variables) + 2
    if len(data) != expected:
        raise ValueError(
            f"data_from_forward must hold the {expected} results of compute_forward_pass "
            f"for {len(variables)} layers, got {len(data)}"
        )
    dtype = tf.as_dtype(variables[0][0].dtype)
    checked = tuple(
        as_floats(item, f"data_from_forward[{i}]", dtype) for i, item in enumerate(data)
    )
    batch = checked[-1].shape[0]
    if batch == 0:
        raise ValueError("data_from_forward must be of at least one example, got none")
    widths = [weights.shape[1] for weights, _ in reversed(variables)]
    shapes = [(batch, 1), *((batch, width) for width in widths for _ in range(2))]
    shapes.append((batch, variables[0][0].shape[0]))
    for i, (item, shape) in enumerate(zip(checked, shapes, strict=True)):
        if not item.shape.is_compatible_with(shape):
            raise ValueError(
                f"data_from_forward[{i}] must be {shape} for these variables, got {item.shape}"
            )
    return checked
