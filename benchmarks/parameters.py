"""The exercise's parameters, the same on every machine so that histories match."""

from manualbp import workloads
from manualbp.cases import BASELINE, DEVICES, EXERCISE, MODES

EVERY = list(workloads.find(EXERCISE).gradients)
MANUAL = [name for name in EVERY if name != BASELINE]
BATCHES = list(workloads.find(EXERCISE).batches)

CASES = {
    "workload": [EXERCISE],
    "gradient": EVERY,
    "mode": list(MODES),
    "device": list(DEVICES),
    "batch": BATCHES,
}
"""Every case of the exercise; a class takes of it what it measures."""


def cases(*names, **values):
    """Return parameters by name, all values of each or those given."""
    return {name: values.get(name, CASES.get(name)) for name in names}
