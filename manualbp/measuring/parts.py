"""Parts of a step, and steps in a loop: what is timed beside the whole step.

Each is built from a verified step of the same case, so that a wrong gradient has no part that is
timed either, and each is wrapped by the same code.
"""

from dataclasses import replace
from typing import Any

import tensorflow as tf

from manualbp.cases import BASELINE, Case
from manualbp.measuring import blas, oracle, reference
from manualbp.measuring.gradients import GRADIENTS
from manualbp.measuring.problem import make_problem
from manualbp.measuring.step import (
    Timed,
    build_step,
    forward_and_backward,
    make_case,
    own_variables,
    unpacked,
)

LEARNING_RATE = 0.01
"""Of the SGD steps: large enough that float32 shows a wrong gradient in the variables, small
enough that the loss stays finite over the 10^6 steps on one batch that a long run takes."""


def build_forward(gradient: str, mode: str, device: str, batch: int, network: str) -> Timed:
    """Build the forward pass alone; for ``tape`` it is recorded.  It returns the mean loss."""
    step = build_step(gradient, mode, device, batch, network)
    how, variables = GRADIENTS[gradient], own_variables(gradient, step.problem)

    def forward(inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss, _ = how.forward(variables, inputs, targets)
        return loss, loss

    timed = Timed(step.case, forward, step.problem)
    oracle.verify_loss(step.case, step.problem, timed())
    return timed


def build_backward(gradient: str, device: str, batch: int, network: str) -> Timed:
    """Build the eager backward pass alone, from forward data that is stored once.

    ``tape`` replays a persistent tape: a plain one serves a single backward pass.
    """
    step = build_step(gradient, "eager", device, batch, network)
    how, variables = GRADIENTS[gradient], own_variables(gradient, step.problem)
    with tf.device(step.device):
        loss, stored = (how.replay or how.forward)(
            variables, step.problem.inputs, step.problem.targets
        )

    def backward(inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
        gradients = how.backward(variables, stored, targets, batch)
        return tf.nest.flatten(gradients)[-1], gradients

    timed = Timed(step.case, backward, step.problem)
    gradients = unpacked(gradient, timed(), step.problem)
    oracle.verify(step.case, step.problem, loss, gradients)
    return timed


def build_empty(
    mode: str, device: str, batch: int, network: str, gradient: str = BASELINE
) -> Timed:
    """Build a step that computes nothing: it returns the variables as its gradients.

    What is left is the harness and, in a compiled mode, the call with a step's arguments,
    captured variables and outputs: the floor under every step.
    """
    case = make_case(network, gradient, mode, device, batch)
    problem = make_problem(network, batch, device)
    variables = GRADIENTS[gradient].layout.trainable(own_variables(gradient, problem))
    loss = tf.zeros(())

    def nothing(inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
        return loss, tf.nest.map_structure(lambda variable: variable.value(), variables)

    return Timed(case, nothing, problem)


def build_concrete(gradient: str, mode: str, device: str, batch: int, network: str) -> Timed:
    """Build a step of a compiled mode that is called through its ``ConcreteFunction``.

    A call of the ``tf.function`` looks at its arguments to find what it was traced for; this one
    was looked up once.
    """
    step = build_step(gradient, mode, device, batch, network)
    with tf.device(step.device):
        concrete = step.function.get_concrete_function(step.problem.inputs, step.problem.targets)
    # As in eager mode, the function is called as it is.
    return Timed(replace(step.case, mode="eager"), concrete, step.problem)


def build_control(batch: int, network: str) -> Any:
    """Build the control: the same step in plain NumPy, float32, verified like the others.

    Its products are computed in one thread from then on (:func:`blas.one_thread`).
    """
    blas.one_thread()
    problem = make_problem(network, batch)
    inputs, targets, variables = problem.arrays("float32")

    def step_in_numpy() -> tuple[float, reference.Arrays]:
        return reference.step(inputs, targets, variables)

    case = make_case(network, "tape", "eager", "CPU:0", batch)
    loss, gradients = step_in_numpy()
    oracle.verify(case, problem, loss, gradients)
    return step_in_numpy


def build_sgd(
    gradient: str, mode: str, device: str, batch: int, network: str, steps_per_call: int
) -> Timed:
    """Build a training call: ``steps_per_call`` plain SGD steps on one batch.

    In a compiled mode the steps are a loop inside the function, so that one call pays for all.
    A call returns the mean loss before its last update.
    """
    build_step(gradient, mode, device, batch, network)
    case = make_case(network, gradient, mode, device, batch)
    problem = make_problem(network, batch, device)
    variables = own_variables(gradient, problem)
    function = sgd_steps(case, variables, steps_per_call)
    timed = Timed(case, function, problem, steps_per_call=steps_per_call)
    timed()
    trained = unpacked(gradient, GRADIENTS[gradient].layout.trainable(variables), problem)
    oracle.verify_training(case, replace(problem, variables=trained), steps_per_call, LEARNING_RATE)
    return timed


def sgd_steps(case: Case, variables: Any, steps: int) -> Any:
    """Return a function of (inputs, targets) that updates the gradient's variables in place."""
    how = GRADIENTS[case.gradient]
    step = forward_and_backward(how, variables, case.batch)
    trainable = tf.nest.flatten(how.layout.trainable(variables))

    def update(inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        loss, gradients = step(inputs, targets)
        gradients = how.layout.of_parameters(gradients)
        for variable, derivative in zip(trainable, tf.nest.flatten(gradients), strict=True):
            variable.assign_sub(LEARNING_RATE * derivative)
        return loss

    def unrolled(inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for _ in range(steps):
            loss = update(inputs, targets)
        return loss, loss

    def compiled_loop(inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        _, loss = tf.while_loop(
            lambda done, loss: done < steps,
            lambda done, loss: (done + 1, update(inputs, targets)),
            (0, tf.zeros((), inputs.dtype)),
        )
        return loss, loss

    return unrolled if case.mode == "eager" or steps == 1 else compiled_loop
