"""The step in JAX, differentiated by JAX and by hand, both compiled."""

from typing import Any

import jax
import jax.numpy as jnp

from manualbp.measuring.problem import Problem
from manualbp.peers import Outputs, PeerStep, PeerTraining


def mean_loss(variables: Any, inputs: Any, targets: Any) -> Any:
    """Compute the exercise's mean loss by the formula that the tape differentiates."""
    outputs = inputs
    for weights, bias in variables[:-1]:
        outputs = jax.nn.relu(outputs @ weights + bias)
    weights, bias = variables[-1]
    predictions = jax.nn.sigmoid(outputs @ weights + bias)
    loss = -targets * jnp.log(predictions) - (1 - targets) * jnp.log(1 - predictions)
    return jnp.mean(loss)


def loss_and_gradients(variables: Any, inputs: Any, targets: Any) -> Outputs:
    """Go back from p - y by hand, as the gradient ``fused`` does."""
    layer_inputs = [inputs]
    for weights, bias in variables[:-1]:
        layer_inputs.append(jax.nn.relu(layer_inputs[-1] @ weights + bias))
    weights, bias = variables[-1]
    error = jax.nn.sigmoid(layer_inputs[-1] @ weights + bias) - targets
    # With targets 0 or 1 the prediction's share of the right answer is 1 - |p - y|.
    loss = -jnp.mean(jnp.log(1 - jnp.abs(error)))
    upstream = error / len(inputs)
    gradients = []
    for (weights, _), layer_input in zip(reversed(variables), reversed(layer_inputs), strict=True):
        gradients.append((layer_input.T @ upstream, upstream.sum(axis=0)))
        upstream = jnp.where(layer_input > 0, upstream @ weights.T, 0)
    return loss, tuple(reversed(gradients))


def build(problem: Problem) -> PeerStep:
    """Build the step that JAX differentiates: ``jit(value_and_grad(mean_loss))``."""
    return compiled(jax.value_and_grad(mean_loss), problem)


def build_manual(problem: Problem) -> PeerStep:
    """Build the step with the backward pass by hand, under ``jit``."""
    return compiled(loss_and_gradients, problem)


def build_sgd(problem: Problem, steps: int, learning_rate: float) -> PeerTraining:
    """Build a training call: ``lax.fori_loop`` over so many steps, in one compiled function."""
    variables, inputs, targets = on_cpu(problem)
    differentiated = jax.value_and_grad(mean_loss)

    def train(variables: Any, inputs: Any, targets: Any) -> Any:
        def update(_: Any, state: Any) -> Any:
            variables, _ = state
            loss, gradients = differentiated(variables, inputs, targets)
            return jax.tree.map(lambda v, d: v - learning_rate * d, variables, gradients), loss

        return jax.lax.fori_loop(0, steps, update, (variables, jnp.zeros((), inputs.dtype)))

    function = jax.jit(train)

    def call() -> Any:
        nonlocal variables
        variables, loss = jax.block_until_ready(function(variables, inputs, targets))
        return loss

    return PeerTraining(call, lambda: variables)


def compiled(function: Any, problem: Problem) -> PeerStep:
    """Compile a function of variables, inputs and targets, and wait for what it returns."""
    arguments = on_cpu(problem)
    function = jax.jit(function)

    def step() -> Any:
        return jax.block_until_ready(function(*arguments))

    return PeerStep(step, step)


def on_cpu(problem: Problem) -> Any:
    """Copy a problem's variables, inputs and targets to JAX's CPU, where JAX then computes."""
    variables, (inputs, targets) = problem.arrays("float32")
    return jax.device_put((variables, inputs, targets), jax.devices("cpu")[0])
