"""The names that all rooms share: workloads, modes, devices, calls, and the case they make up.

This module imports neither TensorFlow nor pandas.  Which gradients a workload has, its file says
(``manualbp.workloads``); whoever reads results finds them in the results.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

EXERCISE = "exercise"
"""The workload that everything is about where no other is named."""

BASELINE = "tape"
"""The gradient that every other is compared with: the tape of the workload's own loss."""

MODES = ("eager", "graph", "xla")
"""How TensorFlow executes a step: op by op, ``tf.function``, ``tf.function(jit_compile=True)``."""

DEVICES = ("CPU:0", "GPU:0")
"""The devices the suite measures; one that is absent is skipped.  Elsewhere any name works."""

CALLS = ("function", "concrete")
"""How a step is called: as it is, or through the ``ConcreteFunction`` of its trace."""


@dataclass(frozen=True)
class Case:
    """One thing to measure: workload, gradient, mode, device, batch, and how it is called.

    A further dimension is one more field here, with a default that its text leaves out.
    """

    workload: str
    gradient: str
    mode: str
    device: str = "CPU:0"
    batch: int = 1
    call: str = "function"

    def __str__(self) -> str:
        further = (f for f in fields(self)[5:] if getattr(self, f.name) != f.default)
        named = (self.workload, self.gradient, self.mode, self.device, self.batch)
        return "/".join(map(str, (*named, *(getattr(self, f.name) for f in further))))

    @property
    def baseline(self) -> "Case":
        """The same with the tape."""
        return replace(self, gradient=BASELINE)


def shipped_workloads() -> list[str]:
    """List the workloads in ``manualbp.workloads`` without importing any, the exercise first."""
    names = (path.stem.replace("_", "-") for path in _FOLDER.glob("[!_]*.py"))
    return sorted(names, key=lambda name: (name != EXERCISE, name))


def describe_workload(name: str) -> str:
    """Return the first line of a shipped workload's docstring; nothing of another."""
    path = _FOLDER / f"{name.replace('-', '_')}.py"
    if name not in shipped_workloads():
        return ""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".")


_FOLDER = Path(__file__).parent / "workloads"


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise ``ValueError`` naming the known names when ``name`` is not among them."""
    known = tuple(known)
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}: expected one of {', '.join(known)}")


def check_batch(batch: int) -> None:
    """Raise ``TypeError`` or ``ValueError`` when ``batch`` is not a positive whole number."""
    if isinstance(batch, bool) or not isinstance(batch, int):
        raise TypeError(f"batch must be an int, got {type(batch).__name__} {batch!r}")
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
