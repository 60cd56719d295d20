"""How the environments of two runs differ: what the journals say, else what asv stored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from manualbp.reading.again import bench_of
from manualbp.reading.journal import Fact, clean, environments, objects

if TYPE_CHECKING:
    import pandas as pd

BUSY_LOAD = 0.3
"""Runnable processes per core by which two loads differ enough to be said."""

BUSY_PRESSURE = 10.0
"""Percent of a minute in which processes waited, by which two runs differ enough to be said."""

SAME = "the same"
"""What the one line begins with where no difference is known."""

SAME_MEMORY = 0.05
"""Sizes of memory within it are one: kernels keep different shares for themselves."""

_STORED = {
    "processor": "cpu",
    "cores": "cores",
    "system": "system",
    "python": "python",
    "tensorflow": "tensorflow",
    "flags set by asv": "flags",
}
"""Facts that asv stores itself, by the columns of ``load_results``."""


@dataclass(frozen=True)
class Environment:
    """What is known of a run's environment.

    ``journal`` has each fact's distinct values over the times the run was continued, and is empty
    where there is no journal; ``stored`` has what asv stored.
    """

    journal: Mapping[str, tuple[Fact, ...]]
    stored: Mapping[str, Fact]


def environment_of(run: "pd.DataFrame", result_files: Iterable[Path]) -> Environment:
    """Return what the journals beside a run's result files and its table say of its environment.

    ``run`` holds the rows of one run, perhaps none.
    """
    journal: dict[str, dict[Fact, None]] = {}
    for file in result_files:
        for facts in environments(file):
            for name, value in facts.items():
                journal.setdefault(name, {})[value] = None
    stored = {}
    if len(run):
        row = run.iloc[0]
        stored = {name: _stored(row[column]) for name, column in _STORED.items()}
    return Environment({name: tuple(values) for name, values in journal.items()}, stored)


def differences(base: Environment, head: Environment) -> tuple[str, ...]:
    """Say in a line each what differs between two environments, with both values.

    A fact that changed while one run was measured is said too, and of which side there is no
    journal.  Without a difference there is the one line ``the same``.
    """
    sides = {"base": base, "head": head}
    unknown = [name for name, side in sides.items() if not side.journal]
    lines = []
    if unknown:
        for name in _STORED:
            values = [side.stored.get(name) for side in sides.values()]
            if values[0] != values[1] and all(side.stored for side in sides.values()):
                lines.append(_line(name, [(value,) for value in values]))
    else:
        cores = _cores(base, head)
        for name in dict.fromkeys([*base.journal, *head.journal]):
            both = [side.journal.get(name, (None,)) for side in sides.values()]
            if _differ(name, both, cores):
                lines.append(_line(name, both))
        flags = [side.stored.get("flags set by asv") for side in sides.values()]
        if flags[0] != flags[1]:
            lines.append(_line("flags set by asv", [(value,) for value in flags]))
    if not unknown:
        return tuple(lines) or (SAME,)
    whose = "either side" if len(unknown) == 2 else f"the {unknown[0]}"
    missing = f"of {whose} threads, flags and load are not known: no journal"
    if not lines:
        return (f"{SAME} as far as asv stored it; {missing}",)
    return (*lines, missing)


def result_files_of(path: Path, run: "pd.DataFrame") -> list[Path]:
    """Return the result file that a run's rows were read from, in ``path`` or ``path`` itself.

    It is known by its name, which asv makes of the commit and the environment; in a results
    directory with several of that name it is the one in the machine's folder.
    """
    if path.is_file() or run.empty:
        return [path] if path.is_file() else []
    row = run.iloc[0]
    name = f"{row['commit'][:8]}-{row['environment']}.json"
    found = [file for file in (path / name, *path.glob("*/*.json")) if file.name == name]
    found = [file for file in found if file.is_file()]
    # A machine's name may have been made longer, to tell it from another.
    here = [file for file in found if row["machine"].startswith(file.parent.name)]
    chosen = here or found
    return sorted(chosen, key=lambda file: -len(file.parent.name))[:1] if chosen else []


def process_seconds(result_files: Iterable[Path]) -> dict[str, float]:
    """Return how long a process took for each cell (its ``bench``), the median, by the journals."""
    found: dict[str, list[float]] = {}
    for file in result_files:
        for line in objects(file):
            seconds, parameters = line.get("seconds"), line.get("parameters")
            if line.get("kind") != "process" or line.get("status") not in ("ok", "disturbed"):
                continue
            # A number above a day is no duration of one process.
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                continue
            if 0 < seconds < 86_400 and isinstance(parameters, list):
                cell = bench_of(str(line.get("benchmark")), map(str, parameters))
                found.setdefault(cell, []).append(float(seconds))
    return {cell: median(values) for cell, values in found.items()}


# ---------------------------------------------------------------- words


def _differ(name: str, both: Sequence[tuple[Fact, ...]], cores: float) -> bool:
    """Tell whether a fact's values on the two sides, or within one, are worth a line."""
    numbers = [value for values in both for value in values if isinstance(value, int | float)]
    if name in ("load", "pressure"):
        enough = BUSY_LOAD * cores if name == "load" else BUSY_PRESSURE
        return len(numbers) > 1 and max(numbers) - min(numbers) > enough
    if name == "memory" and numbers and None not in (*both[0], *both[1]):
        return max(numbers) > (1 + SAME_MEMORY) * min(numbers)
    return set(both[0]) != set(both[1]) or len(both[0]) > 1


def _cores(base: Environment, head: Environment) -> float:
    known = [*base.journal.get("usable cores", ()), *head.journal.get("usable cores", ())]
    return min((value for value in known if isinstance(value, int | float)), default=1)


def _line(name: str, both: Sequence[tuple[Fact, ...]]) -> str:
    base, head = (_words(name, values) for values in both)
    if base == head:  # of several values each
        return f"{name}: {base} on both sides"
    return f"{name}: {base} in the base, {head} in the head"


def _words(name: str, values: Sequence[Fact]) -> str:
    numbers = [value for value in values if isinstance(value, int | float)]
    if name in ("load", "pressure") and len(numbers) == len(values) > 1:
        return f"{_word(name, min(numbers))} to {_word(name, max(numbers))}"
    return " and ".join(dict.fromkeys(_word(name, value) for value in values))


def _word(name: str, value: Fact) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value or "empty"
    if name == "memory":
        return f"{value / 2**30:.1f} GiB"
    return f"{value:g} %" if name == "pressure" else f"{value:g}"


def _stored(value: Any) -> Fact:
    """Return what a column holds; missing values compare unequal to themselves, or to nothing."""
    text = "" if value is None else str(value)
    return None if text in ("", "nan", "<NA>") else clean(text)
