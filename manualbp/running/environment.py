"""What of this machine and its settings changes a measurement: facts to store beside results.

Nothing here says whose machine it is: no host's name, no user's, no path.
"""

import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Fact = str | float | None
"""Text, a number, or None for what is not set or what the system does not tell."""

PACKAGES = ("tensorflow", "numpy", "keras")

TENSORFLOW_VARIABLES = (
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"),
    *("TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "TF_XLA_FLAGS", "NVIDIA_TF32_OVERRIDE"),
)
"""Environment variables that change what TensorFlow does."""

NUMPY_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE")
"""Environment variables that change NumPy's matrix product, and so the control."""

SETTINGS = ("usable cores", "core quota", *PACKAGES, *TENSORFLOW_VARIABLES, *NUMPY_VARIABLES)
"""Facts under which a step is another one: values of two of them are no sample of one quantity."""

LONGEST = 500
"""Characters kept of a variable's value."""

CPU = Path("/sys/devices/system/cpu")
CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")


def facts(variables: Mapping[str, str] = os.environ) -> dict[str, Fact]:
    """Collect the facts by name, all of them each time; TensorFlow is not imported.

    ``memory`` is in bytes, ``load`` the runnable processes of the last minute, ``pressure`` the
    percentage of that minute in which some process waited for a core, ``core quota`` how many
    cores a container may use.  An environment variable is a fact of its own name; a path in it is
    replaced (``without_paths``).
    """
    return {
        "usable cores": usable_cores(),
        "core quota": core_quota(),
        "processor": processor(),
        "memory": memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "governor": read(CPU / "cpu0/cpufreq/scaling_governor") or None,
        "turbo": turbo(),
        "python": platform.python_version(),
        **{package: installed(package) for package in PACKAGES},
        **{
            name: without_paths(variables[name]) if name in variables else None
            for name in (*TENSORFLOW_VARIABLES, *NUMPY_VARIABLES)
        },
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "pressure": pressure(),
    }


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def core_quota() -> float | None:
    """Return how many cores' time a container's limit leaves, where there is such a limit."""
    allowed, _, period = read(CGROUP / "cpu.max").partition(" ")
    if not (allowed.isdecimal() and period.isdecimal() and int(period)):  # "max" is no limit
        return None
    return round(int(allowed) / int(period), 3)


def processor() -> str | None:
    """Return the processor's name."""
    found = re.search(r"^model name\s*:\s*(.+)$", read(PROC / "cpuinfo"), re.MULTILINE)
    name = found.group(1) if found else platform.processor() or platform.machine()
    return " ".join(name.split()) or None


def memory() -> int | None:
    """Return the bytes of memory, where the system tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no such call, no such name, no answer
        return None


def turbo() -> str | None:
    """Tell whether the clock may rise above its nominal rate: ``on``, ``off``, or not known."""
    states = {
        "on": read(CPU / "intel_pstate/no_turbo") == "0" or read(CPU / "cpufreq/boost") == "1",
        "off": read(CPU / "intel_pstate/no_turbo") == "1" or read(CPU / "cpufreq/boost") == "0",
    }
    return next((state for state, holds in states.items() if holds), None)


def pressure() -> float | None:
    """Return the percentage of the last minute in which some process waited for a core."""
    found = re.search(r"^some .*\bavg60=([\d.]+)", read(PROC / "pressure/cpu"), re.MULTILINE)
    return float(found.group(1)) if found else None


def oom_kills() -> int:
    """Return how many processes Linux has killed since it started because memory ran out."""
    found = re.search(r"^oom_kill (\d+)$", read(PROC / "vmstat"), re.MULTILINE)
    return int(found.group(1)) if found else 0


def installed(package: str) -> str | None:
    """Return the installed version of a package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def without_paths(value: str) -> str:
    """Return a variable's value with every path in it replaced by an ellipsis.

    A path is what has a slash in it, and the value of an option whose name says so
    (``--xla_dump_to=…``); as a path may hold spaces, it ends where the next option begins.
    """
    rest = r"(?:(?!\s--).)*"
    named = rf"(--\w*(?:_to|_dir|_directory|_path|_file)=){rest}"
    hidden = re.sub(named, r"\1…", value, flags=re.DOTALL)
    hidden = re.sub(rf"[^\s=]*[/\\]{rest}", "…", hidden, flags=re.DOTALL)
    return hidden if len(hidden) <= LONGEST else hidden[: LONGEST - 1] + "…"


def read(path: Path) -> str:
    """Return a small system file's text, or nothing when there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
