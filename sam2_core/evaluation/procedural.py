"""Clips that need no data: an object moves, is hidden behind a wall or leaves the frame, and comes back.

They ask whether the model knows that an object is gone, which few annotated videos do. Everything follows from a
clip's number, so that figures can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sam2_core.evaluation.sequences import GroundTruth, numbers
from sam2_core.media import Video, video_from_array
from sam2_core.rle import BoolMask, Rle

CLIPS = 24
FRAMES = 32
HEIGHT, WIDTH = 240, 320
_OBJECT = 1
_COLOUR_DISTANCE = 90.0
"""Of object, wall and background, in RGB of 0 to 255."""
_LEAST_SEEN = 0.02
"""Share of the whole object of which less than this is not seen: a sliver of a few pixels is nobody's object."""


def procedural_clips(count: int = CLIPS) -> tuple[ProceduralClip, ...]:
    """The first so many clips; every second one has a wall, and the object of the others leaves the frame."""
    return tuple(ProceduralClip(number) for number in range(count))


@dataclass(frozen=True, slots=True)
class ProceduralClip:
    """One clip, as a sequence with known masks."""

    number: int

    @property
    def name(self) -> str:
        """Tells how the object disappears."""
        return f"{'exit' if self.number % 2 else 'wall'}-{self.number:02d}"

    def open(self) -> Video:
        """The drawn frames."""
        return video_from_array(_draw(self.number)[0], name=self.name)

    def truth(self, video: Video) -> GroundTruth:
        """Only what is seen of the object."""
        del video
        masks = {frame: Rle.encode(mask) for frame, mask in enumerate(_draw(self.number)[1])}
        return GroundTruth({_OBJECT: masks}, exclusive=False)

    def frame_names(self, video: Video) -> Sequence[str]:
        """Numbers from 00000 on."""
        return numbers(video)


def _draw(number: int) -> tuple[npt.NDArray[np.uint8], list[BoolMask]]:
    """Frames ``[T, H, W, 3]`` and the masks of what is seen."""
    rng = np.random.default_rng((2408, 714, number))
    background, skin, wall_skin = (_texture(rng, colour) for colour in _colours(rng))
    outline = rng.uniform(0.75, 1.25, 7)
    radius = rng.uniform(28, 40)
    wall = np.zeros((HEIGHT, WIDTH), bool)
    if number % 2 == 0:
        middle = rng.uniform(0.45, 0.6) * WIDTH
        half = radius * rng.uniform(1.35, 1.7)
        wall[:, int(middle - half) : int(middle + half)] = True
    places = _path(rng, radius, leaves=number % 2 == 1)
    frames, masks = [], []
    for time, (x, y) in enumerate(places):
        whole = _blob(x, y, radius, outline, turn=0.05 * time)
        seen = whole & ~wall
        if np.count_nonzero(seen) < _LEAST_SEEN * np.pi * radius**2:
            seen = np.zeros_like(seen)
        shifted = np.roll(skin, (round(y), round(x)), axis=(0, 1))  # the object's own pattern moves along
        picture = np.where(wall[..., None], wall_skin, np.where(whole[..., None], shifted, background))
        noisy = picture + rng.normal(0, 3, picture.shape)
        frames.append(noisy.clip(0, 255).astype(np.uint8))
        masks.append(seen)
    return np.stack(frames), masks


def _path(rng: np.random.Generator, radius: float, *, leaves: bool) -> npt.NDArray[np.float64]:
    """Places ``[T, 2]``: across the frame behind a wall, or over the right border and back."""
    time = np.linspace(0, 1, FRAMES)
    start, level = 1.5 * radius, rng.uniform(0.35, 0.65) * HEIGHT
    if leaves:
        x = start + (WIDTH + 1.6 * radius - start) * np.sin(np.pi * time) ** rng.uniform(0.7, 1.0)
    else:
        x = start + (WIDTH - 2 * start) * time
    y = level + rng.uniform(8, 24) * np.sin(2 * np.pi * (time + rng.random()))
    return np.stack((x, y), axis=1)


def _colours(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Three colours ``[3, 3]`` that nobody confuses."""
    while True:
        colours = rng.uniform(40, 215, (3, 3))
        distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
        if distances[np.triu_indices(3, 1)].min() > _COLOUR_DISTANCE:
            return colours


def _texture(rng: np.random.Generator, colour: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Soft stains around a colour, ``[H, W, 3]``, that can be shifted over the borders without a seam."""
    noise = rng.normal(size=(4, HEIGHT, WIDTH))
    stains = np.stack([ndimage.gaussian_filter(each, rng.uniform(3, 8), mode="wrap") for each in noise])
    stains /= stains.std(axis=(1, 2), keepdims=True)
    light, tints = stains[0], stains[1:].transpose(1, 2, 0)
    textured: npt.NDArray[np.float64] = (colour + 22 * light[..., None] + 7 * tints).clip(0, 255)
    return textured


def _blob(x: float, y: float, radius: float, outline: npt.NDArray[np.float64], turn: float) -> BoolMask:
    """A shape whose radius varies with the angle, ``[H, W]``."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    angle = (np.arctan2(rows - y, columns - x) + turn) % (2 * np.pi)
    corners = np.linspace(0, 2 * np.pi, len(outline) + 1)
    reach = np.interp(angle, corners, [*outline, outline[0]])
    blob: BoolMask = np.hypot(rows - y, columns - x) < radius * reach
    return blob
