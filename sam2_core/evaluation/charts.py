"""Curves as SVG and bars as a list inside a page: nothing to load, and sharp at every size.

Colours and the places of bars are the page's classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_LEFT, _TOP, _RIGHT, _BOTTOM = 40, 10, 12, 36
_MOST_MARKS = 20  # of a line: more would be a rope


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart.

    Attributes:
        name: for the legend.
        style: class of the page: ``model``, ``memoryless``, ``copied``, ``offline`` or ``online``.
        points: (x, y), with y in 0..1.
    """

    name: str
    style: str
    points: tuple[tuple[float, float], ...]


def line_chart(label: str, lines: Sequence[Line], x_title: str, *, width: int = 420, height: int = 220) -> Markup:
    """Lines over a common x axis; y goes from 0 to 1. A mark's title tells its numbers."""
    xs = [x for line in lines for x, _ in line.points]
    low, high = min(xs), max(xs)
    across, down = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        share = (x - low) / (high - low) if high > low else 0.5
        return _LEFT + share * across, _TOP + (1 - min(max(y, 0.0), 1.0)) * down

    parts = []
    for quarter in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = place(low, quarter)[1]
        parts.append(_element("line", "grid", x1=_LEFT, x2=width - _RIGHT, y1=y, y2=y))
        parts.append(_text("tick", _LEFT - 6, y + 4, f"{quarter:g}", "end"))
    ticks = sorted({low, round((low + high) / 2), high})
    parts += [_text("tick", place(x, 0)[0], height - _BOTTOM + 15, f"{x:.0f}", "middle") for x in ticks]
    parts.append(_text("axis", _LEFT + across / 2, height - 4, x_title, "middle"))
    for line in lines:
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line.points)
        parts.append(_element("polyline", f"line {line.style}", points=path))
        if len(line.points) <= _MOST_MARKS:
            parts += [_mark(line, x, y, *place(x, y)) for x, y in line.points]
    return _svg(label, width, height, parts)


def _mark(line: Line, x: float, y: float, across: float, down: float) -> Markup:
    told = _element("title", content=f"{line.name}: {y:.3f} at {x:g}")
    return _element("circle", f"mark {line.style}", told, cx=across, cy=down, r=3.5)


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart.

    Attributes:
        name: what it is about.
        value: length, 0..1.
        rivals: (style, value) of lines across the bar.
    """

    name: str
    value: float
    rivals: tuple[tuple[str, float], ...] = ()


def bar_chart(label: str, bars: Sequence[Bar], style: str = "model") -> Markup:
    """Horizontal bars from 0 to 1, with the baselines as lines across; a list, whose text does not shrink.

    Args:
        label: what it shows.
        bars: from top to bottom.
        style: class of the page, as a line's.
    """
    rows = Markup("").join(_row(bar) for bar in bars)
    return Markup('<ul class="bars {}" aria-label="{}">{}</ul>').format(style, label, rows)


def _row(bar: Bar) -> Markup:
    told = ", ".join([f"{bar.name}: {bar.value:.3f}", *(f"{style} {value:.3f}" for style, value in bar.rivals)])
    lines = Markup("").join(
        Markup('<i class="rival {}" style="left:{:.1f}%"></i>').format(style, 100 * value)
        for style, value in bar.rivals
    )
    return Markup(
        '<li title="{}"><span class="name">{}</span><span class="rail"><i class="bar" style="width:{:.1f}%"></i>{}'
        '</span><span class="value">{:.3f}</span></li>'
    ).format(told, bar.name, 100 * bar.value, lines, bar.value)


def _text(style: str, x: float, y: float, words: str, anchor: str) -> Markup:
    return _element("text", style, words, x=x, y=y, text_anchor=anchor)


def _svg(label: str, width: int, height: int, parts: Sequence[Markup]) -> Markup:
    box = f"0 0 {width} {height}"
    return _element("svg", "", Markup("").join(parts), role="img", aria_label=label, width=width, viewBox=box)


def _element(name: str, style: str = "", content: str = "", **attributes: float | str) -> Markup:
    """An element of SVG; what is not markup already is escaped."""
    pairs = {"class": style, **attributes} if style else attributes
    told = Markup("").join(
        Markup(' {}="{}"').format(key.replace("_", "-"), f"{value:.1f}" if isinstance(value, float) else value)
        for key, value in pairs.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, told, content)
