"""Small pictures and clips with known masks, made on the spot."""

import numpy as np
import torch

from sam2_core.training.data import Footage, Region, Scene, Source

SIZE = 96


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


def sources() -> tuple[Source, ...]:
    return (
        Source("squares", (square_scene(0), square_scene(1)), 0.7, things=True),
        Source("tiles", (square_scene(2),), 0.3, partition=True),
    )


def footage(frames: int = 12) -> Footage:
    """A bright square that moves two pixels a frame."""
    images = torch.full((frames, 3, SIZE, SIZE), 90, dtype=torch.uint8)
    masks = torch.zeros(frames, SIZE, SIZE, dtype=torch.bool)
    for t in range(frames):
        images[t, :, 30:60, 10 + 2 * t : 40 + 2 * t] = 220
        masks[t, 30:60, 10 + 2 * t : 40 + 2 * t] = True
    return Footage("square", images, masks)
