"""Steady times: the whole step, its parts, and the yardsticks beside it."""

from manualbp.measuring import parts

from .common import EVERY, Suite, over, pretty, step


class Steps(Suite):
    """What the steady times share."""

    process = "timing"


@over("network", "gradient", "mode", "device", "batch", gradient=EVERY)
class Step(Steps):
    """Forward pass, mean loss and all gradients."""

    rounds = 3

    @pretty("Step: forward pass and all gradients")
    def steady_step(self, network, gradient, mode, device, batch):
        return step(gradient, mode, device, batch, network)


@over("network", "gradient", "mode", "device", "batch", network=["exercise"], batch=[1, 32768])
class Forward(Steps):
    """The forward pass alone, recorded where the gradient is the tape's."""

    @pretty("Forward pass alone")
    def steady_forward(self, network, gradient, mode, device, batch):
        return parts.build_forward(gradient, mode, device, batch, network)


@over("network", "gradient", "device", "batch", network=["exercise"], batch=[1, 512, 32768])
class Backward(Steps):
    """The backward pass alone, in eager mode, the only one where it can be separated."""

    @pretty("Backward pass alone (eager)")
    def steady_backward(self, network, gradient, device, batch):
        return parts.build_backward(gradient, device, batch, network)


@over(
    "network",
    "gradient",
    "mode",
    "device",
    "batch",
    "steps_per_call",
    network=["exercise"],
    batch=[1],
    steps_per_call=[1, 100],
)
class Training(Steps):
    """Plain SGD; the time is that of one step, however many a call does."""

    @pretty("SGD step")
    def steady_sgd(self, network, gradient, mode, device, batch, steps_per_call):
        return parts.build_sgd(gradient, mode, device, batch, network, steps_per_call)


@over("network", "batch")
class Control(Steps):
    """The step in plain NumPy: no change of TensorFlow moves it."""

    version = "2"  # of 2: NumPy computes in one thread
    rounds = 3

    @pretty("Control: the step in NumPy")
    def steady_numpy(self, network, batch):
        return parts.build_control(batch, network)


@over("network", "mode", "device", "batch", network=["exercise"], batch=[1])
class Harness(Steps):
    """A step that computes nothing: what the harness and the call cost."""

    @pretty("Harness: an empty step")
    def steady_empty(self, network, mode, device, batch):
        return parts.build_empty(mode, device, batch, network)
