"""From results to tables, which the screen, the JSON and the report show alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sam2_core.evaluation.images import MEAN_CLICKS, TARGETS
from sam2_core.evaluation.metrics import Curve, roc_auc
from sam2_core.evaluation.results import (
    INTERACTIVE,
    Cost,
    InstanceScore,
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


def tables(results: Sequence[Result]) -> list[Table]:
    """Every table for which there are results: the overview of videos first."""
    sequences = [each for each in results if isinstance(each, SequenceResult)]
    interactive = [each for each in results if isinstance(each, InteractiveResult)]
    pictures = [each for each in results if isinstance(each, PictureResult)]
    groups = {each: [found for found in sequences if found.protocol is each] for each in Protocol}
    found: list[Table] = [_pictures(pictures)] if any(each.instances for each in pictures) else []
    if sequences:
        found.append(_overview({each: group for each, group in groups.items() if group}))
    if interactive:
        found.append(_interactive(interactive))
    found += [_by_sequence(each, group) for each, group in groups.items() if group]
    return found


_RIVALS = ("first mask copied, J&F", "no memory, J&F")


def _overview(groups: dict[Protocol, list[SequenceResult]]) -> Table:
    columns = ("videos", "objects", "J&F", "J", "F", *_RIVALS, "object score AUC", "frames/s", "peak MiB")
    rows = []
    for protocol, group in groups.items():
        objects = [each for result in group for each in result.objects]
        scores = _mean_scores(objects)
        rows.append((protocol.title, len(objects), *scores, presence_auc(objects), *_costs(r.cost for r in group)))
    return Table("Videos", columns, tuple(rows))


def _by_sequence(protocol: Protocol, group: Sequence[SequenceResult]) -> Table:
    columns = ("sequence", "J&F", "J", "F", *_RIVALS, "frames/s", "peak MiB")
    rows = tuple((each.name, *_mean_scores(each.objects), *_costs([each.cost])) for each in group)
    objects = [each for result in group for each in result.objects]
    mean = (f"mean of {len(objects)} objects", *_mean_scores(objects), *_costs(r.cost for r in group))
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


def interactive_means(results: Sequence[InteractiveResult], protocol: Protocol) -> list[tuple[float, float]]:
    """J&F and seconds of annotation after 1, 2, ... frames: means over objects."""
    objects = [each for result in results if result.protocol is protocol for each in result.objects]
    rounds = zip(*(each.rounds for each in objects), strict=True)
    return [
        (float(np.mean([(r.j + r.f) / 2 for r in each])), float(np.mean([r.annotation_seconds for r in each])))
        for each in rounds
    ]


def _interactive(results: Sequence[InteractiveResult]) -> Table:
    columns, columns_of_rows, means = ["frames with clicks"], [], []
    for protocol in INTERACTIVE:
        found = interactive_means(results, protocol)
        if found:
            columns += [f"{protocol.value}, J&F", "seconds of annotation"]
            columns_of_rows += [[j_and_f for j_and_f, _ in found], [seconds for _, seconds in found]]
            means += [_mean(j_and_f for j_and_f, _ in found), None]
    rows = tuple((str(n), *cells) for n, cells in enumerate(zip(*columns_of_rows, strict=True), start=1))
    speed, peak = _costs(each.cost for each in results)
    title = f"Videos, interactive ({shown(speed)} frames/s, peak {shown(peak)} MiB)"
    return Table(title, tuple(columns), rows, (f"mean of 1 to {len(rows)}", *means))


def clicks_needed(clicks: Sequence[float], target: float, most: int) -> int:
    """Clicks until an IoU is reached (NoC); the most that there are where it never is."""
    return next((n for n, iou in enumerate(clicks, start=1) if iou >= target), most)


def mean_iou_after(instances: Sequence[InstanceScore], click: int) -> float:
    """Mean IoU after so many clicks."""
    return float(np.mean([each.clicks[click - 1] for each in instances]))


def _pictures(results: Sequence[PictureResult]) -> Table:
    instances = [each for result in results for each in result.instances]
    most = max(len(each.clicks) for each in instances)

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
    return Table(f"Pictures, {len(instances)} objects", ("measure", "model", "without a model"), tuple(rows))
