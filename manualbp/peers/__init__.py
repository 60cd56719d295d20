"""The same step in other libraries: context for TensorFlow's, where they are installed.

Each library has a module of its own beside this one, which imports the library at its top and is
itself imported when a peer is built, never before: libraries start threads, and asv forks.  (Where
JAX is installed TensorFlow imports it; it starts nothing until it is asked for a device.)
A peer takes the same data as every other step, in float32 on the CPU, and is verified by the same
oracles before it is timed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from manualbp.cases import EXERCISE, Case, check_batch, check_name
from manualbp.measuring import oracle, parts
from manualbp.measuring.measure import Call
from manualbp.measuring.problem import NotHereError, Problem, make_problem

NETWORKS = (EXERCISE, "wide")
"""The workloads whose network the peers compute: ReLU layers, a sigmoid, one output."""

Outputs = tuple[Any, Any]
"""The mean loss and its gradients nested as the variables are, in arrays of any library."""


class PeerNotFoundError(NotHereError, ImportError):
    """A peer whose library is not installed; the message says what to install."""


@dataclass(frozen=True)
class PeerStep:
    """A step on a problem's data: forward pass, mean loss, all gradients.

    ``call`` is what is timed, and returns when its outputs exist.  ``outputs()`` does one such step
    and returns what it computes, for the oracles; it is ``call`` itself where that returns it.
    """

    call: Call
    outputs: Callable[[], Outputs]


@dataclass(frozen=True)
class PeerTraining:
    """Plain SGD steps on one batch: ``call`` does all of them and returns when they are done.

    Each call goes on where the last one ended; ``variables()`` returns where that is, nested.
    """

    call: Call
    variables: Callable[[], Any]


@dataclass(frozen=True)
class Peer:
    """A way to do the step in another library.

    ``package`` is the module it imports, ``requirement`` what pip installs for it.
    ``build(problem)`` returns the step; ``build_sgd(problem, steps, learning_rate)`` a training
    call, for the peers that have one.
    """

    package: str
    requirement: str
    summary: str
    build: Callable[[Problem], PeerStep]
    build_sgd: Callable[[Problem, int, float], PeerTraining] | None = None


def function_of(module: str, name: str) -> Callable[..., Any]:
    """Return a function of a module beside this one, which is imported by the first call."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(f"{__name__}.{module}"), name)(*arguments)

    return call


PEERS = {
    "jax": Peer(
        "jax",
        "manualbp[peers]",
        "JAX, jit(value_and_grad)",
        function_of("jax_steps", "build"),
        function_of("jax_steps", "build_sgd"),
    ),
    "jax-manual": Peer(
        "jax",
        "manualbp[peers]",
        "JAX, the backward pass by hand under jit",
        function_of("jax_steps", "build_manual"),
    ),
    "torch": Peer(
        "torch",
        "manualbp[peers-torch]",
        "PyTorch, autograd",
        function_of("torch_steps", "build"),
    ),
    "torch-manual": Peer(
        "torch",
        "manualbp[peers-torch]",
        "PyTorch, the backward pass by hand under no_grad",
        function_of("torch_steps", "build_manual"),
    ),
    "keras": Peer(
        "keras",
        "tensorflow",
        "Keras, train_on_batch: the SGD update and the metric of the loss included",
        function_of("keras_steps", "build"),
    ),
    "numba": Peer(
        "numba",
        "manualbp[peers]",
        "a scalar loop over the examples, compiled by numba, one thread: the floor at batch 1",
        function_of("numba_steps", "build"),
        function_of("numba_steps", "build_sgd"),
    ),
}
"""The peers by name.  The suite, the reports and the tests pick them up from here."""


def build_peer(name: str, batch: int, workload: str = EXERCISE) -> Call:
    """Build a peer's step and verify it.

    Parameters
    ----------
    name
        One of ``PEERS``.
    batch
        The number of examples.
    workload
        ``exercise`` or another network of its kind, as ``wide``.

    Returns
    -------
    callable
        Does one step when called without arguments, and returns when it is done.

    Raises
    ------
    PeerNotFoundError
        When its library is not installed, saying what to install.
    VerificationError
        When its loss or a gradient is wrong, naming the tensor, the index and both values.
    ValueError, TypeError
        For unknown names or a batch that is none.

    """
    peer, case = find_peer(name, batch, workload)
    problem = make_problem(workload, batch)
    step = peer.build(problem)
    oracle.verify(case, problem, *step.outputs())
    return step.call


def build_peer_sgd(name: str, batch: int, steps: int, workload: str = EXERCISE) -> Call:
    """Build a peer's training call, ``steps`` SGD steps on one batch, and verify where it leads.

    Parameters, results and errors are those of :func:`build_peer`; ``ValueError`` is also raised
    for a peer that has no training call.  The learning rate is ``parts.LEARNING_RATE``.
    """
    peer, case = find_peer(name, batch, workload)
    if peer.build_sgd is None:
        known = ", ".join(known for known, each in PEERS.items() if each.build_sgd is not None)
        raise ValueError(f"peer {name!r} has no training call: expected one of {known}")
    problem = make_problem(workload, batch)
    training = peer.build_sgd(problem, steps, parts.LEARNING_RATE)
    training.call()
    oracle.verify_training(case, problem, training.variables(), steps, parts.LEARNING_RATE)
    return training.call


def find_peer(name: str, batch: int, workload: str) -> tuple[Peer, Case]:
    """Return a peer and the case that messages name, or raise as :func:`build_peer` does."""
    check_name("peer", name, PEERS)
    check_name("workload", workload, NETWORKS)
    check_batch(batch)
    peer = PEERS[name]
    if find_spec(peer.package) is None:
        raise PeerNotFoundError(
            f"peer {name!r} needs {peer.package}, which is not installed: "
            f"pip install '{peer.requirement}'",
            name=peer.package,
        )
    return peer, Case(workload, name, "peer", "CPU:0", batch)
