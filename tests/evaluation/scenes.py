"""Small sequences and pictures whose scores can be computed by hand, in every layout."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from sam2_core.formats.coco_rle import to_coco
from sam2_core.media import VideoWriter
from sam2_core.rle import Rle

HEIGHT, WIDTH = 48, 64
FRAMES = 6
SIDE = 16
STEP = 2
"""Pixels that the square moves from frame to frame."""


def square(frame: int = 0, top: int = 10, left: int = 6, side: int = SIDE) -> np.ndarray:
    """The square of object 1 on a frame."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + side, left + STEP * frame : left + STEP * frame + side] = True
    return mask


def picture(frame: int) -> np.ndarray:
    """What the camera sees: a red square on dark grey."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[square(frame)] = (230, 30, 30)
    return image


def write_frames(folder: Path, count: int = FRAMES) -> None:
    folder.mkdir(parents=True)
    for frame in range(count):
        Image.fromarray(picture(frame)).save(folder / f"{frame:05d}.jpg", quality=95)


def write_labels(folder: Path, labels: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in labels.items():
        Image.fromarray(each.astype(np.uint8)).save(folder / f"{name}.png")


def labels_of_square(count: int = FRAMES) -> dict[str, np.ndarray]:
    return {f"{frame:05d}": square(frame) for frame in range(count)}


def frames_and_masks(folder: Path) -> Path:
    """``frames`` and ``masks``; returns the folder of the sequence."""
    write_frames(folder / "frames")
    write_labels(folder / "masks", labels_of_square())
    return folder


def davis(root: Path, names: tuple[str, ...] = ("square",)) -> Path:
    """DAVIS's own layout."""
    for name in names:
        write_frames(root / "JPEGImages" / "480p" / name)
        write_labels(root / "Annotations" / "480p" / name, labels_of_square())
    return root


def sav_folders(root: Path) -> Path:
    """SA-V's validation layout: objects 000 and 001, annotated on every second frame; 001 appears on frame 2."""
    write_frames(root / "JPEGImages_24fps" / "clip")
    for object_id in (0, 1):
        labels = {
            f"{frame:05d}": square(frame, top=10 + 12 * object_id) & (frame >= 2 * object_id) for frame in (0, 2, 4)
        }
        write_labels(root / "Annotations_6fps" / "clip" / f"{object_id:03d}", labels)
    return root


def sav_json(root: Path) -> Path:
    """SA-V's training layout, with frames instead of a video."""
    write_frames(root / "sav_000001")
    masks = [[to_coco(Rle.encode(square(frame)))] for frame in range(FRAMES)]
    (root / "sav_000001_manual.json").write_text(json.dumps({"masklet": masks, "masklet_id": [0]}))
    return root


def sav_video(root: Path, count: int = 13) -> Path:
    """SA-V's own training layout: a video file, and masks on every fourth frame."""
    root.mkdir(parents=True, exist_ok=True)
    with VideoWriter(root / "sav_000002.mp4", 24) as writer:
        for frame in range(count):
            writer.write(picture(frame))
    masks = [[to_coco(Rle.encode(square(frame)))] for frame in range(0, count, 4)]
    (root / "sav_000002_manual.json").write_text(json.dumps({"masklet": masks, "masklet_id": [0]}))
    return root


def coco(root: Path, *, sides: tuple[int, ...] = (36, 20)) -> Path:
    """Two pictures: one with squares of these sides and a crowd, one with nothing."""
    (root / "images").mkdir(parents=True)
    corners = [[10, 4, 10 + s, 4, 10 + s, 4 + s, 10, 4 + s] for s in (*sides, 36)]
    annotations = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "annotations": [
            {"id": 100 + n, "image_id": 7, "iscrowd": int(n == len(sides)), "segmentation": [each]}
            for n, each in enumerate(corners)
        ],
    }
    (root / "annotations.json").write_text(json.dumps(annotations))
    for name in ("a", "b"):
        Image.fromarray(picture(0)).save(root / "images" / f"{name}.jpg")
    return root


def labelled_pictures(root: Path) -> Path:
    """A picture with one object and a border that is to be ignored."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[square(side=20)] = 128
    labels[12:28, 8:24] = 255
    write_labels(root / "masks", {"a": labels})
    (root / "images").mkdir()
    Image.fromarray(picture(0)).save(root / "images" / "a.jpg")
    return root
