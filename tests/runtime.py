"""What the rooms whose tests run TensorFlow share: two CPUs, and a machine that seems quiet.

A room's conftest imports this before TensorFlow starts.  Rooms that read results do not: they run
without TensorFlow.
"""

import pytest
import tensorflow as tf

from manualbp.measuring import asv_types, measure
from manualbp.measuring.disturbance import Meanwhile

# CPU:1 stands in for a second device.
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
