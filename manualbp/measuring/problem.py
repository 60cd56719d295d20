"""The data of a case: variables, inputs and targets, the same for every gradient and mode."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from manualbp.cases import NETWORKS
from manualbp.measuring import reference
from manualbp.measuring.network import Variables, make_variables

KINK_MARGIN = 1e-4
"""Every ReLU's argument is at least this far from 0.

Nearer, rounding decides on which side of the kink a unit stands, and two correct gradients differ
by a whole example.  Rounding moves these arguments by about 1e-6 in float32, central differences
by a few 1e-6.
"""


SHARE_OF_ONES = 0.75
"""The share of targets that are 1.

With one half, the sum of the exercise's last bias nearly cancels, and no check of it can be sharp:
its condition is 15 at batch 4096 and 26 at 32768; with three quarters it is 2 at both.  The wide
network pays for it, 29 instead of 2 at batch 512, where sums are short: an error of 0.1 % is still
more than twice the tolerance.
"""


class DeviceNotFoundError(ValueError):
    """A logical device that TensorFlow does not have here."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Variables, inputs (batch, widths[0]) and targets (batch, 1) on one device."""

    variables: Variables
    inputs: tf.Tensor
    targets: tf.Tensor

    def arrays(self, dtype: str) -> tuple[reference.Array, reference.Array, reference.Arrays]:
        """Copy to NumPy: inputs, targets, variables."""
        return (
            self.inputs.numpy().astype(dtype),
            self.targets.numpy().astype(dtype),
            reference.as_arrays([[v.numpy() for v in pair] for pair in self.variables], dtype),
        )


def find_device(name: str) -> str:
    """Return TensorFlow's full name of a logical device, as ``CPU:0``.

    Raises
    ------
    DeviceNotFoundError
        When TensorFlow has no such device here, naming those it has.

    """
    devices = {device.name.removeprefix("/device:"): device.name for device in list_devices()}
    try:
        return str(devices[name.removeprefix("/device:").upper()])
    except (KeyError, AttributeError):
        raise DeviceNotFoundError(
            f"no device {name!r} here: TensorFlow has {', '.join(devices)}"
        ) from None


def list_devices() -> list[tf.config.LogicalDevice]:
    """List the logical devices that compute: CPUs and GPUs."""
    return [d for d in tf.config.list_logical_devices() if d.device_type in ("CPU", "GPU")]


def make_problem(
    network: str, batch: int, device: str = "CPU:0", dtype: str = "float32", seed: int = 0
) -> Problem:
    """Make a network's variables and one batch of normal inputs and random targets.

    The same arguments give the same values everywhere.  Examples on which a ReLU's argument
    lies within :data:`KINK_MARGIN` of 0 are drawn again.
    """
    with tf.device(find_device(device)):
        variables = make_variables(NETWORKS[network].widths, seed=seed, dtype=dtype)
        inputs = _unambiguous_inputs(variables, batch, np.random.default_rng([seed, 1]))
        targets = np.random.default_rng([seed, 2]).random(size=(batch, 1)) < SHARE_OF_ONES
        return Problem(
            variables,
            # identity: a constant made from host memory may stay there.
            tf.identity(tf.constant(inputs, dtype)),
            tf.identity(tf.constant(targets, dtype)),
        )


def _unambiguous_inputs(
    variables: Variables, batch: int, random: np.random.Generator
) -> reference.Array:
    arrays = reference.as_arrays([[v.numpy() for v in pair] for pair in variables])
    dtype = variables[0][0].dtype.as_numpy_dtype
    kept: list[reference.Array] = []
    while sum(map(len, kept)) < batch:
        inputs = random.normal(size=(batch + batch // 8 + 8, arrays[0][0].shape[0])).astype(dtype)
        hidden = reference.layer_outs(inputs.astype("float64"), arrays)[:-1]
        clear = np.all([np.abs(layer).min(axis=1) > KINK_MARGIN for layer in hidden], axis=0)
        kept.append(inputs[clear])
    return np.concatenate(kept)[:batch]
