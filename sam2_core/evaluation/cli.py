"""``python -m sam2_core evaluate``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from sam2_core.device import choose_device, choose_precision
from sam2_core.evaluation.baselines import score_geometry
from sam2_core.evaluation.datasets import coco_instances, read_splits
from sam2_core.evaluation.images import evaluate_images
from sam2_core.evaluation.metrics import sequence_score
from sam2_core.evaluation.semi_supervised import copy_first, read_sequence, track_sequence
from sam2_core.model import SAM2
from sam2_core.weights import load_model

DESCRIPTION = """\
Score a model on COCO pictures (clicks and boxes) and on DAVIS sequences (the first mask is given), beside answers that
need no model.

example:
  python -m sam2_core evaluate --model pocket --data DATA
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = DESCRIPTION
    parser.add_argument("--model", default="pocket", help="name or file of the model (default: %(default)s)")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with images/, vos/ and splits.json"
    )


def run(args: argparse.Namespace) -> int:
    """Print a table for pictures and one for videos. Returns the exit status."""
    device = choose_device()
    model = load_model(args.model).to(device).to_precision(choose_precision("auto", device))
    split = read_splits(args.data)
    pictures = picture_table(model, args.data / "images" / "coco_subset", split["images/coco_subset"]["eval"])
    videos = video_table(model, args.data / "vos" / "davis", split["vos/davis"]["single_object"])
    sys.stdout.write("\n".join([*pictures, "", *videos, ""]))
    return 0


def picture_table(model: SAM2, folder: Path, names: list[str]) -> list[str]:
    """Mean IoU on pictures, as lines of Markdown."""
    pictures = list(coco_instances(folder, names))
    score = evaluate_images(model, pictures)
    trivial = score_geometry([instance for instances in pictures for instance in instances])
    return [
        f"| mean IoU over {score.objects} objects | model | without a model |",
        "|---|---|---|",
        f"| one click, the model's own choice | {score.one_click:.3f} | disc {trivial.disc:.3f} |",
        f"| one click, best of three | {score.one_click_oracle:.3f} | three discs {trivial.best_disc:.3f} |",
        f"| five clicks | {score.last_click:.3f} | |",
        f"| box | {score.box:.3f} | filled box {trivial.filled_box:.3f} |",
    ]


def video_table(model: SAM2, folder: Path, names: list[str]) -> list[str]:
    """J and F on sequences, and frames a second from file to mask, as lines of Markdown."""
    lines = ["| sequence | J | F | J of the first mask, copied | frames a second |", "|---|---|---|---|---|"]
    rows = []
    for name in names:
        sequence = read_sequence(folder / name)
        began = time.perf_counter()
        masks = track_sequence(model, sequence)
        speed = len(masks) / (time.perf_counter() - began)
        score = sequence_score(sequence.masks, masks)
        copied = sequence_score(sequence.masks, copy_first(sequence))
        rows.append((score.j, score.f, copied.j, speed))
        lines.append(f"| {name} | {score.j:.3f} | {score.f:.3f} | {copied.j:.3f} | {speed:.1f} |")
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return [*lines, f"| **mean** | {means[0]:.3f} | {means[1]:.3f} | {means[2]:.3f} | {means[3]:.1f} |"]
