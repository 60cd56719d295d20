"""Steady times: the whole step, its parts, and the yardsticks beside it."""

from manualbp.cases import BASELINE, Case
from manualbp.measuring import parts
from manualbp.measuring.suite import Suite, over, pretty, step

from .parameters import CASES, cases


class Steps(Suite):
    """What the steady times share."""

    process = "timing"


@over(**CASES)
class Step(Steps):
    """Forward pass, loss and all gradients."""

    rounds = 3

    @pretty("Step: forward pass and all gradients")
    def steady_step(self, *names):
        return step(Case(*names))


@over(**{**CASES, "batch": [1, 32768]})
class Forward(Steps):
    """The forward pass alone, recorded where the gradient is the tape's."""

    @pretty("Forward pass alone")
    def steady_forward(self, *names):
        return parts.build_forward(Case(*names))


@over(**cases("workload", "gradient", "device", "batch", batch=[1, 512, 32768]))
class Backward(Steps):
    """The backward pass alone, in eager mode, the only one where it can be separated."""

    @pretty("Backward pass alone (eager)")
    def steady_backward(self, workload, gradient, device, batch):
        return parts.build_backward(Case(workload, gradient, "eager", device, batch))


@over(**{**CASES, "batch": [1]}, steps_per_call=[1, 100])
class Training(Steps):
    """Plain SGD; the time is that of one step, however many a call does."""

    @pretty("SGD step")
    def steady_sgd(self, *names_and_steps):
        *names, steps_per_call = names_and_steps
        return parts.build_sgd(Case(*names), steps_per_call)


@over(**cases("workload", "batch"))
class Control(Steps):
    """The step in plain NumPy: no change of TensorFlow moves it."""

    version = "2"  # of 2: NumPy computes in one thread
    rounds = 3

    @pretty("Control: the step in NumPy")
    def steady_numpy(self, workload, batch):
        return parts.build_control(workload, batch)


@over(**cases("workload", "mode", "device", "batch", batch=[1]))
class Harness(Steps):
    """A step that computes nothing: what the harness and the call cost."""

    @pretty("Harness: an empty step")
    def steady_empty(self, workload, *names):
        return parts.build_empty(Case(workload, BASELINE, *names))
