"""The parameters of the suite, the same on every machine so that histories match."""

import functools
from itertools import product

from manualbp.cases import (
    BATCHES,
    DEVICES,
    MODES,
    NETWORKS,
    OTHER_BASELINES,
    is_baseline,
    is_measured,
)
from manualbp.measuring.gradients import GRADIENTS
from manualbp.measuring.problem import make_problem
from manualbp.measuring.step import build_step

EVERY = list(GRADIENTS)

OF_ANOTHER_LOSS = {*OTHER_BASELINES, *OTHER_BASELINES.values()}
"""Measured as steps, ratios and in accuracy; of their parts nothing else is to be learnt."""

VALUES = {
    "network": list(NETWORKS),
    "gradient": [name for name in EVERY if name not in OF_ANOTHER_LOSS],
    "mode": list(MODES),
    "device": list(DEVICES),
    "batch": list(BATCHES),
}


class Suite:
    """What every benchmark class shares.

    A class states its parameters with :func:`over`.  ``rounds`` is the number of processes a cell
    is measured in, ``sample_time`` the seconds it is timed in each, for a process is a sample.
    ``process`` names the benchmarks whose cells of one network, mode, device and batch may share a
    process (``manualbp run`` lets them); a cell without such a name has a process of its own.
    """

    version = "1"
    timeout = 120
    rounds = 2
    sample_time = 0.1
    process = ""


def over(*names, **values):
    """Decorate a class with parameters by name, in order; keywords replace a parameter's values.

    Combinations that a network is not measured at (its ``batches``, ``without``) are declared to
    asv as skipped, so that they cost no process.
    """
    values = {**VALUES, **values}

    def parametrize(cls):
        cls.param_names = list(names)
        cls.params = [list(values[name]) for name in names]
        cls.skip_params = [
            combination
            for combination in product(*cls.params)
            if not in_suite(dict(zip(names, combination, strict=True)))
        ]
        for method in vars(cls).values():
            if hasattr(method, "pretty_name"):
                method.process = cls.process  # asv tells of attributes of methods only
        return cls

    return parametrize


def in_suite(parameters):
    """Tell whether the suite measures a case."""
    return is_measured(*(parameters.get(name) for name in ("network", "gradient", "batch")))


MANUAL = [name for name in EVERY if not is_baseline(name)]


# Made once in a process, so that the cells that share it share them.
problem = functools.cache(make_problem)


@functools.cache
def step(gradient, mode, device, batch, network):
    """Return the verified step of a case."""
    return build_step(
        gradient, mode, device, batch, network, problem=problem(network, batch, device)
    )


def pretty(name):
    """Give a benchmark method the name that asv's pages show."""

    def name_it(method):
        method.pretty_name = name
        return method

    return name_it
