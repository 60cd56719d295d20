"""The command that measures a cell again, and no other."""

import itertools
import re
import shlex
from collections.abc import Iterable, Sequence

_QUOTES = re.compile("['\"]")


def bench_of(benchmark: str, parameters: Iterable[str] = ()) -> str:
    """Return the regular expression that selects one cell alone, for ``--bench``.

    ``parameters`` are the reprs that asv stores.  asv searches for the expression in
    ``name(parameter, parameter)``, or in the name alone of a benchmark without parameters.  A dot
    stands for each quote, so that a shell needs no more than one pair around the whole.
    """
    values = [_escape(value) for value in parameters]
    return f"^{_escape(benchmark)}{_bracketed(values)}$"


def _bracketed(values: Sequence[str]) -> str:
    return rf"\({', '.join(values)}\)" if values else ""


def _escape(text: str) -> str:
    """Escape what a regular expression would read in another way; spaces stay as they are."""
    return _QUOTES.sub(".", re.escape(text)).replace(r"\ ", " ")


def together(benches: Sequence[str]) -> list[str]:
    """Return fewer expressions that select the same cells, where that is plain to see.

    Cells of one benchmark become one expression if they are all combinations of their values, as
    two gradients at three batches; the others stay as they are.  ``benches`` are of ``bench_of``.
    """
    groups: dict[tuple[str, int], dict[tuple[str, ...], str]] = {}
    for bench in benches:
        head, _, rest = bench.partition(r"\(")
        values = tuple(rest.removesuffix(r"\)$").split(", ")) if rest else ()
        groups.setdefault((head, len(values)), {})[values] = bench
    merged = []
    for (head, _), cells in groups.items():
        choices = [list(dict.fromkeys(column)) for column in zip(*cells, strict=True)]
        if set(cells) == set(itertools.product(*choices)) and len(cells) > 1:
            merged.append(f"{head}{_bracketed([_one_of(choice) for choice in choices])}$")
        else:
            merged += cells.values()
    return merged


def _one_of(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"({'|'.join(values)})"


def run_command(bench: str) -> str:
    """Return the shell command that measures these cells of the checked-out commit again."""
    return f"manualbp run --bench {shlex.quote(bench)}"


def gate_command(base: str, head: str, bench: str, processes: int | None = None) -> str:
    """Return the shell command that judges these cells of two commits again.

    ``processes`` are those of the second look, where more are needed than usual.
    """
    more = f" --processes {processes}" if processes else ""
    return shlex.join(["manualbp", "gate", base, head]) + f" --bench {shlex.quote(bench)}{more}"
