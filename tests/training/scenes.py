"""Small pictures and clips with known masks, in memory and on disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sam2_core.training.data import Material, PictureSource, Region, Scene, VideoSource
from sam2_core.training.recipe import Augment

SIZE = 96
BUSY = Augment(whole=0.4, turn=5, shear=0, footage_motion=0.3, speed=3, paste=(0.3, 0.45, 0.25), colour=1)
"""As pocket's clips are varied, but for cuts."""


def square_scene(seed: int = 0) -> Scene:
    """A noisy picture with a bright square (value 1) and a dark one (value 2) in one layer."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 120, (3, SIZE, SIZE), dtype=np.uint8)
    layer = np.zeros((1, SIZE, SIZE), np.uint8)
    regions = []
    for value, (x, y, side), shade in ((1, (8, 10, 32), 230), (2, (52, 48, 24), 10)):
        layer[0, y : y + side, x : x + side] = value
        image[:, y : y + side, x : x + side] = shade
        box = (x / SIZE, y / SIZE, (x + side) / SIZE, (y + side) / SIZE)
        regions.append(Region(0, value, box, side * side / SIZE**2))
    return Scene(torch.from_numpy(image), torch.from_numpy(layer), tuple(regions))


def picture_sources() -> tuple[PictureSource, ...]:
    return (
        PictureSource("squares", 2, square_scene, 0.7, whole_objects=True),
        PictureSource("tiles", 1, lambda _index: square_scene(2), 0.3, partition=True),
    )


@dataclass(frozen=True)
class Square:
    """A bright square that moves two pixels a frame and is gone on the frames ``gone``."""

    frames: int = 12
    gone: tuple[int, ...] = ()
    name: str = "square"

    def __len__(self) -> int:
        return self.frames

    def read(self, frames: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.full((len(frames), 3, SIZE, SIZE), 90, dtype=torch.uint8)
        masks = torch.zeros(1, len(frames), SIZE, SIZE, dtype=torch.bool)
        for place, t in enumerate(frames):
            if t not in self.gone:
                images[place, :, 30:60, 10 + 2 * t : 40 + 2 * t] = 220
                masks[0, place, 30:60, 10 + 2 * t : 40 + 2 * t] = True
        return images, masks


def material(*videos: Square) -> Material:
    return Material(picture_sources(), (VideoSource("squares", videos or (Square(),)),))


def write_pictures(folder: Path, names: Sequence[str] = ("a", "b"), suffixes: Sequence[str] = ("",)) -> None:
    """``images`` and ``masks`` of square scenes."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for seed, name in enumerate(names):
        scene = square_scene(seed)
        Image.fromarray(scene.image.permute(1, 2, 0).numpy()).save(folder / "images" / f"{name}.png")
        for suffix in suffixes:
            Image.fromarray(scene.layers[0].numpy()).save(folder / "masks" / f"{name}{suffix}.png")


def write_coco(folder: Path) -> None:
    """One picture with two overlapping masks, as a polygon and as run lengths, and a crowd."""
    write_pictures(folder, ("1",))
    runs = {"size": [SIZE, SIZE], "counts": [SIZE * 40, SIZE * 16, SIZE * 40]}  # columns 40 to 55
    objects = [([[8, 10, 44, 10, 44, 42, 8, 42]], 0), (runs, 0), (runs, 1)]
    annotations = [{"image_id": 1, "iscrowd": crowd, "segmentation": segmentation} for segmentation, crowd in objects]
    images = [{"id": 1, "file_name": "1.png", "width": SIZE, "height": SIZE}]
    (folder / "annotations.json").write_text(json.dumps({"images": images, "annotations": annotations}))


def write_sequence(frames: Path, masks: Path, square: Square) -> None:
    """A folder of pictures and one of masks."""
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    images, labels = square.read(range(len(square)))
    for index, (image, label) in enumerate(zip(images, labels[0], strict=True)):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(frames / f"{index:05d}.png")
        Image.fromarray(label.numpy().astype(np.uint8)).save(masks / f"{index:05d}.png")


RECIPE = """
model = "pocket"
image_size = 64
precision = "fp32"
device = "cpu"
preview = 0
report = 1

[image]
batch = 2
objects = 2
prompts = { clicks = [1] }

[video]
batch = 2
objects = 2
frames = 3
rollout = [0, 1]
real = 0.5
forget = 0.2
prompts = { clicks = [1], frames = 1 }

[loss]
fit = "all"
stride = 4
weights = { focal = 0, dice = 1, iou = 1, presence = 0.1, balanced = 1 }

[optimiser]
rate = 1e-4
encoder = 1
layer_decay = 1
clip = 1

[[data]]
kind = "images"
path = "pictures"
whole_objects = true

[[data]]
kind = "davis"
path = "videos"

[[stages]]
name = "both"
steps = 6
"""
"""A recipe whose every step takes a moment."""


def write_training(folder: Path) -> Path:
    """The recipe's file, with its data beside it."""
    write_pictures(folder / "pictures")
    write_sequence(folder / "videos" / "square" / "frames", folder / "videos" / "square" / "masks", Square())
    path = folder / "small.toml"
    path.write_text(RECIPE)
    return path
