"""The facts of a run: machine, versions, commit, dates."""

import pandas as pd

from manualbp.reading.page.model import Run


def facts(run: Run) -> list[tuple[str, str]]:
    """Return the facts of a run by name; what asv did not record is said to be so."""
    row = run.frame.iloc[0]
    started = run.frame["started"]
    found = {
        "machine": row["machine"],
        "processor": row["cpu"],
        "cores": row["cores"],
        "system": row["system"],
        "TensorFlow": row["tensorflow"],
        "Python": row["python"],
        "environment": row["environment"],
        "flags": row["flags"] if _known(row["flags"]) else "none set by asv",
        "commit": row["commit"],
        "commit's date": _date(row["date"]),
        "measured": _span(started),
    }
    return [
        (name, str(value) if _known(value) else "not recorded") for name, value in found.items()
    ]


def _known(value: object) -> bool:
    return value is not None and not pd.isna(value)  # type: ignore[call-overload]


def _date(moment: pd.Timestamp) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if pd.notna(moment) else None


def _span(started: "pd.Series[pd.Timestamp]") -> str | None:
    """Return when the first and the last benchmark started."""
    if started.isna().all():
        return None
    first, last = started.min(), started.max()
    end = f"{last:%H:%M} UTC" if f"{first:%F}" == f"{last:%F}" else _date(last)
    return f"{first:%Y-%m-%d %H:%M} to {end}"
