"""Small pictures for pages."""

from __future__ import annotations

import base64

import numpy as np
from PIL import Image

from sam2_core.media import encode_jpeg
from sam2_core.media.source import RgbFrame


def thumbnail(frame: RgbFrame, width: int = 320) -> RgbFrame:
    """A frame ``[H, W, 3]`` reduced to ``width`` pixels."""
    height = max(1, round(frame.shape[0] * width / frame.shape[1]))
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))


def data_url(picture: RgbFrame, quality: int = 85) -> str:
    """A picture ``[H, W, 3]`` as the address of itself."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(picture, quality)).decode("ascii")
