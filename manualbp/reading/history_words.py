"""The history of a machine in words: which levels changed, at which commit, and beside what."""

from typing import Any

import pandas as pd

from manualbp.reading.figures import short_commit
from manualbp.reading.frame import distinct, records
from manualbp.reading.history import MARKS, apart, change_points, history, name_case
from manualbp.reading.levels import SHORTEST
from manualbp.reading.schema import OK, QUANTITIES
from manualbp.reading.text import code, in_markdown, markdown_table

_NAMES = {
    "tensorflow_changed": "TensorFlow",
    "environment_changed": "environment",
    "cpu_changed": "processor or cores",
}

HOW_TO_READ = f"""\
A change is a level that at least {SHORTEST} commits have after at least {SHORTEST} commits had \
another, too clear for chance (Welch's t, p at most 0.001); numbers that are counted, not \
measured, change with any difference. In parentheses stands the 95 % interval. Small and short \
changes are missed: `docs/history.md` says how many. The newest commit alone is judged by \
comparing two commits, not here."""


def history_markdown(frame: pd.DataFrame) -> str:
    """Return the section on the history of ``load_results``'s table, a part for each machine."""
    lines = history(frame)
    return changes_markdown(lines, change_points(lines))


def changes_markdown(lines: pd.DataFrame, found: pd.DataFrame, picture: str | None = None) -> str:
    """Return the section from the tables of ``history`` and ``change_points``.

    ``picture`` is the relative path of a figure to show.
    """
    lines, found = in_markdown(lines), in_markdown(found)
    parts = ["## History"]
    if picture is not None:
        parts.append(f"![History over commits]({picture})")
    for machine in distinct(lines["machine"]):
        parts += _machine(lines[lines["machine"] == machine], found[found["machine"] == machine])
    return "\n\n".join([*parts, HOW_TO_READ]) + "\n"


def _machine(lines: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    lines, found = apart(lines), apart(found)
    commits = lines.drop_duplicates("place").sort_values("place")
    first, last = (code(short_commit(hash_)) for hash_ in commits["commit"].iloc[[0, -1]])
    machine = lines["machine"].iloc[0]
    parts = [f"{machine}: {_count(len(commits), 'commit')}, {first} to {last}. {_beside(lines)}"]
    parts.append(_verdict(lines, found))
    if not found.empty:
        rows = [_row(change) for change in records(_in_order(found, commits))]
        heads = ["commit", "date", "quantity", "case", "before", "after", "change", "with it"]
        parts.append(markdown_table(rows, heads))
    return parts


def _beside(lines: pd.DataFrame) -> str:
    """Say what changed beside the code, and at which commits."""
    parts = []
    for mark in MARKS:
        changed = lines[lines[mark]].drop_duplicates("place").sort_values("place")
        if len(changed):
            places = ", ".join(code(short_commit(hash_)) for hash_ in changed["commit"])
            parts.append(f"{_NAMES[mark]} at {places}")
    if not parts:
        return "TensorFlow, environment and processor stayed the same."
    return f"Changed beside the code: {'; '.join(parts)}."


def _verdict(lines: pd.DataFrame, found: pd.DataFrame) -> str:
    """Say how many lines changed, and of how many nothing can be said."""
    good = lines[(lines["status"] == OK) & lines["quantity"].isin(list(QUANTITIES))]
    counts = good.groupby("series").size()
    exact = good.groupby("series")["quantity"].first().map(lambda name: QUANTITIES[name].exact)
    enough = counts >= exact.map({True: 2, False: 2 * SHORTEST}).astype("int64")
    text = f"{_count(found['series'].nunique(), 'line')} of {int(enough.sum())} changed"
    if not enough.any():
        text = "No line is long enough to tell a change from noise"
    short = int((~enough).sum())
    if short:
        text += f"; {_count(short, 'line')} with fewer than {2 * SHORTEST} measured commits"
        text += f" {'says' if short == 1 else 'say'} nothing"
    return f"{text}."


def _in_order(found: pd.DataFrame, commits: pd.DataFrame) -> pd.DataFrame:
    places = dict(zip(commits["commit"], commits["place"], strict=True))
    order = found["commit"].map(places)
    return found.loc[order.sort_values(ascending=False, kind="stable").index]


def _row(change: dict[str, Any]) -> tuple[str, ...]:
    return (
        code(short_commit(change["commit"])),
        f"{change['date']:%Y-%m-%d}" if pd.notna(change["date"]) else "not recorded",
        change["quantity"].replace("_", " "),
        name_case(change),
        _value(change["before"], change["unit"]),
        _value(change["after"], change["unit"]),
        size_of_change(change),
        ", ".join(f"other {_NAMES[mark]}" for mark in MARKS if change[mark]),
    )


def size_of_change(change: dict[str, Any]) -> str:
    """Say how large a change of level is, with its interval."""
    if change["exact"]:
        return f"{change['after'] - change['before']:+g}"
    worse, better = (
        ("slower", "faster") if change["kind"] in ("time", "ratio") else ("more", "less")
    )
    size = f"{100 * abs(change['ratio'] - 1):.1f} % {worse if change['ratio'] > 1 else better}"
    low, high = (100 * (change[end] - 1) for end in ("low", "high"))
    return f"{size} ({low:+.1f} to {high:+.1f} %)"


def _value(value: float, unit: str) -> str:
    if unit == "bytes" and value >= 2**20:
        return f"{value / 2**20:,.1f} MiB"
    if unit == "seconds":
        for scale, name in ((1e6, "µs"), (1e3, "ms")):
            if value * scale < 999.5:
                return f"{value * scale:.3g} {name}"
        return f"{value:.3g} s"
    return f"{value:.3f}" if unit == "ratio" else f"{value:,.10g}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
