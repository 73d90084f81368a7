"""A real but tiny model, and clips made of a few rectangles."""

from __future__ import annotations

import copy
from functools import lru_cache

import numpy as np

from sam2_core.config import POCKET
from sam2_core.media.frames import Video, video_from_array
from sam2_core.model import SAM2
from sam2_core.prompts import Box, Point, Prompt
from tests.parity.golden_rules import fill_, image_u8

HEIGHT, WIDTH = 48, 64
ONE_CLICK = Prompt(points=(Point(0.3, 0.4),))
OTHER_CLICK = Prompt(points=(Point(0.7, 0.6),))
A_BOX = Prompt(box=Box(0.2, 0.2, 0.6, 0.7))


def toy_model(image_size: int = 64, obj_bias: float = 5.0) -> SAM2:
    """The pocket architecture with made-up weights: meaningless masks, real mechanisms, milliseconds a frame.

    Every caller gets a model of its own, since some change its precision.
    """
    return copy.deepcopy(_made_up(image_size, obj_bias))


@lru_cache(maxsize=4)
def _made_up(image_size: int, obj_bias: float) -> SAM2:
    return fill_(SAM2(POCKET.at_size(image_size)).eval(), obj_bias)


def toy_clip(count: int = 20, height: int = HEIGHT, width: int = WIDTH) -> Video:
    return video_from_array(np.stack([image_u8(height, width, t) for t in range(count)]))
