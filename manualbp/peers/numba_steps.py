"""The step as a scalar loop over the examples, compiled by numba, in one thread.

At batch 1 it is the floor: no call of a library, no dispatch, no pass over memory, and one call
from Python.  Nothing is allocated inside the loop over the examples.  It is written for three
layers, as the exercise's network has them.
"""

import math
from typing import Any

import numba
import numpy as np

from manualbp.measuring.problem import Problem
from manualbp.peers import Outputs, PeerStep, PeerTraining

ZERO, ONE = np.float32(0), np.float32(1)
"""Plain literals would make the loop compute in float64."""

# Sums may be taken in another order and products fused into them, which lets the compiler use
# vector instructions; what else numba's fastmath allows (that nothing is NaN) is left out.
compiled = numba.njit(fastmath={"reassoc", "contract"}, error_model="numpy")


def _add_up(
    inputs: Any, targets: Any,
    weights1: Any, bias1: Any, weights2: Any, bias2: Any, weights3: Any, bias3: Any,
    d_weights1: Any, d_bias1: Any, d_weights2: Any, d_bias2: Any, d_weights3: Any, d_bias3: Any,
    hidden1: Any, hidden2: Any, upstream2: Any,
) -> Any:  # fmt: skip
    """Add every example's share to the gradients, which start at 0; return the mean loss.

    ``hidden1``, ``hidden2`` (a layer's outputs) and ``upstream2`` (the derivative by the second
    layer's output) are room for one example.
    """
    fan_in, width1, width2 = weights1.shape[0], len(hidden1), len(hidden2)
    share = ONE / np.float32(len(inputs))
    total = ZERO
    for n in range(len(inputs)):
        for j in range(width1):
            hidden1[j] = bias1[j]
        for i in range(fan_in):
            x = inputs[n, i]
            for j in range(width1):
                hidden1[j] += x * weights1[i, j]
        for k in range(width2):
            hidden2[k] = bias2[k]
        for j in range(width1):
            h = hidden1[j] if hidden1[j] > ZERO else ZERO
            hidden1[j] = h
            for k in range(width2):
                hidden2[k] += h * weights2[j, k]
        logit = bias3[0]
        for k in range(width2):
            h = hidden2[k] if hidden2[k] > ZERO else ZERO
            hidden2[k] = h
            logit += h * weights3[k, 0]

        # exp(-|z|) cannot overflow; the loss is log(1 + exp(z)) - y z.
        target = targets[n, 0]
        decay = math.exp(-abs(logit))
        positive = logit if logit > ZERO else ZERO
        total += positive - target * logit + math.log1p(decay)
        prediction = (ONE if logit >= ZERO else decay) / (ONE + decay)

        upstream = (prediction - target) * share
        d_bias3[0] += upstream
        for k in range(width2):
            d_weights3[k, 0] += hidden2[k] * upstream
            upstream2[k] = upstream * weights3[k, 0] if hidden2[k] > ZERO else ZERO
            d_bias2[k] += upstream2[k]
        for j in range(width1):
            h = hidden1[j]
            if h > ZERO:
                upstream1 = ZERO
                for k in range(width2):
                    d_weights2[j, k] += h * upstream2[k]
                    upstream1 += weights2[j, k] * upstream2[k]
                d_bias1[j] += upstream1
                for i in range(fan_in):
                    d_weights1[i, j] += inputs[n, i] * upstream1
    return total * share


add_up = compiled(_add_up)


def _step(
    inputs: Any, targets: Any,
    weights1: Any, bias1: Any, weights2: Any, bias2: Any, weights3: Any, bias3: Any,
) -> Any:  # fmt: skip
    """Return the mean loss and new arrays with the six gradients."""
    d_weights1, d_bias1 = np.zeros_like(weights1), np.zeros_like(bias1)
    d_weights2, d_bias2 = np.zeros_like(weights2), np.zeros_like(bias2)
    d_weights3, d_bias3 = np.zeros_like(weights3), np.zeros_like(bias3)
    loss = add_up(
        inputs, targets,
        weights1, bias1, weights2, bias2, weights3, bias3,
        d_weights1, d_bias1, d_weights2, d_bias2, d_weights3, d_bias3,
        np.empty_like(bias1), np.empty_like(bias2), np.empty_like(bias2),
    )  # fmt: skip
    return loss, ((d_weights1, d_bias1), (d_weights2, d_bias2), (d_weights3, d_bias3))


def _descend(variable: Any, derivative: Any, learning_rate: Any) -> None:
    """Update a variable in place, and set its derivative to 0 for the next step."""
    values, slopes = variable.reshape(-1), derivative.reshape(-1)
    for i in range(len(values)):
        values[i] -= learning_rate * slopes[i]
        slopes[i] = ZERO


descend = compiled(_descend)


def _train(
    inputs: Any, targets: Any,
    weights1: Any, bias1: Any, weights2: Any, bias2: Any, weights3: Any, bias3: Any,
    steps: Any, learning_rate: Any,
) -> Any:  # fmt: skip
    """Take so many SGD steps in place; return the mean loss before the last one."""
    d_weights1, d_bias1 = np.zeros_like(weights1), np.zeros_like(bias1)
    d_weights2, d_bias2 = np.zeros_like(weights2), np.zeros_like(bias2)
    d_weights3, d_bias3 = np.zeros_like(weights3), np.zeros_like(bias3)
    hidden1, hidden2, upstream2 = np.empty_like(bias1), np.empty_like(bias2), np.empty_like(bias2)
    loss = ZERO
    for _ in range(steps):
        loss = add_up(
            inputs, targets,
            weights1, bias1, weights2, bias2, weights3, bias3,
            d_weights1, d_bias1, d_weights2, d_bias2, d_weights3, d_bias3,
            hidden1, hidden2, upstream2,
        )  # fmt: skip
        descend(weights1, d_weights1, learning_rate)
        descend(bias1, d_bias1, learning_rate)
        descend(weights2, d_weights2, learning_rate)
        descend(bias2, d_bias2, learning_rate)
        descend(weights3, d_weights3, learning_rate)
        descend(bias3, d_bias3, learning_rate)
    return loss


one_step, train = compiled(_step), compiled(_train)


def build(problem: Problem) -> PeerStep:
    """Build the step; ``ValueError`` is raised for a network that has not three layers."""
    inputs, targets, flat = arrays(problem)

    def step() -> Outputs:
        outputs: Outputs = one_step(inputs, targets, *flat)
        return outputs

    return PeerStep(step, step)


def build_sgd(problem: Problem, steps: int, learning_rate: float) -> PeerTraining:
    """Build the training call: the loop over the steps is in the compiled function as well."""
    inputs, targets, flat = arrays(problem)
    rate = np.float32(learning_rate)

    def call() -> Any:
        return train(inputs, targets, *flat, steps, rate)

    return PeerTraining(call, lambda: tuple(zip(flat[0::2], flat[1::2], strict=True)))


def arrays(problem: Problem) -> tuple[Any, Any, list[Any]]:
    """Return inputs, targets, and the variables in the order of the loop's arguments."""
    variables, (inputs, targets) = problem.arrays("float32")
    if len(variables) != 3:
        raise ValueError(f"the loop is written for three layers, got {len(variables)}")
    return inputs, targets, [array for pair in variables for array in pair]
