"""``manualbp doctor``: what this machine has, what will disturb a measurement, and the remedy."""

import argparse
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from manualbp.cli import quiet

DESCRIPTION = """
Show versions, devices, threads and load, and name what will disturb a measurement here together
with its remedy.  Exit status 0, or 1 when something is missing without which nothing runs.
"""

PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "matplotlib", "asv", "asv_runner")

OPTIONAL = ("jax", "numba", "torch")
"""Other libraries in which the same step is measured; what is absent is skipped."""

BUSY_LOAD = 0.3
"""Runnable processes beside this one, per core, from which a measurement suffers."""

CPU = Path("/sys/devices/system/cpu")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        help="versions, devices, load, and what disturbs a measurement",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    load = os.getloadavg()  # before TensorFlow's import adds to it
    missing = []
    facts = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
            missing.append(package)
    for package in OPTIONAL:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed (optional)"
    facts["cores"] = str(usable_cores())
    facts["load"] = " ".join(f"{value:.2f}" for value in load) + " (1, 5, 15 min)"
    if "tensorflow" not in missing:
        facts |= tensorflow_facts()
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}}  {value}")
    print()
    warnings = [*disturbances(load[0])]
    for text, remedy in warnings:
        print(f"! {text}\n  remedy: {remedy}")
    for package in missing:
        print(f"! {package} is not installed\n  remedy: make setup")
    if not warnings and not missing:
        print("nothing found that disturbs a measurement")
    return 1 if missing else 0


def tensorflow_facts() -> dict[str, str]:
    """Ask TensorFlow for its devices and thread pools (0 threads: one per core)."""
    quiet.import_tensorflow()
    import tensorflow as tf

    from manualbp.measuring.problem import list_devices

    devices = [device.name.removeprefix("/device:") for device in list_devices()]
    pools = tf.config.threading
    return {
        "devices": ", ".join(devices),
        "threads": f"{pools.get_intra_op_parallelism_threads() or 'one per core'} within an op, "
        f"{pools.get_inter_op_parallelism_threads() or 'one per core'} between ops",
        "built with CUDA": "yes" if tf.test.is_built_with_cuda() else "no",
    }


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def disturbances(load: float) -> Iterator[tuple[str, str]]:
    """Yield what will disturb a measurement here, each with its remedy."""
    cores = usable_cores()
    if load > BUSY_LOAD * cores:
        yield (
            f"the load is {load:.2f} on {cores} cores: other programs are running",
            "end them, or wait; trust ratios (interleaved), not absolute times",
        )
    if cores <= 2:
        yield (
            f"{cores} cores: TensorFlow's threads, asv and the system share them",
            "trust ratios; leave the machine alone while measuring",
        )
    governor = read(CPU / "cpu0/cpufreq/scaling_governor")
    if governor and governor != "performance":
        yield (
            f"the frequency governor is {governor!r}: clocks change while measuring",
            "sudo cpupower frequency-set -g performance",
        )
    if read(CPU / "intel_pstate/no_turbo") == "0" or read(CPU / "cpufreq/boost") == "1":
        yield (
            "turbo is on: the clock depends on temperature and on other cores",
            "switch it off, for example with 'sudo python -m pyperf system tune'",
        )
    if "hypervisor" in read(Path("/proc/cpuinfo")):
        yield (
            "this is a virtual machine: neighbours take cycles that no load shows",
            "measure more processes (run again: a run adds to the last); trust ratios",
        )
    for name in ("TF_XLA_FLAGS", "XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS"):
        if name in os.environ:
            yield (
                f"{name}={os.environ[name]} changes what TensorFlow does",
                f"unset {name}, or compare only with results measured under it",
            )
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        if name in os.environ:
            yield (
                f"{name}={os.environ[name]} changes NumPy's matrix product, and so the control",
                f"unset {name}, or compare only with results measured under it",
            )


def read(path: Path) -> str:
    """Return a small system file's text, or nothing when there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
