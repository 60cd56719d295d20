"""What a hand-written backward pass buys over ``tf.GradientTape``.

``import manualbp`` imports no TensorFlow: each name below is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manualbp.cases import MODES, NETWORKS
    from manualbp.measuring import measure
    from manualbp.measuring.gradients import GRADIENTS, compute_gradients
    from manualbp.measuring.network import compute_forward_pass, make_variables
    from manualbp.measuring.oracle import VerificationError
    from manualbp.measuring.peers import PeerNotFoundError, build_peer
    from manualbp.measuring.problem import DeviceNotFoundError
    from manualbp.measuring.step import build_step

__version__ = "0.1.0"

__all__ = [
    "GRADIENTS",
    "MODES",
    "NETWORKS",
    "DeviceNotFoundError",
    "PeerNotFoundError",
    "VerificationError",
    "build_peer",
    "build_step",
    "compute_forward_pass",
    "compute_gradients",
    "make_variables",
    "measure",
]

_HOME = {
    "GRADIENTS": "manualbp.measuring.gradients",
    "MODES": "manualbp.cases",
    "NETWORKS": "manualbp.cases",
    "DeviceNotFoundError": "manualbp.measuring.problem",
    "PeerNotFoundError": "manualbp.measuring.peers",
    "VerificationError": "manualbp.measuring.oracle",
    "build_peer": "manualbp.measuring.peers",
    "build_step": "manualbp.measuring.step",
    "compute_forward_pass": "manualbp.measuring.network",
    "compute_gradients": "manualbp.measuring.gradients",
    "make_variables": "manualbp.measuring.network",
}


def __getattr__(name: str) -> Any:
    if name == "measure":
        return import_module("manualbp.measuring.measure")
    if name not in _HOME:
        raise AttributeError(f"module 'manualbp' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
