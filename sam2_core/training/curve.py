"""The learning curve as a table, as a picture, and in TensorBoard where that is installed."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from sam2_core.errors import Sam2Error
from sam2_core.media import replacing
from sam2_core.training.answers import NAN

TABLE, PLOT = "curve.csv", "curve.png"
_WIDTH, _HEIGHT, _MARGIN = 960, 320, 40
_LINES = {
    "click": "#1f77b4",
    "best": "#2ca02c",
    "corrected": "#d62728",
    "tracked": "#9467bd",
    "last": "#8c564b",
    "presence": "#e377c2",
}


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Means over the steps since the last point; what was not measured is not a number. See ``Measurement``."""

    stage: str
    step: int
    rate: float
    loss: float
    click: float = NAN
    best: float = NAN
    corrected: float = NAN
    tracked: float = NAN
    last: float = NAN
    presence: float = NAN


class Curve:
    """A run's points.

    Args:
        run: the run's folder.
        stages: names of the recipe's stages, in order.
        board: whether to write for TensorBoard as well, where that is installed.
    """

    def __init__(self, run: Path, stages: Sequence[str], *, board: bool = False) -> None:
        self._run, self._stages = run, list(stages)
        self._board = _board(run) if board else None

    def trim(self, stage: int, step: int) -> None:
        """Forget points beyond a checkpoint: they will be made again."""
        points = self.points()
        kept = [point for point in points if (self._stages.index(point.stage), point.step) <= (stage, step)]
        if len(kept) < len(points):
            self._write(kept)

    def add(self, point: CurvePoint) -> None:
        """One more."""
        path = self._run / TABLE
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, _NAMES)
            if new:
                writer.writeheader()
            writer.writerow(_row(point))
        if self._board is not None:
            for name in _NAMES[2:]:
                if math.isfinite(value := getattr(point, name)):
                    self._board.add_scalar(f"{point.stage}/{name}", value, point.step)

    def points(self) -> list[CurvePoint]:
        """All so far.

        Raises:
            Sam2Error: the table is damaged.
        """
        path = self._run / TABLE
        if not path.exists():
            return []
        try:
            with path.open(newline="") as file:
                points = [
                    CurvePoint(row["stage"], int(row["step"]), *(float(row[name]) for name in _NAMES[2:]))
                    for row in csv.DictReader(file)
                ]
        except (KeyError, TypeError, ValueError) as error:
            raise Sam2Error(f"{TABLE} in {self._run.name!r} is damaged ({error!s:.60}); take it away.") from error
        return [point for point in points if point.stage in self._stages]

    def plot(self) -> None:
        """Draw all points."""
        points = self.points()
        if len(points) > 1:
            with replacing(self._run / PLOT) as partial:
                plotted(points).save(partial, format="PNG")

    def close(self) -> None:
        """Finish what is being written."""
        if self._board is not None:
            self._board.close()

    def _write(self, points: Sequence[CurvePoint]) -> None:
        with replacing(self._run / TABLE) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, _NAMES)
            writer.writeheader()
            writer.writerows(_row(point) for point in points)


_NAMES = [field.name for field in fields(CurvePoint)]


def _row(point: CurvePoint) -> dict[str, object]:
    return {name: f"{value:.7g}" if isinstance(value, float) else value for name, value in asdict(point).items()}


def _board(run: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(run / "tensorboard"))  # type: ignore[no-untyped-call, unused-ignore]


def plotted(points: Sequence[CurvePoint]) -> Image.Image:
    """The loss above, and below it IoUs and the area under the ROC curve of presence, from 0 to 1; over all steps."""
    image = Image.new("RGB", (_WIDTH, 2 * _HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    losses = [point.loss for point in points]
    finite = sorted(value for value in losses if math.isfinite(value)) or [1.0]
    top = finite[int(0.98 * (len(finite) - 1))] * 1.1 or 1.0  # the first steps would press the others flat
    places = _places(points)
    _axes(draw, points, places, 0, top)
    _line(draw, places, losses, 0, top, "#333333")
    draw.text((_MARGIN + 8, 12), "loss", fill="#333333")
    _axes(draw, points, places, _HEIGHT, 1.0)
    draw.text((_MARGIN + 8, _HEIGHT + 12), "IoU of", fill="#333333")
    for place, (name, colour) in enumerate(_LINES.items()):
        _line(draw, places, [getattr(point, name) for point in points], _HEIGHT, 1.0, colour)
        text = f"{name} (area under ROC)" if name == "presence" else name
        draw.text((_MARGIN + 68 + 90 * place, _HEIGHT + 12), text, fill=colour)
    return image


def _places(points: Sequence[CurvePoint]) -> list[int]:
    """Where each point is: its step, counted over all stages."""
    places: list[int] = []
    before = 0
    for index, point in enumerate(points):
        if index and point.stage != points[index - 1].stage:
            before = places[-1]
        places.append(before + point.step)
    return places


def _x(place: int, places: Sequence[int]) -> float:
    return _MARGIN + (_WIDTH - 2 * _MARGIN) * place / max(places[-1], 1)


def _axes(draw: ImageDraw.ImageDraw, points: Sequence[CurvePoint], places: Sequence[int], y0: int, top: float) -> None:
    right, bottom = _WIDTH - _MARGIN, y0 + _HEIGHT - _MARGIN
    for fifth in range(6):
        y = bottom - (_HEIGHT - 2 * _MARGIN) * fifth / 5
        draw.line([(_MARGIN, y), (right, y)], fill="#e5e5e5")
        draw.text((4, y - 6), f"{top * fifth / 5:.3g}", fill="black")
    start = 0
    for index, point in enumerate(points):
        if index == 0 or point.stage != points[index - 1].stage:
            start = places[index - 1] if index else 0
            draw.line([(_x(start, places), y0 + _MARGIN), (_x(start, places), bottom)], fill="#999999")
            draw.text((_x(start, places) + 4, bottom + 4), f"{point.stage}, from step {start}", fill="#555555")
    end = f"{places[-1]} steps"
    draw.text((right - draw.textlength(end), bottom + 18), end, fill="#555555")


def _line(
    draw: ImageDraw.ImageDraw, places: Sequence[int], values: Sequence[float], y0: int, top: float, colour: str
) -> None:
    line = [
        (_x(place, places), y0 + _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * min(value, top) / top)
        for place, value in zip(places, values, strict=True)
        if math.isfinite(value)
    ]
    if len(line) > 1:
        draw.line(line, fill=colour, width=2)
