"""The first call, in a process that has imported TensorFlow and made the data but no call."""

from manualbp.cases import Case
from manualbp.measuring.step import build_step
from manualbp.measuring.suite import Suite, over, pretty

from .parameters import CASES


@over(**{**CASES, "batch": [64]})
class Call(Suite):
    """All of it: tracing, compiling, running."""

    rounds = 2

    @pretty("First call: trace, compile and run")
    def first_call(self, *names):
        step = build_step(Case(*names), verify=False)
        yield step
        step.verify()


@over(**{**CASES, "mode": ["graph", "xla"], "batch": [64]})
class Phases(Suite):
    """Tracing apart from the rest, which TensorFlow does in the first call after it."""

    rounds = 2

    @pretty("First call, tracing alone")
    def first_trace(self, *names):
        step = build_step(Case(*names), verify=False)
        yield step.trace
        step.verify()

    @pretty("First call once traced: optimise or compile, and run")
    def first_execution(self, *names):
        step = build_step(Case(*names), verify=False)
        step.trace()
        yield step
        step.verify()
