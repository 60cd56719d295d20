"""Other libraries' steps: verified as ours are, refused when wrong, absent with a remedy."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from manualbp.exercise import reference
from manualbp.exercise.network import make_variables
from manualbp.measuring import asv_types, oracle, parts
from manualbp.measuring.oracle import VerificationError
from manualbp.measuring.problem import make_problem
from manualbp.peers import PEERS, PeerNotFoundError, PeerStep, build_peer, build_peer_sgd

ROOT = Path(__file__).parents[2]
WRONG = 1.001
TRAINED = [name for name, peer in PEERS.items() if peer.build_sgd is not None]


def needed(name):
    peer = PEERS[name]
    pytest.importorskip(
        peer.package, reason=f"{peer.package} is not installed: pip install '{peer.requirement}'"
    )
    return name


@pytest.fixture(params=PEERS)
def name(request):
    """Every peer; those whose library is not installed are skipped."""
    return needed(request.param)


@pytest.fixture(params=TRAINED)
def trained(request):
    """Every peer with a training call."""
    return needed(request.param)


def losses_of_sgd(batch, steps):
    """Each step's loss on the exercise before its update, by the NumPy reference in float64."""
    variables, data = make_problem("exercise", batch).arrays("float64")
    losses = []
    for _ in range(steps):
        loss, gradients = reference.step(variables, *data)
        losses.append(loss)
        variables = [
            tuple(
                value - parts.LEARNING_RATE * derivative
                for value, derivative in zip(*pairs, strict=True)
            )
            for pairs in zip(variables, gradients, strict=True)
        ]
    return losses


@pytest.mark.parametrize("batch", [1, 64])
def test_every_peer_is_right(name, batch):
    step = build_peer(name, batch)  # raises if it is not
    for _ in range(3):
        step()


def test_every_peer_is_right_on_the_wide_network(name):
    build_peer(name, 64, "wide")


def test_a_gradient_wrong_by_a_thousandth_is_refused_by_name(name, monkeypatch):
    right = PEERS[name]
    loss, gradients = right.build(make_problem("exercise", 64)).outputs()
    for tensor, called in enumerate(make_problem("exercise", 64).names()):
        flat = oracle.flatten(gradients)
        flat[tensor] = flat[tensor] * np.float32(WRONG)
        outputs = (loss, tuple(zip(flat[0::2], flat[1::2], strict=True)))
        wrong = PeerStep(list, lambda outputs=outputs: outputs)
        monkeypatch.setitem(PEERS, name, replace(right, build=lambda problem, step=wrong: step))
        message = f"exercise/{name}/peer/CPU:0/64: the gradient of {called} at "
        with pytest.raises(VerificationError, match=message):
            build_peer(name, 64)


def test_a_wrong_loss_is_refused(name, monkeypatch):
    right = PEERS[name]
    loss, gradients = right.build(make_problem("exercise", 64)).outputs()
    wrong = PeerStep(list, lambda: (float(loss) * WRONG, gradients))
    monkeypatch.setitem(PEERS, name, replace(right, build=lambda problem: wrong))
    with pytest.raises(VerificationError, match=f"exercise/{name}/peer/CPU:0/64: the loss is"):
        build_peer(name, 64)


def test_a_step_returns_the_same_every_time(name):
    if name == "keras":
        pytest.skip("its step updates the weights")
    step = build_peer(name, 64)
    (loss, gradients), (again, twice) = step(), step()
    assert float(loss) == float(again)
    for a, b in zip(oracle.flatten(gradients), oracle.flatten(twice), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keras_is_timed_from_the_problems_weights_at_the_suites_rate():
    step = build_peer("keras", 64)
    for loss in losses_of_sgd(64, 5):
        assert step() == pytest.approx(loss, rel=1e-5)


def test_keras_with_another_backend_is_absent(monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(PeerNotFoundError, match="it is set to jax: unset KERAS_BACKEND"):
        build_peer("keras", 1)


def test_training_walks_where_the_reference_walks(trained):
    train = build_peer_sgd(trained, 8, 100)  # raises if it does not
    # The next call goes on, and returns the loss before its last update.
    assert float(train()) == pytest.approx(losses_of_sgd(8, 200)[-1], rel=1e-4)


def test_training_at_another_rate_is_refused(trained, monkeypatch):
    right = PEERS[trained]

    def build_sgd(problem, steps, learning_rate):
        return right.build_sgd(problem, steps, learning_rate * WRONG)

    monkeypatch.setitem(PEERS, trained, replace(right, build_sgd=build_sgd))
    with pytest.raises(VerificationError, match=f"{trained}/peer.*100 SGD steps change the "):
        build_peer_sgd(trained, 1, 100)


def test_a_ratio_to_the_control_is_measured_with_extra_work_too(name):
    class Suite:
        sample_time = 0.01
        warmup_time = 0.0
        slowdown = 0.1

    def prepare():
        return build_peer(name, 1), parts.build_control("exercise", 1)

    (ratio,) = asv_types.Ratio("peers.Step.ratio_x", prepare, [Suite()]).run()["samples"]
    assert 0 < ratio < float("inf")


def test_the_loop_is_for_three_layers():
    pytest.importorskip("numba", reason="numba is not installed: pip install 'manualbp[peers]'")
    problem = replace(make_problem("exercise", 4), variables=make_variables((2, 1)))
    with pytest.raises(ValueError, match="three layers, got 1"):
        PEERS["numba"].build(problem)


@pytest.mark.parametrize("build", [build_peer, lambda name, batch: build_peer_sgd(name, batch, 3)])
def test_an_absent_library_is_named_with_what_to_install(build, monkeypatch):
    absent = replace(PEERS["jax"], package="no_such_library")
    monkeypatch.setitem(PEERS, "jax", absent)
    message = (
        r"peer 'jax' needs no_such_library, which is not installed: pip install 'manualbp\[peers\]'"
    )
    with pytest.raises(PeerNotFoundError, match=message):
        build("jax", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pytorch", 1), "unknown peer 'pytorch': expected one of jax, "),
        (("keras", 0), "batch must be at least 1, got 0"),
        (("keras", 1, "deep"), "unknown workload 'deep': expected one of exercise, wide"),
    ],
)
def test_unknown_names_and_batches_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_peer(*arguments)


def test_not_every_peer_has_a_training_call():
    with pytest.raises(ValueError, match="no training call: expected one of jax, numba"):
        build_peer_sgd("keras", 1, 10)


def test_importing_the_suite_starts_no_other_library():
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert name not in ('torch', 'numba'), f'{name} is imported'\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import manualbp\n"
        "import benchmarks.peers\n"
        "manualbp.build_peer, manualbp.PeerNotFoundError\n"
        "if 'jax' in sys.modules:\n"  # by TensorFlow, where it is installed
        "    from jax._src import xla_bridge\n"
        "    assert not xla_bridge.backends_are_initialized()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
