"""The exercise's tests, on two logical CPUs like all that share their processes."""

import pytest
import tensorflow as tf
from runtime import quiet_machine  # noqa: F401  (a fixture)

from manualbp import make_variables


@pytest.fixture
def variables():
    return make_variables(seed=1)


@pytest.fixture
def batch_of():
    """Make inputs (n, 2) and targets (n, 1)."""

    def make(n, seed=0):
        random = tf.random.Generator.from_seed(seed)
        inputs = random.normal((n, 2))
        targets = tf.cast(random.uniform((n, 1)) < 0.6, tf.float32)
        return inputs, targets

    return make
