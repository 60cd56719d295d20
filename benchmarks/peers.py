"""The same step in other libraries, for context.  A library that is not installed is skipped.

Preparing a peer imports its library, in the process that measures it: used when the suite is
imported, it would have started threads before asv forks.
"""

from manualbp.measuring import parts
from manualbp.measuring.peers import PEERS, build_peer, build_peer_sgd
from manualbp.measuring.step import build_step

from .common import over, pretty
from .ratios import Ratios

STEPS = 100
"""SGD steps in one call."""


class Peers(Ratios):
    """A library may start threads, and change how another one computes: each has its process."""

    process = ""


@over(
    "network",
    "peer",
    "batch",
    network=["exercise"],
    peer=list(PEERS),
    batch=[1, 64, 512, 4096, 32768],
)
class Step(Peers):
    """On the scale on which ``ratios.Absolute`` puts TensorFlow's steps."""

    @pretty("Another library's step over the step in NumPy")
    def ratio_peer_to_numpy(self, network, peer, batch):
        return build_peer(peer, batch, network), parts.build_control(batch, network)


@over("network", "gradient", "mode", "batch", network=["exercise"], mode=["xla"], batch=[1, 32768])
class Jax(Peers):
    """XLA called by TensorFlow over XLA called by JAX, both in one process."""

    @pretty("Step over JAX's jit(value_and_grad)")
    def ratio_to_jax(self, network, gradient, mode, batch):
        # The peer first, here and below: where it is absent, nothing else is built in vain.
        jax = build_peer("jax", batch, network)
        return build_step(gradient, mode, "CPU:0", batch, network), jax


@over("network", "gradient", "mode", "batch", network=["exercise"], mode=["xla"], batch=[1])
class Floor(Peers):
    """Training over the loop that numba compiles: what is left between TensorFlow and the floor."""

    @pretty(f"{STEPS} SGD steps in one call over the floor's")
    def ratio_sgd_to_floor(self, network, gradient, mode, batch):
        floor = build_peer_sgd("numba", batch, STEPS, network)
        return parts.build_sgd(gradient, mode, "CPU:0", batch, network, STEPS), floor


@over("network", "peer", "batch", network=["exercise"], peer=["jax"], batch=[1])
class PeerFloor(Peers):
    """The same of another library."""

    @pretty(f"Another library's {STEPS} SGD steps in one call over the floor's")
    def ratio_peer_sgd_to_floor(self, network, peer, batch):
        floor = build_peer_sgd("numba", batch, STEPS, network)
        return build_peer_sgd(peer, batch, STEPS, network), floor
