"""The measuring wing's tests run on two logical CPUs: CPU:1 stands in for a second device."""

import pytest
import tensorflow as tf

from manualbp.measuring import asv_types, measure
from manualbp.measuring.disturbance import Meanwhile

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


class QuietWatch:
    """Sees a quiet machine, however busy it is that the tests run on."""

    def read(self):
        return Meanwhile(1.0, 2, 0.0, 0.0, 0.0)


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch):
    monkeypatch.setattr(measure, "Watch", QuietWatch)
    monkeypatch.setattr(asv_types, "Watch", QuietWatch)
