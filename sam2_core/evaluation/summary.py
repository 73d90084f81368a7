"""From results to tables, which the screen, the JSON and the report show alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sam2_core.evaluation.images import TARGETS
from sam2_core.evaluation.metrics import Curve, roc_auc
from sam2_core.evaluation.options import MEAN_CLICKS, Options
from sam2_core.evaluation.results import (
    INTERACTIVE,
    Cost,
    InstanceScore,
    InteractiveObject,
    InteractiveResult,
    PictureResult,
    Protocol,
    Result,
    SequenceResult,
    TrackedObject,
)

Cell = str | float | int | None
"""None where there is no such number."""


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers with names.

    Attributes:
        title: what it is about.
        columns: their titles; the first one names the rows.
        rows: as many cells as there are columns.
        mean: a last row about all others, if there is one.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    mean: tuple[Cell, ...] | None = None


def shown(cell: Cell) -> str:
    """A cell as people read it: shares with three digits, other numbers with one."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.3f}" if abs(cell) <= 1 else f"{cell:.1f}"
    return str(cell)


def counted(number: int, noun: str) -> str:
    """``1 object``, ``2 objects``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def tables(results: Sequence[Result], options: Options) -> list[Table]:
    """Every table for which there are results, without columns of which nothing is known."""
    return [_known(each) for each in _tables(results, options)]


def _known(table: Table) -> Table:
    lines = [*table.rows, *((table.mean,) if table.mean else ())]
    kept = [place for place in range(len(table.columns)) if any(line[place] is not None for line in lines)]

    def only(line: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return tuple(line[place] for place in kept)

    columns = tuple(table.columns[place] for place in kept)
    return Table(table.title, columns, tuple(map(only, table.rows)), table.mean and only(table.mean))


def _tables(results: Sequence[Result], options: Options) -> list[Table]:
    sequences = [each for each in results if isinstance(each, SequenceResult)]
    interactive = [each for each in results if isinstance(each, InteractiveResult) and each.objects]
    pictures = [each for each in results if isinstance(each, PictureResult)]
    groups = {each: [found for found in sequences if found.protocol is each] for each in Protocol}
    found: list[Table] = [_pictures(pictures, options)] if any(each.instances for each in pictures) else []
    if sequences:
        found.append(_overview({each: group for each, group in groups.items() if group}))
    if interactive:
        found.append(_interactive(interactive))
    found += [_by_sequence(each, group) for each, group in groups.items() if group]
    corrected = {each: [result for result in interactive if result.protocol is each] for each in INTERACTIVE}
    found += [_by_corrected_sequence(each, group) for each, group in corrected.items() if group]
    return found


_RIVALS = ("first mask copied, J&F", "no memory, J&F")


def _overview(groups: dict[Protocol, list[SequenceResult]]) -> Table:
    columns = ("protocol", "videos", "objects", "J&F", "J", "F", *_RIVALS, "object score AUC", "frames/s", "peak MiB")
    rows = []
    for protocol, group in groups.items():
        objects = [each for result in group for each in result.objects]
        scores = _mean_scores(objects)
        costs = _costs(r.cost for r in group)
        rows.append((protocol.title, len(group), len(objects), *scores, presence_auc(objects), *costs))
    return Table("Videos", columns, tuple(rows))


def _by_sequence(protocol: Protocol, group: Sequence[SequenceResult]) -> Table:
    columns = ("sequence", "J&F", "J", "F", *_RIVALS, "frames/s", "peak MiB")
    rows = tuple((each.name, *_mean_scores(each.objects), *_costs([each.cost])) for each in group)
    objects = [each for result in group for each in result.objects]
    mean = (f"mean of {counted(len(objects), 'object')}", *_mean_scores(objects), *_costs(r.cost for r in group))
    return Table(f"Videos, {protocol.title}", columns, rows, mean)


def _mean_scores(objects: Sequence[TrackedObject]) -> tuple[Cell, ...]:
    """J&F, J, F, and J&F of both baselines: means over objects, as the field has them."""
    curves = [each.curve for each in objects]
    j, f = _mean(c.mean_j for c in curves), _mean(c.mean_f for c in curves)
    both = None if j is None or f is None else (j + f) / 2
    return (
        both,
        j,
        f,
        _mean_j_and_f(each.copied for each in objects),
        _mean_j_and_f(each.memoryless for each in objects),
    )


def _mean_j_and_f(curves: Iterable[Curve | None]) -> float | None:
    return _mean(each.j_and_f for each in curves if each is not None)


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return float(np.mean(known)) if known else None


def presence_auc(objects: Iterable[TrackedObject]) -> float | None:
    """Area under the ROC curve of the object score, over all objects' frames; ``None`` if nothing ever disappears."""
    presences = [each.presence for each in objects]
    scores = [score for each in presences for score in each.scores]
    return roc_auc(scores, [visible for each in presences for visible in each.visible])


def _costs(costs: Iterable[Cost | None]) -> tuple[Cell, Cell]:
    """Frames a second and the peak in MiB."""
    known = [each for each in costs if each is not None]
    seconds = sum(each.seconds for each in known)
    peak = max((each.peak_bytes or 0 for each in known), default=0)
    return sum(each.frames for each in known) / seconds if seconds else None, round(peak / 2**20) if peak else None


@dataclass(frozen=True, slots=True)
class MeanRound:
    """Means over all objects after some frames got clicks; ``copied`` is J&F of those frames' masks, copied onwards."""

    j_and_f: float
    copied: float | None
    annotation_seconds: float


def interactive_means(results: Sequence[InteractiveResult], protocol: Protocol) -> list[MeanRound]:
    """After 1, 2, ... frames."""
    objects = [each for result in results if result.protocol is protocol for each in result.objects]
    return [
        MeanRound(
            float(np.mean([r.j_and_f for r in each])),
            _mean(r.copied for r in each if r.copied is not None),
            float(np.mean([r.annotation_seconds for r in each])),
        )
        for each in zip(*(each.rounds for each in objects), strict=True)
    ]


def _interactive(results: Sequence[InteractiveResult]) -> Table:
    columns, cells, means = ["frames with clicks"], [], list[Cell]()
    for protocol in INTERACTIVE:
        found = interactive_means(results, protocol)
        if found:
            columns += [f"{protocol.value}, J&F", "clicked masks copied, J&F", "seconds of annotation"]
            cells += [[r.j_and_f for r in found], [r.copied for r in found], [r.annotation_seconds for r in found]]
            copied = _mean(r.copied for r in found if r.copied is not None)
            means += [_mean(r.j_and_f for r in found), copied, None]
    rows = tuple((str(n), *row) for n, row in enumerate(zip(*cells, strict=True), start=1))
    return Table("Videos, interactive", tuple(columns), rows, (f"mean of 1 to {len(rows)}", *means))


def _by_corrected_sequence(protocol: Protocol, group: Sequence[InteractiveResult]) -> Table:
    columns = ("sequence", "J&F", "J", "F", "clicked masks copied, J&F", "frames/s", "peak MiB")
    rows = tuple((each.name, *_mean_last(each.objects), *_costs([each.cost])) for each in group)
    objects = [each for result in group for each in result.objects]
    mean = (f"mean of {counted(len(objects), 'object')}", *_mean_last(objects), *_costs(r.cost for r in group))
    return Table(f"Videos, {protocol.title}, after the last clicks", columns, rows, mean)


def _mean_last(objects: Sequence[InteractiveObject]) -> tuple[Cell, ...]:
    """J&F, J, F, and J&F of the clicked masks copied, after the last interaction: means over objects."""
    last = [each.rounds[-1] for each in objects]
    copied = _mean(r.copied for r in last if r.copied is not None)
    return _mean(r.j_and_f for r in last), _mean(r.j for r in last), _mean(r.f for r in last), copied


def clicks_needed(clicks: Sequence[float], target: float, most: int) -> int:
    """Clicks until an IoU is reached (NoC); the most that there are where it never is."""
    return next((n for n, iou in enumerate(clicks, start=1) if iou >= target), most)


def mean_iou_after(instances: Sequence[InstanceScore], click: int) -> float:
    """Mean IoU after so many clicks."""
    return float(np.mean([each.clicks[click - 1] for each in instances]))


def _pictures(results: Sequence[PictureResult], options: Options) -> Table:
    instances = [each for result in results for each in result.instances]
    most = options.picture_clicks

    def mean(score: Callable[[InstanceScore], float]) -> float:
        return float(np.mean([score(each) for each in instances]))

    disc, discs, box, ellipse = (
        f"{name} {mean(score):.3f}"
        for name, score in (
            ("disc", lambda each: each.geometry.disc),
            ("three discs", lambda each: each.geometry.best_disc),
            ("filled box", lambda each: each.geometry.filled_box),
            ("ellipse", lambda each: each.geometry.ellipse),
        )
    )
    rows: list[tuple[Cell, ...]] = [
        ("mean IoU, one click, the model's own choice", mean_iou_after(instances, 1), disc),
        ("mean IoU, one click, best of three", mean(lambda each: each.oracle), discs),
    ]
    rows += [(f"mean IoU, {n} clicks", mean_iou_after(instances, n), "") for n in range(2, MEAN_CLICKS + 1)]
    rows.append(("mean IoU, box", mean(lambda each: each.box), f"{box}, {ellipse}"))
    for target in TARGETS:
        needed = float(np.mean([clicks_needed(each.clicks, target, most) for each in instances]))
        rows.append((f"clicks to an IoU of {target:.2f}, at most {most} (NoC{100 * target:.0f})", needed, ""))
    speed, peak = _costs(each.cost for each in results)
    rows += [("clicks and boxes a second", speed, ""), ("peak memory, MiB", peak, "")]
    return Table(f"Pictures, {counted(len(instances), 'object')}", ("measure", "model", "without a model"), tuple(rows))
