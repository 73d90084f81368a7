"""Every number as CSV, and the tables as JSON."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pydantic

from sam2_core.evaluation.results import (
    InstanceScore,
    InteractiveObject,
    InteractiveResult,
    PictureResult,
    Result,
    SequenceResult,
    TrackedObject,
)
from sam2_core.evaluation.store import Settings
from sam2_core.evaluation.summary import Table
from sam2_core.media import replacing

_COLUMNS = ("protocol", "name", "object", "measure", "value")


@dataclass(frozen=True, slots=True)
class Summary:
    """What ``summary.json`` holds.

    Attributes:
        settings: what was evaluated.
        missing: jobs that were not done yet.
        tables: with numbers that are not rounded.
    """

    settings: Settings
    missing: int
    tables: tuple[Table, ...]


def write_json(path: Path, summary: Summary) -> None:
    """Write the tables."""
    with replacing(path) as partial:
        partial.write_bytes(pydantic.TypeAdapter(Summary).dump_json(summary, indent=1))


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """Write one row for each number, which every program for tables can group and pivot."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for result in results:
            for object_id, measure, value in _measures(result):
                writer.writerow((result.protocol.value, result.name, object_id, measure, f"{value:.6g}"))


def _measures(result: Result) -> Iterator[tuple[int | None, str, float]]:
    """Object id, name of the measure, value."""
    if isinstance(result, SequenceResult):
        for tracked in result.objects:
            yield from ((tracked.object_id, *each) for each in _of_tracked(tracked))
    elif isinstance(result, InteractiveResult):
        for corrected in result.objects:
            yield from ((corrected.object_id, *each) for each in _of_corrected(corrected))
    elif isinstance(result, PictureResult):
        for number, instance in enumerate(result.instances, start=1):
            yield from ((number, *each) for each in _of_instance(instance))
    if result.cost is not None:
        yield from ((None, name, value) for name, value in asdict(result.cost).items() if value is not None)


def _of_tracked(tracked: TrackedObject) -> Iterator[tuple[str, float]]:
    rivals = {"": tracked.curve, "copied_": tracked.copied, "memoryless_": tracked.memoryless}
    for prefix, curve in rivals.items():
        if curve is not None:
            yield f"{prefix}j", curve.mean_j
            yield f"{prefix}f", curve.mean_f
            yield f"{prefix}j_and_f", curve.j_and_f


def _of_corrected(corrected: InteractiveObject) -> Iterator[tuple[str, float]]:
    for number, each in enumerate(corrected.rounds, start=1):
        yield f"j_after_{number}_frames", each.j
        yield f"f_after_{number}_frames", each.f
        yield f"annotation_seconds_after_{number}_frames", each.annotation_seconds


def _of_instance(instance: InstanceScore) -> Iterator[tuple[str, float]]:
    for number, iou in enumerate(instance.clicks, start=1):
        yield f"iou_after_{number}_clicks", iou
    yield "iou_best_of_three_after_1_click", instance.oracle
    yield "iou_box", instance.box
    yield from ((f"iou_{name}", value) for name, value in asdict(instance.geometry).items())
