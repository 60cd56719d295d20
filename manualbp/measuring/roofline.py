"""The least time a machine needs for so many FLOPs and bytes: a roofline.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52(4), 2009: a program takes at least its FLOPs over the
machine's peak and at least its bytes over the memory's bandwidth, whichever is longer.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import tensorflow as tf

from manualbp.measuring.measure import Call
from manualbp.measuring.problem import find_device

MATRIX = 2048
"""Rows of the square matrices whose product sets the peak: 17 GFLOP, 0.2 s on two cores."""

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")

USUAL_CACHE = 32 * 2**20
"""Bytes of the last cache where the system does not say."""

CACHES_FILLED = 4
"""How often an array that is copied fills the last cache, the rule of the STREAM benchmark."""

LONGEST_ARRAY = 256 * 2**20
"""Bytes of an array at most: two of them fit beside TensorFlow on a small machine."""

TRIES, TRIES_S = 5, 0.5
"""A limit is measured that often at least, and for so many seconds."""

FLOPS, MEMORY = "FLOPs", "memory"


@dataclass(frozen=True)
class Machine:
    """What was measured of a machine: its peak, its bandwidth, the size of its last cache."""

    flops_per_s: float
    bytes_per_s: float
    cache_bytes: int


@dataclass(frozen=True)
class Bound:
    """The least ``seconds`` for so many FLOPs and bytes, and which of the two sets it.

    ``buffers`` is how many bytes there are, each counted once, where ``bytes`` counts every access.
    ``in_cache`` says that they fit the last cache, which is faster than the memory: then the bytes
    may take less time than the bandwidth allows.
    """

    flops: int
    bytes: int
    buffers: int
    seconds: float
    limit: str
    in_cache: bool


def bound(flops: int, accessed: int, buffers: int, machine: Machine) -> Bound:
    """Return the least time for so many FLOPs and bytes accessed, in buffers of so many bytes."""
    computing = flops / machine.flops_per_s
    moving = accessed / machine.bytes_per_s
    limit = FLOPS if computing >= moving else MEMORY
    in_cache = buffers <= machine.cache_bytes
    return Bound(flops, accessed, buffers, max(computing, moving), limit, in_cache)


def measure_machine(device: str = "CPU:0") -> Machine:
    """Measure this machine: about 2 s, all cores."""
    cache = last_cache_bytes()
    length = min(CACHES_FILLED * cache, LONGEST_ARRAY)
    return Machine(peak_flops(device), bandwidth(length), cache)


def peak_flops(device: str = "CPU:0", rows: int = MATRIX) -> float:
    """Measure FLOP/s: TensorFlow's product of two float32 matrices, 2 n³ FLOPs, at its fastest."""
    with tf.device(find_device(device)):
        matrix = tf.ones((rows, rows))

        def product() -> None:
            tf.matmul(matrix, matrix)[0, 0].numpy()

        return float(2 * rows**3 / fastest(product))


def bandwidth(length: int, threads: int | None = None) -> float:
    """Measure bytes/s: a copy of so many bytes, read and written, at its fastest.

    Each thread (by default one for each core) copies a part of its own; NumPy holds no lock
    meanwhile.  As in STREAM, what a cache reads of a line before it is overwritten is not counted.
    """
    threads = threads or usable_cores()
    parts = [np.ones(length // threads // 8) for _ in range(threads)]
    copies = [np.zeros_like(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        seconds = fastest(lambda: list(pool.map(np.copyto, copies, parts)))
    return 2 * sum(part.nbytes for part in parts) / seconds


def fastest(call: Call) -> float:
    """Return the shortest time of a call, in seconds: a limit is what was reached once."""
    call()
    times: list[float] = []
    while len(times) < TRIES or sum(times) < TRIES_S:
        started = perf_counter()
        call()
        times.append(perf_counter() - started)
    return min(times)


def last_cache_bytes(caches: Path = CACHES) -> int:
    """Return the size of the last cache, of which Linux tells as ``32768K``."""
    units = {"K": 2**10, "M": 2**20}
    sizes = [file.read_text().strip() for file in caches.glob("index*/size")]
    return max((int(size[:-1]) * units[size[-1]] for size in sizes), default=USUAL_CACHE)


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
