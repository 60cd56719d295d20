"""Parts of a step, and steps in a loop: what is timed beside the whole step.

Each is built from a verified step of the same case, so that a wrong gradient has no part that is
timed either, and each is wrapped by the same code.
"""

from typing import Any

import tensorflow as tf

from manualbp.cases import Case
from manualbp.measuring import blas, oracle
from manualbp.measuring.problem import make_problem
from manualbp.measuring.step import (
    Function,
    Timed,
    build_step,
    check_case,
    problem_of,
    step_function,
)
from manualbp.workload import Gradient

LEARNING_RATE = 0.01
"""Of the SGD steps: large enough that float32 shows a wrong gradient in the variables, small
enough that the loss stays finite over the 10^6 steps on one batch that a long run takes."""


class NotSplitError(ValueError):
    """A gradient whose forward and backward pass are one function has no such parts."""


def build_forward(case: Case) -> Timed:
    """Build the forward pass alone; for ``tape`` it is recorded.  It returns the loss.

    ``NotSplitError`` is raised for a gradient that does both passes in one function.
    """
    step = build_step(case)
    gradient = require_split(step.gradient, case)

    def forward(*data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss, _ = gradient.forward(*data)
        return loss, loss

    timed = Timed(case, forward, step.problem)
    oracle.verify_loss(case, step.problem, timed())
    return timed


def build_backward(case: Case) -> Timed:
    """Build the eager backward pass alone, from forward data that is stored once.

    ``tape`` replays a persistent tape: a plain one serves a single backward pass.
    ``NotSplitError`` is raised as by :func:`build_forward`.
    """
    step = build_step(case)
    gradient = require_split(step.gradient, case)
    with tf.device(step.device):
        loss, stored = gradient.replayable(*step.data)

    def backward(*data: tf.Tensor) -> tuple[tf.Tensor, Any]:
        gradients = gradient.backward(stored, *data)
        return tf.nest.flatten(gradients)[-1], gradients

    timed = Timed(case, backward, step.problem)
    oracle.verify(case, step.problem, loss, gradient.as_written(timed()))
    return timed


def require_split(gradient: Gradient, case: Case) -> Gradient:
    """Return the gradient if its passes are apart, or raise ``NotSplitError``."""
    if not gradient.is_split:
        raise NotSplitError(f"{case}: both passes of {case.gradient} are one function")
    return gradient


def build_empty(case: Case) -> Timed:
    """Build a step that computes nothing: it returns the variables as its gradients.

    What is left is the harness and, in a compiled mode, the call with a step's arguments,
    captured variables and outputs: the floor under every step.
    """
    problem = problem_of(check_case(case))
    variables = problem.gradient(case.gradient).trainable
    loss = tf.zeros(())

    def nothing(*data: tf.Tensor) -> tuple[tf.Tensor, Any]:
        return loss, tf.nest.map_structure(lambda variable: variable.value(), variables)

    return Timed(case, nothing, problem)


def build_control(workload: str, batch: int) -> Any:
    """Build the control: the same step in plain NumPy, float32, verified like the others.

    It is the workload's ``reference``; its products are computed in one thread from then on
    (:func:`blas.one_thread`).  ``ValueError`` is raised for a workload without one.
    """
    blas.one_thread()
    problem = make_problem(workload, batch)
    reference = problem.workload.reference
    if reference is None:
        raise ValueError(f"workload {workload!r} has no NumPy reference to be its control")
    variables, data = problem.arrays("float32")

    def step_in_numpy() -> tuple[Any, Any]:
        return reference(variables, *data)

    oracle.verify(Case(workload, "numpy", "eager", "CPU:0", batch), problem, *step_in_numpy())
    return step_in_numpy


def build_sgd(case: Case, steps_per_call: int) -> Timed:
    """Build a training call: ``steps_per_call`` plain SGD steps on one batch.

    In a compiled mode the steps are a loop inside the function, so that one call pays for all.
    A call returns the loss before its last update.
    """
    start = build_step(case).problem
    problem = problem_of(case)
    gradient = problem.gradient(case.gradient)
    function = sgd_steps(gradient, steps_per_call, unrolled=case.mode == "eager")
    timed = Timed(case, function, problem, steps_per_call=steps_per_call)
    timed()
    trained = gradient.as_written(gradient.trainable)
    oracle.verify_training(case, start, trained, steps_per_call, LEARNING_RATE)
    return timed


def sgd_steps(gradient: Gradient, steps: int, *, unrolled: bool) -> Function:
    """Return a function of the data that updates the gradient's variables in place."""
    step = step_function(gradient)
    trainable = tf.nest.flatten(gradient.trainable)

    def update(*data: tf.Tensor) -> tf.Tensor:
        loss, gradients = step(*data)
        gradients = gradient.of_parameters(gradients)
        for variable, derivative in zip(trainable, tf.nest.flatten(gradients), strict=True):
            variable.assign_sub(LEARNING_RATE * derivative)
        return loss

    def one_by_one(*data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for _ in range(steps):
            loss = update(*data)
        return loss, loss

    def compiled_loop(*data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        _, loss = tf.while_loop(
            lambda done, loss: done < steps,
            lambda done, loss: (done + 1, update(*data)),
            (0, tf.zeros((), trainable[0].dtype)),
        )
        return loss, loss

    return one_by_one if unrolled or steps == 1 else compiled_loop
