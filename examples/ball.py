"""A clip whose masks are known, drawn on the spot: a ball rolls over a meadow and behind a wall."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FRAMES, HEIGHT, WIDTH = 40, 180, 320
RADIUS = 28
WALL = slice(190, 262)
START = (30, 95)
"""The ball's middle on the first frame, x and y in pixels."""


def ball_clip() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The frames, and where the ball is seen on each.

    Shapes: uint8 ``[T, H, W, 3]`` and bool ``[T, H, W]``.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [
        90 + 40 * np.sin(x / 17) + 10 * np.sin(y / 5),
        120 + 30 * np.cos(y / 23 + x / 31),
        80 + 25 * np.sin((x + y) / 29),
    ]
    meadow = np.stack(waves, axis=-1) + np.random.default_rng(0).normal(0, 6, (HEIGHT, WIDTH, 1))
    chess, bricks = (x // 8 + y // 8) % 2, y // 12 % 2
    frames = np.repeat(meadow[None], FRAMES, axis=0)
    truth = np.zeros((FRAMES, HEIGHT, WIDTH), dtype=bool)
    for index, (frame, seen) in enumerate(zip(frames, truth, strict=True)):
        middle_x, middle_y = START[0] + 260 * index / (FRAMES - 1), START[1] + 20 * np.sin(index / 5)
        ball = (x - middle_x) ** 2 + (y - middle_y) ** 2 < RADIUS**2
        frame[ball] = np.array([215, 120, 40]) + 25 * chess[ball][:, None]
        frame[:, WALL] = np.array([70, 72, 86]) + 12 * bricks[:, WALL, None]
        seen[:] = ball
        seen[:, WALL] = False
    return frames.clip(0, 255).astype(np.uint8), truth
