"""The learning curve as a table that can be appended to, and as a picture."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from PIL import Image, ImageDraw

_SIZE, _MARGIN = (960, 400), 40
_LINES = {"single_iou": "#1f77b4", "best_iou": "#2ca02c", "before": "#c7c7c7", "after": "#d62728"}


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Means over the steps since the last point."""

    stage: str
    step: int
    minutes: float
    learning_rate: float
    loss: float
    single_iou: float
    best_iou: float
    before: float
    after: float


def append_point(path: Path, point: CurvePoint) -> None:
    """Add a row to the table, with a header if it is the first."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(CurvePoint)])
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(point).items()})


def read_points(path: Path) -> list[CurvePoint]:
    """The table's rows."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        CurvePoint(row["stage"], int(row["step"]), **{f.name: float(row[f.name]) for f in fields(CurvePoint)[2:]})
        for row in rows
    ]


def plot_curve(points: list[CurvePoint], path: Path) -> None:
    """IoUs from 0 to 1 over the steps of all stages, one after the other."""
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    width, height = _SIZE[0] - 2 * _MARGIN, _SIZE[1] - 2 * _MARGIN
    for tenth in range(0, 11, 2):
        y = _MARGIN + height * (1 - tenth / 10)
        draw.line([(_MARGIN, y), (_MARGIN + width, y)], fill="#e5e5e5")
        draw.text((8, y - 6), f"{tenth / 10:.1f}", fill="black")
    for index, point in enumerate(points):
        if index and point.stage != points[index - 1].stage:
            x = _MARGIN + width * index / len(points)
            draw.line([(x, _MARGIN), (x, _MARGIN + height)], fill="#999999")
            draw.text((x + 4, _MARGIN), point.stage, fill="#555555")
    for row, (name, colour) in enumerate(_LINES.items()):
        line = [
            (_MARGIN + width * i / len(points), _MARGIN + height * (1 - getattr(point, name)))
            for i, point in enumerate(points)
        ]
        if len(line) > 1:
            draw.line(line, fill=colour, width=2)
        draw.text((_MARGIN + 8 + 110 * row, 12), name, fill=colour)
    image.save(path)
