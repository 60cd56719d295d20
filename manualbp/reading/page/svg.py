"""Panels as SVG: logarithmic axes, lines with bands, and points that know what they stand for.

Colours are the style sheet's business (``look-0`` is the baseline, ``look-1`` and on the others),
so that one drawing serves light, dark and paper.  A point carries its words (``data-tip``) and its
row in the table of cells (``data-row``); the script shows both.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from manualbp.reading.looks import LOOKS
from manualbp.reading.text import html

WIDTH, HEIGHT = 390, 272
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 40
_CROSS_STRIP = 15
"""Height of the strip that one gradient's crosses take under the data."""

_WHISKERS = 40
"""A line of more points has its band alone: whiskers would hide it."""

_SHAPES = (
    '<circle r="3.6"/>',
    '<rect x="-3.3" y="-3.3" width="6.6" height="6.6"/>',
    '<path d="M0-4.6 4.3 3.2-4.3 3.2Z"/>',
    '<path d="M0-4.8 4.2 0 0 4.8-4.2 0Z"/>',
    '<path d="M0 4.6-4.3-3.2 4.3-3.2Z"/>',
    '<path d="M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3Z"/>',
    '<path d="M0-4.5 4.3-1.4 2.6 3.7H-2.6L-4.3-1.4Z"/>',
)


_SIGNS = {
    "failed": "M-4-4 4 4M4-4-4 4",
    "disturbed": "M-5-1.2Q-2.5-4.2 0-1.7T5-2.2M-5 2.8Q-2.5-.2 0 2.3T5 1.8",
}
"""A cross and an ≈, over the hollow marker of the gradient: told by shape as well as colour."""

_Place = Callable[[float], float]


@dataclass(frozen=True)
class Axis:
    """An axis: its range, its ticks (value and text), its label; logarithmic unless it counts."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    label: str
    counts: bool = False

    def place(self, value: float) -> float:
        """Return where on the axis a value lies, from 0 to 1."""
        if self.counts:
            return (value - self.low) / (self.high - self.low)
        return math.log(value / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True)
class Point:
    """A measured value: its place, its interval (NaN where there is none), its words, its row.

    One without words is part of its line only: it has no marker.
    """

    x: float
    y: float
    low: float
    high: float
    tip: str
    row: int | None = None


@dataclass(frozen=True)
class Line:
    """A gradient's points in one panel.

    ``failed`` and ``disturbed`` are points whose ``y`` means nothing: marks under the data.
    """

    name: str
    look: int
    points: tuple[Point, ...]
    failed: tuple[Point, ...] = ()
    dash: str = ""
    joined: bool = True
    disturbed: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Yardstick:
    """A grey line to compare with: the launch floor, the control in NumPy."""

    name: str
    style: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Event:
    """Something that happened at one place of the batch or commit axis, and its words.

    ``kind`` is ``mark`` for what changed around the code, ``change`` for a change of level.
    """

    kind: str
    x: float
    text: str


@dataclass(frozen=True)
class Panel:
    """One panel of a figure; ``finding`` is its alternative text and says what it shows."""

    title: str
    finding: str
    lines: tuple[Line, ...]
    x: Axis
    y: Axis
    mode: str | None = None
    parity: bool = False
    zone: tuple[tuple[float, float, float], ...] = ()
    yardsticks: tuple[Yardstick, ...] = ()
    events: tuple[Event, ...] = ()


def marker(look: int) -> Markup:
    """Return a gradient's marker, to be placed."""
    return Markup(_SHAPES[look % LOOKS])


def draw(panel: Panel) -> Markup:
    """Return a panel as one SVG element with ``role="img"`` and its finding as the label."""
    strip = _CROSS_STRIP * sum(bool(line.failed or line.disturbed) for line in panel.lines)
    floor = HEIGHT - _BOTTOM - strip

    def x(value: float) -> float:
        return _LEFT + panel.x.place(value) * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return floor - panel.y.place(value) * (floor - _TOP)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html(panel.finding)}">']
    for value, text in panel.y.ticks:
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{WIDTH - _RIGHT}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{y(value) + 3.6:.1f}" text-anchor="end">'
            f"{html(text)}</text>"
        )
    bottom = HEIGHT - _BOTTOM
    last = -math.inf
    for value, text in panel.x.ticks:
        parts.append(f'<path class="axis" d="M{x(value):.1f} {bottom}v4"/>')
        if x(value) - last < 7 * (len(text) + 0.5):  # its neighbour's text would touch it
            continue
        last = x(value)
        parts.append(
            f'<text class="tick" x="{x(value):.1f}" y="{bottom + 16}" text-anchor="middle">'
            f"{html(text)}</text>"
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{WIDTH - _RIGHT}"/>')
    parts.append(
        f'<text class="label" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 6}" '
        f'text-anchor="middle">{html(panel.x.label)}</text>'
    )
    if panel.zone:
        parts.append(_band("zone", [(x(v), y(low), y(high)) for v, low, high in panel.zone]))
    if panel.parity:
        parts.append(f'<path class="parity" d="M{_LEFT} {y(1):.1f}H{WIDTH - _RIGHT}"/>')
    # Bands and yardsticks may leave the panel: what is outside is cut.
    parts.append(
        f'<svg x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - _RIGHT}" height="{floor - _TOP}" '
        f'viewBox="{_LEFT} {_TOP} {WIDTH - _LEFT - _RIGHT} {floor - _TOP}">'
    )
    parts += [_yardstick(stick, x, y) for stick in panel.yardsticks]
    parts += [_intervals(line, x, y) for line in panel.lines]
    parts.append("</svg>")
    parts += [_line(line, x, y) for line in panel.lines]
    parts += [_event(event, x(event.x), floor) for event in panel.events]
    row = 0
    for line in panel.lines:
        if line.failed or line.disturbed:
            row += 1
            height = floor + _CROSS_STRIP * (row - 0.35)
            for kind in _SIGNS:
                parts += [
                    _mark(kind, line, point, x(point.x), height) for point in getattr(line, kind)
                ]
    parts.append("</svg>")
    return Markup("".join(parts))


def _intervals(line: Line, x: _Place, y: _Place) -> str:
    known = [point for point in line.points if not math.isnan(point.low)]
    parts = []
    if line.joined and len(known) > 1:
        parts.append(_band("band", [(x(p.x), y(p.low), y(p.high)) for p in known]))
    if len(known) <= _WHISKERS:
        parts += [
            f'<path class="whisker" d="M{x(p.x):.1f} {y(p.low):.1f}V{y(p.high):.1f}"/>'
            for p in known
        ]
    return f'<g class="look-{line.look % LOOKS}">{"".join(parts)}</g>'


def _line(line: Line, x: _Place, y: _Place) -> str:
    parts = []
    if line.joined and len(line.points) > 1:
        path = "L".join(f"{x(p.x):.1f} {y(p.y):.1f}" for p in line.points)
        parts.append(f'<path class="line" stroke-dasharray="{line.dash}" d="M{path}"/>')
    parts += [_point(p, x(p.x), y(p.y), _SHAPES[line.look % LOOKS]) for p in line.points if p.tip]
    return f'<g class="look-{line.look % LOOKS}">{"".join(parts)}</g>'


def _point(point: Point, x: float, y: float, shape: str) -> str:
    row = "" if point.row is None else f' data-row="{point.row}"'
    return (
        f'<g class="point" transform="translate({x:.1f} {y:.1f})" '
        f'data-tip="{html(point.tip)}"{row}>{shape}</g>'
    )


def _mark(kind: str, line: Line, point: Point, x: float, y: float) -> str:
    shape = f'<g class="hollow">{_SHAPES[line.look % LOOKS]}</g><path d="{_SIGNS[kind]}"/>'
    return f'<g class="{kind} look-{line.look % LOOKS}">{_point(point, x, y, shape)}</g>'


def _event(event: Event, x: float, floor: float) -> str:
    if event.kind == "mark":
        line = f'<path d="M{x:.1f} {_TOP}V{floor}"/>'
        shape, y = '<path d="M0-4 4 0 0 4-4 0Z"/>', float(_TOP)
    else:
        line, shape, y = "", '<path d="M0-9 4-1-4-1Z"/>', float(floor)
    point = Point(0, 0, math.nan, math.nan, event.text)
    return f'<g class="event {event.kind}">{line}{_point(point, x, y, shape)}</g>'


def _yardstick(stick: Yardstick, x: _Place, y: _Place) -> str:
    places = [(x(p.x), y(p.y)) for p in stick.points]
    if len(places) == 1:  # it touches no data, so one batch stands for all
        places = [(_LEFT, places[0][1]), (WIDTH - _RIGHT, places[0][1])]
    path = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
    dots = "".join(_point(p, x(p.x), y(p.y), '<circle r="2"/>') for p in stick.points)
    return f'<g class="yardstick {stick.style}"><path d="M{path}"/>{dots}</g>'


def _band(kind: str, edges: Sequence[tuple[float, float, float]]) -> str:
    there = "L".join(f"{a:.1f} {low:.1f}" for a, low, _ in edges)
    back = "L".join(f"{a:.1f} {high:.1f}" for a, _, high in reversed(edges))
    return f'<path class="{kind}" d="M{there}L{back}Z"/>'
