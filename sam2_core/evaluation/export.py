"""Every number as CSV, and the tables as JSON."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pydantic

from sam2_core.evaluation.images import TARGETS
from sam2_core.evaluation.metrics import Curve
from sam2_core.evaluation.results import (
    Failure,
    InstanceScore,
    InteractiveObject,
    InteractiveResult,
    PictureResult,
    Result,
    SequenceResult,
    TrackedObject,
)
from sam2_core.evaluation.store import Settings
from sam2_core.evaluation.summary import Table, clicks_needed, presence_auc
from sam2_core.media import replacing

_SCORE_COLUMNS = ("protocol", "name", "object", "measure", "value")
_FRAME_COLUMNS = (
    "protocol", "name", "object", "frame", "j", "f", "copied_j", "copied_f", "memoryless_j", "memoryless_f",
    "object_score", "visible",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summary:
    """What ``summary.json`` holds.

    Attributes:
        settings: what was evaluated.
        missing: jobs that were not done yet.
        failures: jobs that cannot be done, with the reason.
        warnings: sentences about what makes scores doubtful.
        tables: with numbers that are not rounded.
    """

    settings: Settings
    missing: int
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    tables: tuple[Table, ...]


def write_json(path: Path, summary: Summary) -> None:
    """Write the tables."""
    with replacing(path) as partial:
        partial.write_bytes(pydantic.TypeAdapter(Summary).dump_json(summary, indent=1))


def write_scores(path: Path, results: Sequence[Result], most_clicks: int) -> None:
    """Write a row for each number about an object, or about a whole sequence or picture, for grouping and pivoting.

    Args:
        path: of the CSV.
        results: what to write.
        most_clicks: that a picture's object could get; they stand for a target that was never reached.
    """
    _write(
        path,
        _SCORE_COLUMNS,
        (
            (result.protocol.value, result.name, object_name, measure, _digits(value))
            for result in results
            for object_name, measure, value in _measures(result, most_clicks)
        ),
    )


def write_frames(path: Path, results: Sequence[Result]) -> None:
    """Write a row for each object and frame of the sequences; what does not exist or does not count is empty.

    Interactive results are those after the last interaction.
    """
    _write(
        path,
        _FRAME_COLUMNS,
        (
            (result.protocol.value, result.name, each.object_name, frame, *cells)
            for result in results
            if not isinstance(result, PictureResult)
            for each in result.objects
            for frame, cells in _by_frame(each)
        ),
    )


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _digits(value: float) -> str:
    return f"{value:.6g}"


def _measures(result: Result, most_clicks: int) -> Iterator[tuple[str, str, float]]:
    """The object's name, the measure's, and the value."""
    if isinstance(result, SequenceResult):
        for tracked in result.objects:
            yield from ((tracked.object_name, *each) for each in _of_tracked(tracked))
    elif isinstance(result, InteractiveResult):
        for corrected in result.objects:
            yield from ((corrected.object_name, *each) for each in _of_corrected(corrected))
    elif isinstance(result, PictureResult):
        for instance in result.instances:
            yield from ((instance.object_name, *each) for each in _of_instance(instance, most_clicks))
    if result.cost is not None:
        yield from (("", name, value) for name, value in asdict(result.cost).items() if value is not None)


def _of_tracked(tracked: TrackedObject) -> Iterator[tuple[str, float]]:
    rivals = {"": tracked.curve, "copied_": tracked.copied, "memoryless_": tracked.memoryless}
    for prefix, curve in rivals.items():
        if curve is not None:
            yield f"{prefix}j", curve.mean_j
            yield f"{prefix}f", curve.mean_f
            yield f"{prefix}j_and_f", curve.j_and_f
    auc = presence_auc([tracked])
    if auc is not None:
        yield "object_score_auc", auc


def _of_corrected(corrected: InteractiveObject) -> Iterator[tuple[str, float]]:
    for number, each in enumerate(corrected.rounds, start=1):
        yield f"j_after_{number}_frames", each.j
        yield f"f_after_{number}_frames", each.f
        yield f"j_and_f_after_{number}_frames", each.j_and_f
        if each.copied is not None:
            yield f"copied_j_and_f_after_{number}_frames", each.copied
        yield f"annotation_seconds_after_{number}_frames", each.annotation_seconds


def _of_instance(instance: InstanceScore, most_clicks: int) -> Iterator[tuple[str, float]]:
    for number, iou in enumerate(instance.clicks, start=1):
        yield f"iou_after_{number}_clicks", iou
    yield "iou_best_of_three_after_1_click", instance.oracle
    yield "iou_box", instance.box
    for target in TARGETS:
        yield f"noc{100 * target:.0f}", clicks_needed(instance.clicks, target, most_clicks)
    yield from ((f"iou_{name}", value) for name, value in asdict(instance.geometry).items())


def _by_frame(scored: TrackedObject | InteractiveObject) -> Iterator[tuple[int, list[str]]]:
    """The cells of every frame about which something is known, in the order of the columns."""
    tracked = scored if isinstance(scored, TrackedObject) else TrackedObject(scored.object_name, scored.curve)
    presence = tracked.presence
    columns: list[dict[int, str]] = []
    for curve in (tracked.curve, tracked.copied, tracked.memoryless):
        columns += _by_region_and_boundary(curve)
    columns.append(dict(zip(presence.frames, map(_digits, presence.scores), strict=True)))
    columns.append(dict(zip(presence.frames, (str(int(each)) for each in presence.visible), strict=True)))
    for frame in sorted(set().union(*columns)):
        yield frame, [column.get(frame, "") for column in columns]


def _by_region_and_boundary(curve: Curve | None) -> list[dict[int, str]]:
    if curve is None:
        return [{}, {}]
    return [dict(zip(curve.frames, map(_digits, values), strict=True)) for values in (curve.j, curve.f)]
