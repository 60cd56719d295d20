"""What a hand-written backward pass buys over ``tf.GradientTape``.

``import manualbp`` imports no TensorFlow: each name below is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manualbp.cases import MODES, Case
    from manualbp.exercise.chain import compute_gradients
    from manualbp.exercise.network import compute_forward_pass, make_variables
    from manualbp.measuring import measure
    from manualbp.measuring.oracle import VerificationError
    from manualbp.measuring.problem import DeviceNotFoundError
    from manualbp.measuring.step import build_step
    from manualbp.peers import PeerNotFoundError, build_peer
    from manualbp.workload import Gradient, Workload

__version__ = "0.1.0"

__all__ = [
    "MODES",
    "Case",
    "DeviceNotFoundError",
    "Gradient",
    "PeerNotFoundError",
    "VerificationError",
    "Workload",
    "build_peer",
    "build_step",
    "compute_forward_pass",
    "compute_gradients",
    "make_variables",
    "measure",
]

_HOME = {
    "MODES": "manualbp.cases",
    "Case": "manualbp.cases",
    "DeviceNotFoundError": "manualbp.measuring.problem",
    "Gradient": "manualbp.workload",
    "PeerNotFoundError": "manualbp.peers",
    "VerificationError": "manualbp.measuring.oracle",
    "Workload": "manualbp.workload",
    "build_peer": "manualbp.peers",
    "build_step": "manualbp.measuring.step",
    "compute_forward_pass": "manualbp.exercise.network",
    "compute_gradients": "manualbp.exercise.chain",
    "make_variables": "manualbp.exercise.network",
}


def __getattr__(name: str) -> Any:
    if name == "measure":
        return import_module("manualbp.measuring.measure")
    if name not in _HOME:
        raise AttributeError(f"module 'manualbp' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
