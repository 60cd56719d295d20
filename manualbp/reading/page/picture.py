"""The answer as one picture for a README: the matrix above the speedup's curves, light or dark."""

from importlib.resources import files

from markupsafe import Markup

from manualbp.reading.page import curves, matrix
from manualbp.reading.page.model import Place
from manualbp.reading.page.svg import marker
from manualbp.reading.text import html

THEMES = ("light", "dark")

_WIDTH, _MARGIN, _ROW, _GAP = 960, 16, 34, 10
_LABEL, _LONGEST = 112, 300
"""Width of the gradients' names beside the matrix: at least, and at most."""
_NOTE = 580
"""Width of the note under the picture."""
_CURVE = (390, 272)
"""Width and height of a panel of curves as ``svg.draw`` makes it."""

_STYLE = """
.cell text { font-size: 13px; fill: var(--ink); text-anchor: middle; }
.cell .fast, .cell .slow { fill: color-mix(in oklab, var(--side) var(--share), var(--page)); }
.cell .fast { --side: var(--fast); } .cell .slow { --side: var(--slow); }
.cell .level { fill: url(#hatch); } .cell .none { fill: none; }
.cell .failed { fill: none; stroke: var(--failed); stroke-width: 2; }
.cell .disturbed { fill: none; stroke: var(--ink); stroke-width: 2; stroke-dasharray: 2 4; }
:root { font-family: system-ui, "Segoe UI", Helvetica, Arial, "Liberation Sans", sans-serif; }
.title { font-size: 14px; fill: var(--ink); font-weight: 600; }
.head { font-size: 12px; fill: var(--muted); }
"""


def picture(place: Place, theme: str) -> str | None:
    """Return the picture of a place as an SVG file's text, or nothing where it has no speedup."""
    table, curve = matrix.matrix(place), curves.speedup(place)
    if table is None or curve is None:
        return None
    count = len(table.panels)
    wide = (_WIDTH - 2 * _MARGIN - (count - 1) * _GAP) / count
    parts, y = [], 30.0
    longest = max(len(gradient) for panel in table.panels for gradient, *_ in panel.lines)
    label = min(max(_LABEL, 26 + 8 * longest), _LONGEST)
    for panel in table.panels:
        parts.append(_matrix(panel, y, label))
        y += 50 + _ROW * len(panel.lines)
    y += 18
    high = wide * _CURVE[1] / _CURVE[0]
    for number, drawing in enumerate(curve.panels):
        x = _MARGIN + number * (wide + _GAP)
        place_ = f'<svg x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" '
        parts.append(
            f'<text class="title" x="{x:.1f}" y="{y - 8:.1f}">{html(drawing.title)}</text>'
        )
        parts.append(str(drawing.picture).replace("<svg ", place_, 1))
    legend = y + high + 18
    x = float(_MARGIN)
    for key in curve.legend:
        if key.look is not None:
            width = 34 + 7 * len(key.text)
            if x > _MARGIN and x + width > _WIDTH:
                x, legend = float(_MARGIN), legend + 20
            parts.append(
                f'<g class="look-{key.look}"><g class="point" transform="translate({x + 5:.0f} '
                f'{legend - 4:.0f})">{marker(key.look)}</g></g>'
                f'<text class="head" x="{x + 16:.0f}" y="{legend:.0f}">{html(key.text)}</text>'
            )
            x += width
    if x + _NOTE > _WIDTH:
        legend += 20
    note = (
        "speedup over the tape: above 1× is faster; bands: 95 % intervals; hatched: no difference"
    )
    parts.append(
        f'<text class="head" x="{_WIDTH - _MARGIN}" y="{legend:.0f}" text-anchor="end">'
        f"{note}</text>"
    )
    height = legend + 14
    style = files("manualbp.reading.page").joinpath("templates/page.css").read_text("utf-8")
    said = "; ".join(f"{panel.mode}: {panel.finding}" for panel in table.panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" data-theme="{theme}" '
        f'viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" height="{height:.0f}" role="img" '
        f'aria-label="{html(said)}">'
        f"<style>{_escaped(style)}{_STYLE}</style>"
        '<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path d="M0 0V7" stroke="var(--hatch)" /></pattern>'
        f'<rect width="{_WIDTH}" height="{height:.0f}" rx="8" style="fill: var(--page)"/>'
        f'{"".join(parts)}</svg>\n'
    )  # fmt: skip


def _matrix(panel: matrix.Panel, y: float, label: int) -> str:
    width = (_WIDTH - 2 * _MARGIN - label) / len(panel.batches)
    parts = [f'<text class="title" x="{_MARGIN}" y="{y:.0f}">{html(panel.title)}</text>']
    for number, batch in enumerate(panel.batches):
        x = _MARGIN + label + (number + 0.5) * width
        text = f"batch {batch:,}" if number == 0 else f"{batch:,}"
        parts.append(
            f'<text class="head" x="{x:.0f}" y="{y + 18:.0f}" text-anchor="middle">{text}</text>'
        )
    for row, (gradient, look, cells) in enumerate(panel.lines):
        top = y + 26 + row * _ROW
        middle = top + _ROW / 2 + 3.5
        parts.append(
            f'<g class="look-{look}"><g class="point" '
            f'transform="translate({_MARGIN + 6} {middle - 4:.0f})">{marker(look)}</g></g>'
            f'<text class="title" x="{_MARGIN + 18}" y="{middle:.0f}">{html(gradient)}</text>'
        )
        for number, cell in enumerate(cells):
            x = _MARGIN + label + number * width
            share = 20 + 0.8 * cell.tint
            parts.append(
                f'<g class="cell"><rect class="{cell.kind}" style="--share: {share:.0f}%" '
                f'x="{x + 1:.1f}" y="{top + 1:.1f}" width="{width - 2:.1f}" height="{_ROW - 2}" '
                f'rx="4"/>{_text(cell, x + width / 2, middle)}</g>'
            )
    return "".join(parts)


def _text(cell: matrix.Cell, x: float, y: float) -> str:
    sign = {"fast": "▲ ", "slow": "▼ "}.get(cell.kind, "")
    weight = ' font-weight="700"' if sign else ""
    back = (
        f'<rect style="fill: var(--page)" x="{x - 19:.0f}" y="{y - 13:.0f}" width="38" '
        'height="18"/>'
        if cell.kind == "level"
        else ""
    )
    return f'{back}<text x="{x:.0f}" y="{y:.0f}"{weight}>{sign}{html(cell.text)}</text>'


def _escaped(style: str) -> Markup:
    """Return a style sheet as XML text."""
    return Markup(style.replace("&", "&amp;").replace("<", "&lt;"))
