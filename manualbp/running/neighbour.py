"""A busy neighbour: computes until it is ended, to see what that does to a measurement.

It ends by itself when the program that started it has ended.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

KINDS = ("spin", "memory", "bursts")
"""Counts without a pause; moves more memory than the caches hold without a pause; either in bursts
with pauses between them."""

BURST_S = (0.05, 1.0)
"""How long a burst and the pause after it last: shorter and longer than a timed block."""

MEMORY_BYTES = 64 * 2**20
"""What is moved, more than the caches hold."""


@contextmanager
def neighbours(kind: str, count: int) -> Iterator[None]:
    """Run so many neighbours of a kind meanwhile."""
    code = f"from manualbp.running.neighbour import main; main({kind!r})"
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def main(kind: str) -> None:
    """Compute, as long as the parent process is there."""
    parent = os.getppid()
    memory = np.zeros(MEMORY_BYTES // 8)
    while os.getppid() == parent:
        moving = kind == "memory" or (kind == "bursts" and random.random() < 0.5)
        end = time.monotonic() + random.uniform(*BURST_S)
        while time.monotonic() < end:
            if moving:
                memory += 1.0
            else:
                sum(range(10_000))
        if kind == "bursts":
            time.sleep(random.uniform(*BURST_S))
