"""The page: one HTML file that loads nothing, made from the runs it is about.

Every section is a small module from a run's table to plain data; the template, the style sheet and
the script in ``templates`` turn that into what a reader sees.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from manualbp.cases import EXERCISE, MODES
from manualbp.reading.frame import distinct
from manualbp.reading.page import (
    beside,
    compiling,
    curves,
    facts,
    headline,
    matrix,
    past,
    svg,
    tracked,
    words,
)
from manualbp.reading.page.model import Place, Run
from manualbp.reading.page.policy import policy
from manualbp.reading.schema import DISTURBED, FAILED
from manualbp.reading.text import visible

__all__ = ["Run", "render"]


def render(
    runs: Sequence[Run], table: str, command: str, links: Mapping[str, str] | None = None
) -> str:
    """Return the page as HTML.

    ``table`` is the tidy table of all runs' cells as CSV, whose rows the runs' indexes count;
    ``command`` is what made the page, as typed.  ``links`` are those to the other pages of a site:
    relative addresses by their text.  The same input gives the same text.
    """
    places = [place for run in runs for place in run.places]
    sections = _sections(places)
    environment = Environment(
        loader=PackageLoader("manualbp.reading.page"),
        autoescape=True,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {"marker": svg.marker, "words": words}
    style, script = (_source(environment, name) for name in ("page.css", "page.js"))
    style = f"\n{style}\n{matrix.tint_rules(sections['matrices'])}"
    script = f"\n{script}\n"
    return environment.get_template("page.html").render(
        runs=runs,
        answers=sections["answers"],
        sections=sections,
        choices=_choices(runs, places),
        comparison=headline.side_by_side(sections["answers"], runs) if len(runs) > 1 else (),
        tallies=[
            (run, headline.tally(run), headline.named(run, FAILED), headline.named(run, DISTURBED))
            for run in runs
        ],
        facts=[(run, facts.facts(run)) for run in runs],
        imports=tracked.imports_alone(places[0]) if places else None,
        command=command,
        links=links or {},
        clip=matrix.CLIP,
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        files_json=_embedded({"results.csv": table, **_files(sections)}),
    )


def _finalize(value: Any) -> Any:
    """Make text visible before it is escaped; markup has been made of it where it was written."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _sections(places: Sequence[Place]) -> dict[str, list[Any]]:
    """Return every section's content, a list over the places that have any."""

    def over(make: Callable[[Place], Any]) -> list[Any]:
        return [made for place in places if (made := make(place)) is not None]

    return {
        "answers": over(headline.answer),
        "matrices": over(matrix.matrix),
        "speedup": over(curves.speedup),
        "time": over(curves.time),
        "example": over(curves.time_per_example),
        "parts": over(curves.parts),
        "compiling": over(compiling.compiling),
        "accuracy": over(lambda place: tracked.grid(place, "track_error_ulp", "Error")),
        "accuracy_speed": over(tracked.beside_speed),
        "not_finite": [(place, found) for place in places if (found := tracked.not_finite(place))],
        "structure": over(tracked.structure),
        "beside": over(beside.beside),
        "history": over(past.past),
        "memory": over(lambda place: tracked.grid(place, "track_peak_memory", "Peak memory")),
    }


def _choices(runs: Sequence[Run], places: Sequence[Place]) -> list[tuple[str, str, list[Any]]]:
    """Return what a reader may choose: a name in the address, a title, values with their texts."""
    modes = distinct((mode for run in runs for mode in run.frame["mode"]), MODES)
    named = {
        "run": ("Run", [(run.key, run.label) for run in runs]),
        "workload": (
            "Workload",
            [(name, name) for name in distinct((p.workload for p in places), (EXERCISE,))],
        ),
        "device": ("Device", [(name, name) for name in distinct(p.device for p in places)]),
        "mode": ("Mode", [(name, name) for name in modes]),
    }
    return [(name, title, values) for name, (title, values) in named.items() if len(values) > 1]


def _files(sections: dict[str, list[Any]]) -> dict[str, str]:
    """Return the CSV of everything that has one, by the name of its file."""
    files = {}
    for made in (
        item for name, items in sections.items() if name != "not_finite" for item in items
    ):
        files[f"{_name(made)}.csv"] = made.csv
        if isinstance(made, compiling.Compiling):
            files[f"{made.place.name('break-even')}.csv"] = made.break_even_csv
        if isinstance(made, past.Past) and made.figure is not None:
            files[f"{made.figure.name}.csv"] = made.figure.csv
    return files


def _name(made: Any) -> str:
    return made.place.name("headline") if isinstance(made, headline.Answer) else str(made.name)


def _embedded(files: Mapping[str, str]) -> Markup:
    """Return files as JSON that cannot end the element it stands in."""
    data = {name: visible(text, lines=True) for name, text in files.items()}
    return Markup(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))


def _source(environment: Environment, name: str) -> str:
    loader = environment.loader
    assert loader is not None
    return loader.get_source(environment, name)[0]


def label_runs(identities: Iterable[dict[str, str]]) -> list[str]:
    """Return a label for each run: whatever tells it from the others, its path only if need be."""
    known = list(identities)
    telling = [key for key in known[0] if len({identity[key] for identity in known}) > 1]
    without_path = [key for key in telling if key != "path"]
    for keys in (without_path or ["machine"], telling):
        labels = [" · ".join(identity[key] for key in keys) for identity in known]
        if len(set(labels)) == len(labels):
            break
    return labels
