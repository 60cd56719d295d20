"""The names both wings share: networks, modes, devices, batches, and the case they make up.

This module imports neither TensorFlow nor pandas.  The gradients' names are the keys of
``manualbp.measuring.gradients.GRADIENTS``; whoever reads results finds them in the results.
"""

from collections.abc import Iterable
from dataclasses import dataclass

BASELINE = "tape"
"""The gradient that every other is compared with, but for those in :data:`OTHER_BASELINES`."""

OTHER_BASELINES = {"stable": "stable_tape"}
"""Gradients of another loss formula, and the tape of the same formula."""

MODES = ("eager", "graph", "xla")
"""How TensorFlow executes a step: op by op, ``tf.function``, ``tf.function(jit_compile=True)``."""

DEVICES = ("CPU:0", "GPU:0")
"""The devices the suite measures; one that is absent is skipped.  Elsewhere any name works."""


@dataclass(frozen=True)
class Network:
    """A fully connected network.

    ``widths`` runs from the number of inputs to the one output; ``batches`` are the batch sizes
    at which the suite measures it, ``without`` the gradients with which it does not.
    """

    widths: tuple[int, ...]
    batches: tuple[int, ...]
    without: tuple[str, ...] = ()


NETWORKS = {
    # The exercise's own: small enough that most of a step is the call and the dispatch of ops.
    "exercise": Network((2, 12, 32, 1), batches=(1, 8, 64, 512, 4096, 32768)),
    # Bound by its matrix products, which every gradient shares: 1.2 GFLOP a step at batch 512.
    # Those gradients differ from fused in what a product dwarfs.
    "wide": Network(
        (256, 512, 512, 1),
        batches=(1, 64, 512),
        without=("augmented", "packed", "stable", "stable_tape"),
    ),
}

BATCHES = tuple(sorted({batch for network in NETWORKS.values() for batch in network.batches}))


@dataclass(frozen=True)
class Case:
    """One thing to measure: a network, a gradient, a mode, a device and a batch."""

    network: str
    gradient: str
    mode: str
    device: str
    batch: int

    def __str__(self) -> str:
        return f"{self.network}/{self.gradient}/{self.mode}/{self.device}/{self.batch}"


def is_measured(network: str | None, gradient: str | None = None, batch: int | None = None) -> bool:
    """Tell whether the suite measures a network with a gradient, at a batch; None leaves one out.

    Of a network that is not one of ours everything is.
    """
    known = NETWORKS.get(network or "")
    if known is None:
        return True
    return gradient not in known.without and (batch is None or batch in known.batches)


def baseline_of(gradient: str) -> str:
    """Return the gradient with which ``gradient`` is compared; a baseline is its own."""
    return gradient if is_baseline(gradient) else OTHER_BASELINES.get(gradient, BASELINE)


def is_baseline(gradient: str) -> bool:
    """Tell whether others are compared with this gradient."""
    return gradient == BASELINE or gradient in OTHER_BASELINES.values()


def over_the_tape(gradients: Iterable[str]) -> list[str]:
    """Return the gradients that are compared with the tape itself; all of them if none is.

    Speedups over different tapes are not to be ranked.
    """
    listed = list(gradients)
    return [name for name in listed if baseline_of(name) == BASELINE] or listed


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise ``ValueError`` naming the known names when ``name`` is not among them."""
    known = tuple(known)
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}: expected one of {', '.join(known)}")


def check_batch(batch: int) -> None:
    """Raise ``TypeError`` or ``ValueError`` when ``batch`` is not a positive whole number."""
    if isinstance(batch, bool) or not isinstance(batch, int):
        raise TypeError(f"batch must be an int, got {type(batch).__name__} {batch!r}")
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
