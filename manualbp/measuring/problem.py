"""The data of a case: variables and one batch, the same for every gradient and mode."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from manualbp import workloads
from manualbp.workload import Gradient, Nest, Workload

KINK_MARGIN = 1e-4
"""Every example is at least this far from a kink of the loss, where the workload tells how far.

Nearer, rounding decides on which side of the kink a unit stands, and two correct gradients differ
by a whole example.  Rounding moves these arguments by about 1e-6 in float32, central differences
by a few 1e-6.
"""

DRAWS = 100
"""How often examples are drawn again, until enough are clear of the kinks."""


class NotHereError(Exception):
    """What this machine lacks, a device or a library: no mistake, but nothing can be measured."""


class DeviceNotFoundError(NotHereError, ValueError):
    """A logical device that TensorFlow does not have here."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A workload's variables, a nest of ``tf.Variable``, and its data, tensors on one device."""

    workload: Workload
    variables: Nest
    data: tuple[tf.Tensor, ...]
    batch: int
    device: str

    @property
    def dtype(self) -> Any:
        """NumPy's dtype of the variables."""
        return np.dtype(tf.nest.flatten(self.variables)[0].dtype.as_numpy_dtype)

    def arrays(self, dtype: str) -> tuple[Nest, tuple[Any, ...]]:
        """Copy variables and data to NumPy, what is floating point in another dtype."""

        def copied(tensor: Any) -> Any:
            array = tensor.numpy()
            return array.astype(dtype) if array.dtype.kind == "f" else array

        return tf.nest.map_structure(copied, self.variables), tuple(map(copied, self.data))

    def gradient(self, name: str) -> Gradient:
        """Make a gradient of the workload on these variables, in its own layout."""
        with tf.device(self.device):
            return self.workload.gradients[name](self.variables, self.batch)

    def names(self) -> list[str]:
        """Name the variables in the order of ``tf.nest.flatten``."""
        return list(self.workload.names) or paths(self.variables)


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
    workload: str, batch: int, device: str = "CPU:0", dtype: str = "float32", seed: int = 0
) -> Problem:
    """Make a workload's variables and one batch of its data.

    The same arguments give the same values everywhere: float32 values are the rounded float64 ones.
    Examples within :data:`KINK_MARGIN` of a kink are drawn again.

    Raises
    ------
    ValueError
        For a workload or a device that is not known; when the workload's functions do not return
        what they have to.

    """
    known, full_name = workloads.find(workload), find_device(device)
    arrays = tf.nest.map_structure(np.asarray, known.variables(np.random.default_rng(seed)))
    for name, array in zip(paths(arrays), tf.nest.flatten(arrays), strict=True):
        if array.dtype.kind != "f":
            raise ValueError(
                f"workload {workload!r}: variable {name} must be floating point, got {array.dtype}"
            )
    if not tf.nest.flatten(arrays):
        raise ValueError(f"workload {workload!r}: there is no variable to differentiate by")
    arrays = tf.nest.map_structure(lambda array: array.astype(dtype), arrays)
    data = _clear_of_kinks(known, arrays, batch, dtype, np.random.default_rng([seed, 1]))
    with tf.device(full_name):
        return Problem(
            known,
            tf.nest.map_structure(tf.Variable, arrays),
            # identity: a constant made from host memory may stay there.
            tuple(tf.identity(tf.constant(array)) for array in data),
            batch,
            full_name,
        )


def in_float64(problem: Problem) -> Problem:
    """Copy a problem, with what is floating point in float64."""
    variables, data = problem.arrays("float64")
    return with_values(problem, variables, data)


def with_values(problem: Problem, variables: Nest, data: tuple[Any, ...]) -> Problem:
    """Return the problem at other variables and with other data, all given as arrays."""
    with tf.device(problem.device):
        return replace(
            problem,
            variables=tf.nest.map_structure(tf.Variable, variables),
            data=tuple(tf.identity(tf.constant(array)) for array in data),
        )


def paths(nest: Nest) -> list[str]:
    """Name each leaf of a nest by its place, as ``['scale']`` or ``[0][1]``."""
    if isinstance(nest, dict):  # in the order of tf.nest, which sorts the keys
        return [f"[{key!r}]{rest}" for key in sorted(nest) for rest in paths(nest[key])]
    if isinstance(nest, list | tuple):
        fields = getattr(nest, "_fields", None)
        places = (
            [f".{field}" for field in fields] if fields else map("[{}]".format, range(len(nest)))
        )
        return [
            f"{here}{rest}" for here, one in zip(places, nest, strict=True) for rest in paths(one)
        ]
    return [""]


def _clear_of_kinks(
    workload: Workload, variables: Nest, batch: int, dtype: str, random: np.random.Generator
) -> tuple[Any, ...]:
    if workload.kinks is None:
        return _rounded(workload, workload.data(random, batch), dtype)
    exact = tf.nest.map_structure(lambda array: array.astype("float64"), variables)
    kept: list[tuple[Any, ...]] = []
    for _ in range(DRAWS):
        data = _rounded(workload, workload.data(random, batch + batch // 8 + 8), dtype)
        clear = workload.kinks(exact, *(array.astype("float64") for array in data)) > KINK_MARGIN
        kept.append(tuple(array[clear] for array in data))
        if sum(len(arrays[0]) for arrays in kept) >= batch:
            return tuple(np.concatenate(parts)[:batch] for parts in zip(*kept, strict=True))
    raise ValueError(
        f"workload {workload.name!r}: {DRAWS} draws gave not {batch} examples that are "
        f"{KINK_MARGIN:g} away from every kink"
    )


def _rounded(workload: Workload, data: Any, dtype: str) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise ValueError(
            f"workload {workload.name!r}: data must return a tuple of arrays, "
            f"got {type(data).__name__}"
        )
    arrays = map(np.asarray, data)
    return tuple(array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays)
