"""Peak memory of a process, and of a device that has its own."""

import resource
import sys

import tensorflow as tf

from manualbp.measuring.problem import find_device


def peak_bytes(device: str = "CPU:0") -> int:
    """Return the peak so far, in bytes: the device's own on a GPU, the process's RSS on a CPU."""
    name = find_device(device)
    if ":CPU:" in name:
        return peak_rss_bytes()
    return int(tf.config.experimental.get_memory_info(name.removeprefix("/device:"))["peak"])


def peak_rss_bytes() -> int:
    """Return the peak resident set size of this process, in bytes.

    ``getrusage`` counts in KiB on Linux and in bytes on macOS.  A forked process starts from its
    parent's size at the fork.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
