"""The same step in other libraries, for context.  A library that is not installed is skipped.

Preparing a peer imports its library, in the process that measures it: used when the suite is
imported, it would have started threads before asv forks.
"""

from manualbp.cases import EXERCISE, Case
from manualbp.measuring import parts
from manualbp.measuring.step import build_step
from manualbp.measuring.suite import Ratios, over, pretty
from manualbp.peers import PEERS, build_peer, build_peer_sgd

from .parameters import EVERY

STEPS = 100
"""SGD steps in one call."""


class Peers(Ratios):
    """A library may start threads, and change how another one computes: each has its process."""

    process = ""


@over(workload=[EXERCISE], peer=list(PEERS), batch=[1, 64, 512, 4096, 32768])
class Step(Peers):
    """On the scale on which ``ratios.Absolute`` puts TensorFlow's steps."""

    @pretty("Another library's step over the step in NumPy")
    def ratio_peer_to_numpy(self, workload, peer, batch):
        return build_peer(peer, batch, workload), parts.build_control(workload, batch)


@over(workload=[EXERCISE], gradient=EVERY, mode=["xla"], batch=[1, 32768])
class Jax(Peers):
    """XLA called by TensorFlow over XLA called by JAX, both in one process."""

    @pretty("Step over JAX's jit(value_and_grad)")
    def ratio_to_jax(self, workload, gradient, mode, batch):
        # The peer first, here and below: where it is absent, nothing else is built in vain.
        jax = build_peer("jax", batch, workload)
        return build_step(Case(workload, gradient, mode, "CPU:0", batch)), jax


@over(workload=[EXERCISE], gradient=EVERY, mode=["xla"], batch=[1])
class Floor(Peers):
    """Training over the loop that numba compiles: what is left between TensorFlow and the floor."""

    @pretty(f"{STEPS} SGD steps in one call over the floor's")
    def ratio_sgd_to_floor(self, workload, gradient, mode, batch):
        floor = build_peer_sgd("numba", batch, STEPS, workload)
        return parts.build_sgd(Case(workload, gradient, mode, "CPU:0", batch), STEPS), floor


@over(workload=[EXERCISE], peer=["jax"], batch=[1])
class PeerFloor(Peers):
    """The same of another library."""

    @pretty(f"Another library's {STEPS} SGD steps in one call over the floor's")
    def ratio_peer_sgd_to_floor(self, workload, peer, batch):
        floor = build_peer_sgd("numba", batch, STEPS, workload)
        return build_peer_sgd(peer, batch, STEPS, workload), floor
