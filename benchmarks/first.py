"""The first call, in a process that has imported TensorFlow and made the data but no call."""

from manualbp.measuring.step import build_step

from .common import Suite, over, pretty


@over("network", "gradient", "mode", "device", "batch", network=["exercise"], batch=[64])
class Call(Suite):
    """All of it: tracing, compiling, running."""

    rounds = 2

    @pretty("First call: trace, compile and run")
    def first_call(self, network, gradient, mode, device, batch):
        step = build_step(gradient, mode, device, batch, network, verify=False)
        yield step
        step.verify()


@over(
    "network",
    "gradient",
    "mode",
    "device",
    "batch",
    network=["exercise"],
    mode=["graph", "xla"],
    batch=[64],
)
class Phases(Suite):
    """Tracing apart from the rest, which TensorFlow does in the first call after it."""

    rounds = 2

    @pretty("First call, tracing alone")
    def first_trace(self, network, gradient, mode, device, batch):
        step = build_step(gradient, mode, device, batch, network, verify=False)
        yield step.trace
        step.verify()

    @pretty("First call once traced: optimise or compile, and run")
    def first_execution(self, network, gradient, mode, device, batch):
        step = build_step(gradient, mode, device, batch, network, verify=False)
        step.trace()
        yield step
        step.verify()
