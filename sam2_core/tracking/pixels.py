"""The border between a video's own coordinates and the model's: every conversion is here, and nowhere else.

Outside, positions are fractions of the frame and masks are run lengths at the video's size. Inside, everything lives on
a square of ``image_size`` pixels: a frame is stretched to it, so x and y scale differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from torch import Tensor

from sam2_core.config import ModelConfig
from sam2_core.model import GIVEN_MASK_LOGIT, PromptTensors
from sam2_core.prompts import Prompt
from sam2_core.rle import Rle

MEAN = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
STD = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
"""Of red, green and blue from 0 to 1 in ImageNet's pictures, ``[3, 1, 1]``."""
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
_FILLED_LOGIT = 0.1
_OVERLAPPED_LOGIT = -10.0


class Resampling(Enum):
    """How a frame is stretched. The released code treats photographs and video frames differently."""

    PHOTOGRAPH = "bilinear in floating point, antialiased"
    VIDEO_FRAME = "Pillow's bicubic on bytes"


def model_pixels(frame: npt.NDArray[np.uint8], size: int, resampling: Resampling) -> Tensor:
    """A frame as the model sees it. Shapes: RGB bytes ``[H, W, 3]`` -> normalised ``[3, size, size]``."""
    if resampling is Resampling.VIDEO_FRAME:
        resized = Image.fromarray(frame).resize((size, size))
        pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
    else:
        pixels = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1).float() / 255
        if frame.shape[:2] != (size, size):
            pixels = F.interpolate(pixels[None], size=(size, size), mode="bilinear", antialias=True)[0]
    return (pixels - MEAN) / STD


def point_tensors(
    prompt: Prompt, config: ModelConfig, mask_logits_bhw: Tensor | None = None, device: torch.device | None = None
) -> PromptTensors:
    """Clicks and box of one prompt in model pixels, box corners first, as a batch of one."""
    corners = [(prompt.box.x0, prompt.box.y0), (prompt.box.x1, prompt.box.y1)] if prompt.box else []
    points = corners + [(point.x, point.y) for point in prompt.points]
    labels = [2, 3][: len(corners)] + [int(point.positive) for point in prompt.points]
    xy = torch.tensor(points, dtype=torch.float64).mul(config.image_size).float()
    return PromptTensors(xy[None].to(device), torch.tensor(labels)[None].to(device), mask_logits_bhw)


def model_mask(mask: Rle, size: int) -> Tensor:
    """A given mask of any size on the model's square, ``[1, size, size]`` of 0 and 1."""
    pixels = torch.from_numpy(mask.decode()).float()[None]
    if (mask.height, mask.width) != (size, size):
        pixels = F.interpolate(pixels[None], size=(size, size), mode="bilinear", antialias=True)[0]
    return (pixels >= 0.5).float()


def stretched(mask: Rle, height: int, width: int) -> Rle:
    """A given mask of any size at the video's; the same, pixel by pixel, where it has that size already."""
    if (mask.height, mask.width) == (height, width):
        return mask
    pixels = torch.from_numpy(mask.decode()).float()[None, None]
    return Rle.encode(F.interpolate(pixels, size=(height, width), mode="bilinear", antialias=True)[0, 0].numpy() >= 0.5)


def low_resolution(mask_1hw: Tensor, size: int) -> Tensor:
    """A mask of 0 and 1 as the decoder would have drawn it: logits of -10 and 10 at ``[size, size]``."""
    logits = (mask_1hw * 2 - 1) * GIVEN_MASK_LOGIT
    return F.interpolate(logits[None], size=(size, size), mode="bilinear", antialias=True)[0, 0]


def video_logits(logits_bhw: Tensor, height: int, width: int, *, apart: bool = False) -> Tensor:
    """Mask logits at the video's size, ``[B, H, W]``; ``apart`` leaves every pixel to one object at most."""
    logits = F.interpolate(logits_bhw[:, None], size=(height, width), mode="bilinear")[:, 0]
    return set_apart(logits) if apart else logits


def set_apart(logits_bhw: Tensor) -> Tensor:
    """Every pixel keeps its strongest object (the first on a tie); the others are pushed to -10 or below there."""
    owner = logits_bhw.argmax(dim=0, keepdim=True)
    rows = torch.arange(logits_bhw.shape[0], device=logits_bhw.device)[:, None, None]
    return torch.where(rows == owner, logits_bhw, logits_bhw.clamp(max=_OVERLAPPED_LOGIT))


def given_logits(mask: Rle, device: torch.device) -> Tensor:
    """A mask at the video's size as logits of -10 and 10, ``[1, H, W]``."""
    return (torch.from_numpy(mask.decode()).to(device).float()[None] * 2 - 1) * GIVEN_MASK_LOGIT


def video_masks(logits: Iterable[Tensor], *, apart: bool = False) -> list[Rle]:
    """Masks of several objects; at the video's size they are together in memory only where they must be.

    Shapes: every entry of ``logits`` is ``[1, H, W]``.
    """
    together = list(logits) if apart else []
    shown = set_apart(torch.cat(together)).split(1) if together else logits
    return [Rle.encode((one[0] > 0).cpu().numpy()) for one in shown]


def fill_holes(logits_bhw: Tensor, largest: int) -> Tensor:
    """Background regions of up to ``largest`` low-resolution pixels become foreground (logit 0.1).

    Eight neighbours connect. The released code does this on CUDA only; here it works everywhere.
    """
    if largest == 0:
        return logits_bhw
    filled = logits_bhw.clone()
    for index, background in enumerate((logits_bhw <= 0).cpu().numpy()):
        regions, _ = ndimage.label(background, structure=_EIGHT_NEIGHBOURS)
        areas = np.bincount(regions.ravel())
        small = areas <= largest
        small[0] = False  # region 0 is the foreground
        filled[index][torch.from_numpy(small[regions]).to(filled.device)] = _FILLED_LOGIT
    return filled
