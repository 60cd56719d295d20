"""``manualbp doctor``: what this machine has, what will disturb a measurement, and the remedy."""

import argparse
import time
from collections.abc import Iterator, Mapping

from manualbp.cli import quiet
from manualbp.running import environment
from manualbp.running.environment import Fact, installed

DESCRIPTION = """
Show versions, devices, threads and load, and name what will disturb a measurement here together
with its remedy.  Exit status 0, or 1 when something is missing without which nothing runs.
"""

PACKAGES = (*environment.PACKAGES, "pandas", "matplotlib", "asv", "asv_runner")

OPTIONAL = ("jax", "numba", "torch")
"""Other libraries in which the same step is measured; what is absent is skipped."""

WATCH_S = 1.0
"""How long the machine is watched for what other programs take."""

BUSY_LOAD = 0.3
"""Runnable processes beside this one, per core, from which a measurement suffers."""

SHOWN = ("processor", "usable cores", "memory", "governor", "turbo", "load", "pressure")
"""The facts of the environment that are printed where they are known; variables are warned of."""


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
    known = environment.facts()  # before TensorFlow's import adds to the load
    versions = {package: installed(package) for package in PACKAGES}
    missing = [package for package, found in versions.items() if found is None]
    facts = {"python": str(known["python"]), "kernel": str(known["kernel"])}
    facts |= {package: found or "not installed" for package, found in versions.items()}
    for package in OPTIONAL:
        facts[package] = installed(package) or "not installed (optional)"
    facts |= {name: text for name in SHOWN if (text := say(name, known[name]))}
    if "tensorflow" not in missing:
        facts |= tensorflow_facts()
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}}  {value}")
    print()
    warnings = [*others_now(), *disturbances(known)]
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


def say(name: str, fact: Fact) -> str:
    """Return a fact in words; nothing for what the system does not tell."""
    if fact is None:
        return ""
    if isinstance(fact, str):
        return fact
    return {
        "memory": f"{fact / 2**30:.1f} GiB",
        "load": f"{fact:.2f} (runnable processes, last minute)",
        "pressure": f"{fact:g} % (of the last minute, a process waited for a core)",
    }.get(name, f"{fact:g}")


def others_now() -> Iterator[tuple[str, str]]:
    """Watch the machine for a second, and yield what would have values discarded now."""
    from manualbp.measuring.disturbance import Watch

    watch = Watch()
    time.sleep(WATCH_S)
    if reason := watch.read().reason:
        yield (
            f"{reason} in the last second: a value measured now is discarded",
            "end them, or wait; 'manualbp run' tries again while its time remains",
        )


def disturbances(known: Mapping[str, Fact]) -> Iterator[tuple[str, str]]:
    """Yield what will disturb a measurement here, each with its remedy."""
    cores, load = known["usable cores"], known["load"]
    assert isinstance(cores, int | float)
    if isinstance(load, float) and load > BUSY_LOAD * cores:
        yield (
            f"the load is {load:.2f} on {cores} cores: other programs are running",
            "end them, or wait; trust ratios (interleaved), not absolute times",
        )
    if cores <= 2:
        yield (
            f"{cores} cores: TensorFlow's threads, asv and the system share them",
            "trust ratios; leave the machine alone while measuring",
        )
    if known["core quota"] is not None:
        yield (
            f"a container's limit leaves {known['core quota']:g} cores' time: threads are stopped "
            "in the middle of a block when it is used up",
            "measure without the limit, or set it to at least the number of usable cores",
        )
    governor = known["governor"]
    if governor not in (None, "performance"):
        yield (
            f"the frequency governor is {governor!r}: clocks change while measuring",
            "sudo cpupower frequency-set -g performance",
        )
    if known["turbo"] == "on":
        yield (
            "turbo is on: the clock depends on temperature and on other cores",
            "switch it off, for example with 'sudo python -m pyperf system tune'",
        )
    if "hypervisor" in environment.read(environment.PROC / "cpuinfo"):
        yield (
            "this is a virtual machine: neighbours take cycles that no load shows",
            "measure more processes (run again: a run adds to the last); trust ratios",
        )
    concerned = {
        "what TensorFlow does": environment.TENSORFLOW_VARIABLES,
        "NumPy's matrix product, and so the control": environment.NUMPY_VARIABLES,
    }
    for what, names in concerned.items():
        for name in names:
            if known[name] is not None:
                yield (
                    f"{name}={known[name]} changes {what}",
                    f"unset {name}, or compare only with results measured under it",
                )
