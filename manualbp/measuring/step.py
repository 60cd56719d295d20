"""A case becomes a step: built once, verified, called without arguments, waited for."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from manualbp.cases import MODES, NETWORKS, Case, check_batch, check_name
from manualbp.measuring import oracle
from manualbp.measuring.gradients import GRADIENTS, Gradient
from manualbp.measuring.network import Variables
from manualbp.measuring.problem import Problem, find_device, make_problem

Function = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, Any]]
"""Takes inputs and targets, returns a tensor to wait for and what the call returns."""


class Timed:
    """A function of (inputs, targets) in one mode on one device, callable without arguments.

    Every arm of every comparison is one of these, so that all are wrapped by the same code and
    take the same inputs.  A call returns when its outputs exist.

    ``steps_per_call`` is how many steps one call stands for.
    """

    def __init__(
        self, case: Case, function: Function, problem: Problem, *, steps_per_call: int = 1
    ) -> None:
        self.case = case
        self.problem = problem
        self.steps_per_call = steps_per_call
        self.device = find_device(case.device)
        if ":GPU:" in self.device:
            # On by default from Ampere on, with 10 bits of mantissa: not the float32 of the name.
            tf.config.experimental.enable_tensor_float_32_execution(False)
        self.function = in_mode(function, case.mode)
        self._wait = waiter(self.device)

    def __call__(self) -> Any:
        """Do one call, wait for its outputs and return them."""
        with tf.device(self.device):
            last, outputs = self.function(self.problem.inputs, self.problem.targets)
            self._wait(last)
        return outputs

    def trace(self) -> None:
        """Trace the function without running it; in eager mode there is nothing to trace."""
        if self.case.mode != "eager":
            with tf.device(self.device):
                self.function.get_concrete_function(self.problem.inputs, self.problem.targets)

    @property
    def traces(self) -> int:
        """How often the function has been traced: never in eager mode, else once."""
        if self.case.mode == "eager":
            return 0
        return int(self.function.experimental_get_tracing_count())


class Step(Timed):
    """The whole step of a case: forward pass, mean loss and all gradients.

    Called without arguments it returns the gradients in the layout of its gradient, which for
    most is the exercise's; :meth:`gradients` always nests them as the exercise does.
    """

    def gradients(self) -> Variables:
        """Do one call and return the gradients, nested as the exercise's variables are."""
        return unpacked(self.case.gradient, self(), self.problem)

    def verify(self) -> None:
        """Compare loss and gradients with the oracles, or raise ``VerificationError``."""
        with tf.device(self.device):
            loss, gradients = self.function(self.problem.inputs, self.problem.targets)
        gradients = unpacked(self.case.gradient, gradients, self.problem)
        oracle.verify(self.case, self.problem, loss, gradients)


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


def make_case(network: str, gradient: str, mode: str, device: str, batch: int) -> Case:
    """Make a case of known names.

    Raises
    ------
    ValueError
        For an unknown network, gradient, mode or device, naming those that exist, and for a
        batch below 1.
    TypeError
        For a batch that is no int.

    """
    check_name("network", network, NETWORKS)
    check_name("gradient", gradient, GRADIENTS)
    check_name("mode", mode, MODES)
    check_batch(batch)
    find_device(device)
    return Case(network, gradient, mode, device, batch)


def own_variables(gradient: str, problem: Problem) -> Any:
    """Make the variables that a gradient works on from the problem's, on the same device."""
    with tf.device(problem.inputs.device):
        return GRADIENTS[gradient].layout.pack(problem.variables)


def unpacked(gradient: str, nested: Any, problem: Problem) -> Variables:
    """Nest as the exercise does what is nested as ``gradient`` returns it."""
    return GRADIENTS[gradient].layout.unpack(nested, problem.variables)


def forward_and_backward(how: Gradient, variables: Any, batch: int) -> Function:
    """Return the function that a step executes: (inputs, targets) to (mean loss, gradients).

    ``variables`` are in the layout of the gradient (:func:`own_variables`).
    """

    def loss_and_gradients(inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
        loss, stored = how.forward(variables, inputs, targets)
        return loss, how.backward(variables, stored, targets, batch)

    return loss_and_gradients


def build_step(
    gradient: str,
    mode: str,
    device: str = "CPU:0",
    batch: int = 1,
    network: str = "exercise",
    *,
    dtype: str = "float32",
    verify: bool = True,
    problem: Problem | None = None,
) -> Step:
    """Build the step of one case: forward pass, mean loss and all gradients.

    Parameters
    ----------
    gradient, mode, network
        One of ``manualbp.GRADIENTS``, ``MODES`` and ``NETWORKS``.
    device
        A logical device name, as ``CPU:0``.
    batch
        The number of examples.
    dtype
        float32 or float64.
    verify
        Compare the gradients with the tape and the float64 reference before returning.
    problem
        The case's variables and data (``make_problem``), where several steps are to share them;
        without it, the step has its own, of the same values.

    Returns
    -------
    Step
        Called without arguments it returns the gradients in the layout of ``gradient``;
        ``step.gradients()`` nests them as the exercise does.

    Raises
    ------
    ValueError, TypeError
        For unknown names or a batch that is none.
    VerificationError
        When a gradient is wrong, naming the case, the tensor, the index and both values.

    """
    case = make_case(network, gradient, mode, device, batch)
    problem = problem or make_problem(network, batch, device, dtype)
    variables = own_variables(gradient, problem)
    step = Step(case, forward_and_backward(GRADIENTS[gradient], variables, batch), problem)
    if verify:
        step.verify()
    return step
