"""A busy neighbour: computes in bursts until it is ended, to see what that does to a verdict."""

import random
import time

import numpy as np

BURST_S = (0.05, 1.0)
"""How long a burst and the pause after it last: shorter and longer than a timed block."""

MEMORY_BYTES = 64 * 2**20
"""What a burst of copying moves, more than the caches hold."""


def main() -> None:
    """Count in half of the bursts, move memory in the others."""
    memory = np.zeros(MEMORY_BYTES // 8)
    while True:
        copying = random.random() < 0.5
        end = time.monotonic() + random.uniform(*BURST_S)
        while time.monotonic() < end:
            if copying:
                memory += 1.0
            else:
                sum(range(10_000))
        time.sleep(random.uniform(*BURST_S))


if __name__ == "__main__":
    main()
