"""The results as one page that needs no network: tables, curves, bars, and the best and worst frames as pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from sam2_core.evaluation.charts import Bar, Line, bar_chart, line_chart
from sam2_core.evaluation.export import Summary
from sam2_core.evaluation.metrics import Curve
from sam2_core.evaluation.options import MEAN_CLICKS
from sam2_core.evaluation.results import (
    INTERACTIVE,
    InstanceScore,
    InteractiveObject,
    InteractiveResult,
    PictureResult,
    Protocol,
    Result,
    SequenceResult,
    Snapshot,
    TrackedObject,
)
from sam2_core.evaluation.summary import counted, interactive_means, mean_iou_after, shown
from sam2_core.media import replacing

_PICTURES = 8  # best ones, and as many worst ones
_MOST_CURVES = 60  # objects whose scores are drawn by frame: the worst ones
_CURVE = {"width": 300, "height": 150}
_MOST_BARS = 200


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with its caption."""

    caption: str
    drawing: Markup


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame; ``source`` is a data URL."""

    caption: str
    source: str


@dataclass(frozen=True, slots=True)
class Section:
    """All about one protocol.

    Attributes:
        title: the protocol's.
        legend: (style, name) of what is drawn.
        charts: next to each other.
        curves: one small chart for each object.
        lost: title of these.
        shown: what the pictures show.
        worst: pictures, the worst first.
        best: pictures, the best first.
    """

    title: str
    legend: tuple[tuple[str, str], ...]
    charts: tuple[Figure, ...]
    curves: tuple[Figure, ...]
    lost: str
    shown: str
    worst: tuple[Picture, ...]
    best: tuple[Picture, ...]


_RIVALS = (("memoryless", "no memory"), ("copied", "first mask copied"))


def write_report(path: Path, summary: Summary, results: Sequence[Result]) -> None:
    """Write the page: the summary's tables, and pictures of the results that it is of."""
    sections = [_tracked(each, found) for each in Protocol if (found := _of(SequenceResult, results, each))]
    corrected = [each for each in results if isinstance(each, InteractiveResult) and each.objects]
    sections += [_interactive(corrected)] if corrected else []
    pictures = [each for each in results if isinstance(each, PictureResult) and each.instances]
    sections += [_pictures(pictures)] if pictures else []
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"shown": shown, "counted": counted}
    page = environment.get_template("report.html").render(
        summary=summary, settings=summary.settings, results=len(results), sections=sections
    )
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _of(kind: type[SequenceResult], results: Sequence[Result], protocol: Protocol) -> list[SequenceResult]:
    return [each for each in results if isinstance(each, kind) and each.protocol is protocol and each.objects]


def _tracked(protocol: Protocol, results: Sequence[SequenceResult]) -> Section:
    objects = [(_name(each, result.name, len(result.objects)), each) for result in results for each in result.objects]
    objects.sort(key=lambda pair: pair[1].curve.j_and_f)
    bars = [Bar(name, each.curve.j_and_f, _rival_scores(each)) for name, each in objects]
    drawn = objects[:_MOST_CURVES]
    styles = {style for bar in bars for style, _ in bar.rivals}
    legend = (("model", protocol.title if protocol is Protocol.PREDICTIONS else "model"),)
    return Section(
        title=protocol.title,
        legend=(*legend, *(rival for rival in _RIVALS if rival[0] in styles)),
        charts=(_bars("J&F", protocol.title, bars),),
        curves=tuple(Figure(f"J by frame, {name}", _curve_chart(name, each)) for name, each in drawn),
        lost=f"Where it gets lost{_part(len(drawn), len(objects))}",
        shown="frames",
        worst=_frames(results, worst=True),
        best=_frames(results, worst=False),
    )


def _name(scored: TrackedObject | InteractiveObject | InstanceScore, case: str, objects: int) -> str:
    return case if objects == 1 else f"{case}, object {scored.object_name}"


def _bars(measure: str, of: str, bars: Sequence[Bar], style: str = "model") -> Figure:
    """The worst first, and as many as a page bears."""
    drawn = sorted(bars, key=lambda bar: bar.value)[:_MOST_BARS]
    caption = f"{measure}, {of}, the worst first{_part(len(drawn), len(bars))}"
    return Figure(caption, bar_chart(f"{measure} by object, {of}", drawn, style))


def _part(drawn: int, found: int) -> str:
    """Says so where not all are drawn."""
    return f": the worst {drawn} of {counted(found, 'object')}" if drawn < found else ""


def _rival_scores(tracked: TrackedObject) -> tuple[tuple[str, float], ...]:
    rivals = (("memoryless", tracked.memoryless), ("copied", tracked.copied))
    return tuple((style, curve.j_and_f) for style, curve in rivals if curve)


def _curve_chart(name: str, tracked: TrackedObject) -> Markup:
    curves: tuple[tuple[str, str, Curve | None], ...] = (
        ("first mask copied", "copied", tracked.copied),
        ("no memory", "memoryless", tracked.memoryless),
        ("model", "model", tracked.curve),
    )
    lines = [Line(title, style, tuple(zip(c.frames, c.j, strict=True))) for title, style, c in curves if c]
    return line_chart(f"J by frame, {name}", lines, "frame", **_CURVE)


def _interactive(results: Sequence[InteractiveResult]) -> Section:
    means = {each: found for each in INTERACTIVE if (found := interactive_means(results, each))}
    by_frames = [
        Line(each.value, each.value, tuple((n, r.j_and_f) for n, r in enumerate(found, start=1)))
        for each, found in means.items()
    ]
    copied = [
        Line(f"{each.value}, copied", "copied", points)
        for each, found in means.items()
        if (points := tuple((n, r.copied) for n, r in enumerate(found, start=1) if r.copied is not None))
    ]
    by_time = [
        Line(each.value, each.value, tuple((r.annotation_seconds, r.j_and_f) for r in found))
        for each, found in means.items()
    ]
    return Section(
        title="interactive",
        legend=(
            *((each.value, each.title) for each in means),
            *([("copied", "clicked masks copied to the frames after them")] if copied else []),
        ),
        charts=(
            Figure(
                "J&F by frames with clicks",
                line_chart("J&F by frames with clicks", [*copied, *by_frames], "frames with clicks"),
            ),
            Figure("J&F by seconds of annotation", line_chart("J&F by seconds of annotation", by_time, "seconds")),
            *(
                _bars("J&F", f"{each.value} after the last clicks", _last_bars(results, each), each.value)
                for each in means
            ),
        ),
        curves=(),
        lost="",
        shown="frames after the last clicks",
        worst=_frames(results, worst=True),
        best=_frames(results, worst=False),
    )


def _last_bars(results: Sequence[InteractiveResult], protocol: Protocol) -> list[Bar]:
    return [
        Bar(
            _name(each, result.name, len(result.objects)),
            last.j_and_f,
            (("copied", last.copied),) if last.copied is not None else (),
        )
        for result in results
        if result.protocol is protocol
        for each in result.objects
        for last in each.rounds[-1:]
    ]


def _pictures(results: Sequence[PictureResult]) -> Section:
    instances = [each for result in results for each in result.instances]
    line = Line("model", "model", tuple((n, mean_iou_after(instances, n)) for n in range(1, MEAN_CLICKS + 1)))
    ordered = sorted(each.clicks[0] for each in instances)
    bars = [
        Bar(_name(each, result.name, len(result.instances)), each.clicks[MEAN_CLICKS - 1])
        for result in results
        for each in result.instances
    ]
    shares = tuple((100 * n / len(ordered), iou) for n, iou in enumerate(ordered, start=1))
    return Section(
        title="pictures",
        legend=(("model", "model"),),
        charts=(
            Figure("mean IoU by clicks", line_chart("mean IoU by clicks", [line], "clicks")),
            Figure(
                "IoU after one click, objects from the worst to the best",
                line_chart("IoU after one click by object", [Line("model", "model", shares)], "percent of the objects"),
            ),
            _bars("IoU", f"pictures after {MEAN_CLICKS} clicks", bars),
        ),
        curves=(),
        lost="",
        shown="objects after one click",
        worst=_frames(results, worst=True),
        best=_frames(results, worst=False),
    )


def _frames(results: Sequence[Result], *, worst: bool) -> tuple[Picture, ...]:
    """The best or the worst frames of all, one of each sequence or picture."""
    snapshots = [snapshot for result in results for snapshot in result.snapshots]
    snapshots.sort(key=lambda snapshot: snapshot.j, reverse=not worst)
    firsts: dict[str, Snapshot] = {}
    for snapshot in snapshots:
        firsts.setdefault(snapshot.name, snapshot)
    return tuple(_picture(each) for each in list(firsts.values())[:_PICTURES])


def _picture(snapshot: Snapshot) -> Picture:
    source = "data:image/jpeg;base64," + base64.b64encode(snapshot.jpeg).decode("ascii")
    place = f"{snapshot.name}, frame {snapshot.frame}" if snapshot.frame is not None else snapshot.name
    return Picture(f"{place}, object {snapshot.object_name}: IoU {snapshot.j:.3f}", source)
