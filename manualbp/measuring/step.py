"""A case becomes a step: built once, verified, called without arguments, waited for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from manualbp import workloads
from manualbp.cases import CALLS, MODES, Case, check_batch, check_name
from manualbp.measuring import oracle
from manualbp.measuring.problem import Problem, find_device, make_problem
from manualbp.workload import Gradient, Nest

Function = Callable[..., tuple[tf.Tensor, Any]]
"""Takes the data, returns a tensor to wait for and what the call returns."""


class Timed:
    """A function of a problem's data in a case's mode, callable without arguments.

    Every arm of every comparison is one of these, so that all are wrapped by the same code and
    take the same data.  A call returns when its outputs exist.

    ``steps_per_call`` is how many steps one call stands for.
    """

    def __init__(
        self, case: Case, function: Function, problem: Problem, *, steps_per_call: int = 1
    ) -> None:
        self.case = case
        self.problem = problem
        self.data = problem.data
        self.steps_per_call = steps_per_call
        self.device = find_device(case.device)
        if ":GPU:" in self.device:
            # On by default from Ampere on, with 10 bits of mantissa: not the float32 of the name.
            tf.config.experimental.enable_tensor_float_32_execution(False)
        self.function = in_mode(function, case.mode)
        self.called = self.function
        if case.call == "concrete" and case.mode != "eager":
            self.called = self.concrete()
        self._wait = waiter(self.device)

    def __call__(self) -> Any:
        """Do one call, wait for its outputs and return them."""
        with tf.device(self.device):
            last, outputs = self.called(*self.data)
            self._wait(last)
        return outputs

    def concrete(self) -> Any:
        """Trace the function without running it; return the ``ConcreteFunction``."""
        with tf.device(self.device):
            return self.function.get_concrete_function(*self.data)

    def trace(self) -> None:
        """Trace the function without running it; in eager mode there is nothing to trace."""
        if self.case.mode != "eager":
            self.concrete()

    @property
    def traces(self) -> int:
        """How often the function has been traced: never in eager mode, else once."""
        if self.case.mode == "eager":
            return 0
        return int(self.function.experimental_get_tracing_count())


class Step(Timed):
    """The whole step of a case: forward pass, loss and all gradients.

    Called without arguments it returns the gradients in the layout of its gradient;
    :meth:`gradients` always nests them as the workload does.
    """

    def __init__(self, case: Case, gradient: Gradient, problem: Problem) -> None:
        super().__init__(case, step_function(gradient), problem)
        self.gradient = gradient

    def gradients(self) -> Nest:
        """Do one call and return the gradients, nested as the workload's variables are."""
        return self.gradient.as_written(self())

    def verify(self) -> None:
        """Compare loss and gradients with the oracles, or raise ``VerificationError``."""
        oracle.verify(self.case, self.problem, *self._outputs())

    def verify_again(self) -> None:
        """Compare at other variables, then with other data too, or raise ``VerificationError``.

        A step takes no arguments, so that one that remembers what it has computed would be fast.
        This one is not what was measured unless it computes anew when its inputs change.
        """
        for number, other in enumerate(oracle.elsewhere(self.problem)):
            with self._at(other):
                try:
                    # The tape knows as much as the reference, and is faster.
                    oracle.verify(self.case, other, *self._outputs(), reference=False)
                except oracle.VerificationError as error:
                    changed = "its variables and data" if number else "its variables"
                    raise oracle.VerificationError(
                        f"{error}; it was right before {changed} changed, "
                        "so it does not compute everything in every call"
                    ) from error

    def _outputs(self) -> tuple[tf.Tensor, Nest]:
        with tf.device(self.device):
            loss, gradients = self.called(*self.data)
        return loss, self.gradient.as_written(gradients)

    @contextmanager
    def _at(self, other: Problem) -> Iterator[None]:
        """Put the step at another problem's variables and data, and back again."""
        mine = tf.nest.flatten(self.gradient.trainable)
        before = [variable.numpy() for variable in mine]
        fresh = tf.nest.flatten(other.gradient(self.case.gradient).trainable)
        try:
            self.data = other.data
            for variable, value in zip(mine, fresh, strict=True):
                variable.assign(value)
            yield
        finally:
            self.data = self.problem.data
            for variable, value in zip(mine, before, strict=True):
                variable.assign(value)


def step_function(gradient: Gradient) -> Function:
    """Return the function that a step executes: data to (loss, gradients)."""

    def loss_and_gradients(*data: tf.Tensor) -> tuple[tf.Tensor, Any]:
        loss, stored = gradient.forward(*data)
        return loss, gradient.backward(stored, *data)

    return loss_and_gradients


def in_mode(function: Function, mode: str) -> Any:
    """Wrap ``function`` for a mode: as it is, ``tf.function``, or ``tf.function`` with XLA."""
    if mode == "eager":
        return function
    return tf.function(function, jit_compile=mode == "xla", autograph=False)


def waiter(device: str) -> Callable[[tf.Tensor], Any]:
    """Return what waits until a device has computed a tensor.

    On a CPU a call returns only when its outputs exist, and reading a scalar (0.5 µs) waits for
    it anyway; ``sync_devices`` would add 9 µs to a step of 100.  On a GPU it synchronises.
    """
    if ":CPU:" in device:
        return lambda tensor: tensor.numpy()
    return lambda tensor: tf.test.experimental.sync_devices()


def check_case(case: Case) -> Case:
    """Return the case if all its names are known.

    Raises
    ------
    ValueError
        For an unknown workload, gradient, mode, device or call, naming those that exist, and for a
        batch below 1.
    TypeError
        For a batch that is no int.

    """
    check_name("gradient", case.gradient, workloads.find(case.workload).gradients)
    check_name("mode", case.mode, MODES)
    check_name("call", case.call, CALLS)
    check_batch(case.batch)
    find_device(case.device)
    return case


def problem_of(case: Case, dtype: str = "float32") -> Problem:
    """Make the variables and the data of a case."""
    return make_problem(case.workload, case.batch, case.device, dtype)


def build_step(
    case: Case,
    *,
    dtype: str = "float32",
    verify: bool = True,
    problem: Problem | None = None,
) -> Step:
    """Build the step of a case: forward pass, loss and all gradients.

    Parameters
    ----------
    case
        Its workload is one of ours (``manualbp.cases.shipped_workloads()``) or of a file that was
        loaded (``manualbp.workloads.load``); its device a logical device name, as ``CPU:0``.
    dtype
        float32 or float64.
    verify
        Compare loss and gradients with the oracles before returning.
    problem
        The case's variables and data (``make_problem``), where several steps are to share them;
        without it, the step has its own, of the same values.

    Returns
    -------
    Step
        Called without arguments it returns the gradients in the layout of the case's gradient;
        ``step.gradients()`` nests them as the workload does.

    Raises
    ------
    ValueError, TypeError
        For unknown names or a batch that is no positive int.
    VerificationError
        When a gradient is wrong, naming the case, the tensor, the index and both values.

    """
    check_case(case)
    problem = problem or problem_of(case, dtype)
    step = Step(case, problem.gradient(case.gradient), problem)
    if verify:
        step.verify()
    return step
