"""The measuring wing's tests run on two logical CPUs: CPU:1 stands in for a second device."""

import pytest
import tensorflow as tf

from manualbp.measuring import asv_types, measure
from manualbp.measuring.disturbance import Meanwhile
from manualbp.measuring.network import make_variables

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


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


class QuietWatch:
    """Sees a quiet machine, however busy it is that the tests run on."""

    def read(self):
        return Meanwhile(1.0, 2, 0.0, 0.0, 0.0)


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch):
    monkeypatch.setattr(measure, "Watch", QuietWatch)
    monkeypatch.setattr(asv_types, "Watch", QuietWatch)
