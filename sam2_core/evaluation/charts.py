"""Curves and bars as SVG inside a page: nothing to load, and sharp at every size. Colours are the page's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_LEFT, _TOP, _RIGHT, _BOTTOM = 40, 10, 12, 36
_MOST_MARKS = 20  # of a line: more would be a rope
_ROW, _NAME_WIDTH, _BAR_WIDTH = 22, 190, 420
_NAME_LENGTH = 28  # characters


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


def bar_chart(label: str, bars: Sequence[Bar]) -> Markup:
    """Horizontal bars from 0 to 1, with the baselines as lines across."""
    parts: list[Markup] = []
    for row, bar in enumerate(bars):
        y = row * _ROW
        told = ", ".join([f"{bar.name}: {bar.value:.3f}", *(f"{style} {value:.3f}" for style, value in bar.rivals)])
        parts.append(_text("name", _NAME_WIDTH - 8, y + 15, bar.name[:_NAME_LENGTH], "end"))
        parts.append(_bar("rail", y, 1.0))
        parts.append(_bar("bar", y, bar.value, _element("title", content=told)))
        for style, value in bar.rivals:
            x = _NAME_WIDTH + value * _BAR_WIDTH
            parts.append(_element("line", f"rival {style}", x1=x, x2=x, y1=y + 2, y2=y + 20))
        parts.append(_text("tick", _NAME_WIDTH + _BAR_WIDTH + 8, y + 15, f"{bar.value:.3f}", "start"))
    return _svg(label, _NAME_WIDTH + _BAR_WIDTH + 60, len(bars) * _ROW + 4, parts)


def _bar(style: str, y: float, value: float, content: str = "") -> Markup:
    return _element("rect", style, content, x=_NAME_WIDTH, y=y + 4, height=14, rx=3, width=value * _BAR_WIDTH)


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
