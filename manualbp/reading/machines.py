"""Which results are of one machine: the facts that asv stores, and what differs between two.

A machine's name is text that anybody may choose, so two machines can come with one name: in two
folders, or in one that a second machine has written to.  Their numbers are never mixed: where the
facts differ, the names are made to differ.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

MEMORY_TOLERANCE = 0.05
"""Two sizes of memory within it are one: a kernel keeps a little for itself, each another little
(up to a few percent where it is set to keep a crash's dump); machines differ by a tenth or more."""


LONGEST_NUMBER = 18
"""Digits of a number of cores or bytes; one of more is none, and no column could hold it."""


class Facts(NamedTuple):
    """What tells one machine from another; ``None`` is not known, and tells nothing."""

    cpu: str | None
    cores: int | None
    memory: int | None
    """In bytes."""


def facts_of(stored: Mapping[str, Any]) -> Facts:
    """Read the facts in a ``machine.json``, or in a result file's ``params``."""
    cpu = " ".join(str(stored.get("cpu") or "").split())
    return Facts(cpu or None, whole(stored.get("num_cpu")), whole(stored.get("ram")))


def facts_in(run: "pd.DataFrame") -> Facts:
    """Return the facts of the machine of a run, rows of ``load_results``'s table."""
    return _as_facts(run[list(Facts._fields)].iloc[0])


def whole(text: object) -> int | None:
    """Read a number of ``machine.json``, which holds text and may be written by hand."""
    digits = str(text)
    return int(digits) if digits.isdecimal() and len(digits) <= LONGEST_NUMBER else None


def differing(one: Facts, other: Facts) -> list[str]:
    """Name the facts that are known of both and differ: they are two machines if there are any."""
    return [
        name
        for name, left, right in zip(Facts._fields, one, other, strict=True)
        if left is not None and right is not None and not _equal(name, left, right)
    ]


def fact(name: str, facts: Facts) -> str:
    """Return one of the facts in words: ``AMD EPYC``, ``2 cores``, ``25.3 GB``."""
    value = getattr(facts, name)
    if value is None:
        return f"{name} unknown"
    if name == "memory":
        return f"{value / 1e9:.3g} GB"
    return f"{value} {'core' if value == 1 else name}" if name == "cores" else str(value)


def tell_apart(frames: Sequence["pd.DataFrame"]) -> list["pd.DataFrame"]:
    """Give machines of one name that are not one machine names of their own.

    ``frames`` are tables of ``load_results``.  Of each name whose rows have facts that differ, in
    one table or between them, the column ``machine`` says in brackets what differs: ``desk
    (2 cores)`` and ``desk (8 cores)``.  Rows whose missing facts fit several of the machines are
    of neither.  All other rows stay as they are; names that were told apart before are understood.
    """
    import pandas as pd

    known = [frame[["machine", *Facts._fields]].drop_duplicates() for frame in frames]
    found: dict[str, set[Facts]] = {}
    for machine, *values in pd.concat(known).itertuples(index=False):
        found.setdefault(machine, set()).add(_as_facts(values))
    namesakes: dict[str, list[str]] = {}
    for machine, several in found.items():
        namesakes.setdefault(_without_brackets(machine, several), []).append(machine)
    names: dict[tuple[str, Facts], str] = {}
    for plain, machines in namesakes.items():
        groups = _groups(set().union(*(found[machine] for machine in machines)))
        labels = _labels(plain, groups) if len(groups) > 1 else [max(machines, key=len)]
        for label, group in zip(labels, groups, strict=True):
            names |= {(machine, facts): label for machine in machines for facts in group}
    if all(machine == label for (machine, _), label in names.items()):
        return list(frames)
    return [_renamed(frame, names) for frame in frames]


def _groups(several: Iterable[Facts]) -> list[list[Facts]]:
    """Put the facts of one machine together, the surest first: what is complete, and smaller."""
    groups: list[list[Facts]] = []
    for facts in sorted(several, key=_order):
        fitting = [group for group in groups if not differing(group[0], facts)]
        if len(fitting) == 1:
            fitting[0].append(facts)
        else:
            groups.append([facts])
    return groups


def _labels(plain: str, groups: Sequence[Sequence[Facts]]) -> list[str]:
    firsts = [group[0] for group in groups]
    telling = {name for one in firsts for other in firsts for name in differing(one, other)}
    words = [[fact(name, first) for name in Facts._fields if name in telling] for first in firsts]
    return [f"{plain} ({', '.join(each)})" for each in words]


def _without_brackets(machine: str, several: Iterable[Facts]) -> str:
    """Return the name that a machine had before it was told apart, or the name that it has."""
    first = min(several, key=_order)
    for count in range(1, len(first) + 1):
        for names in itertools.combinations(first._fields, count):
            brackets = f" ({', '.join(fact(name, first) for name in names)})"
            if machine.endswith(brackets):
                return machine.removesuffix(brackets)
    return machine


def _renamed(frame: "pd.DataFrame", names: Mapping[tuple[str, Facts], str]) -> "pd.DataFrame":
    columns = ["machine", *Facts._fields]
    numbers = frame.groupby(columns, sort=False, dropna=False).ngroup()
    distinct = frame[columns].assign(number=numbers).drop_duplicates("number")
    renamed = {
        number: names[machine, _as_facts(values)]
        for machine, *values, number in distinct.itertuples(index=False)
    }
    return frame.assign(machine=numbers.map(renamed))


def _as_facts(values: Iterable[Any]) -> Facts:
    import pandas as pd

    cpu, cores, memory = (None if pd.isna(value) else value for value in values)
    as_number = [None if number is None else int(number) for number in (cores, memory)]
    return Facts(None if cpu is None else " ".join(cpu.split()), *as_number)


def _order(facts: Facts) -> tuple[int, str, int, int]:
    return facts.count(None), facts.cpu or "", facts.cores or 0, facts.memory or 0


def _equal(name: str, left: Any, right: Any) -> bool:
    if name == "memory":
        return bool(abs(left - right) <= MEMORY_TOLERANCE * max(left, right))
    return bool(left == right)
