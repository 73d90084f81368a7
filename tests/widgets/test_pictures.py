"""Small pictures for pages."""

import base64
import io

import numpy as np
from PIL import Image

from widgets.pictures import data_url, thumbnail

GREY = np.full((100, 200, 3), 128, np.uint8)


def test_thumbnails_keep_proportions() -> None:
    assert thumbnail(GREY, 50).shape == (25, 50, 3)
    assert thumbnail(GREY[:1], 50).shape == (1, 50, 3)


def test_a_picture_is_its_own_address() -> None:
    kind, _, text = data_url(GREY).partition(",")
    assert kind == "data:image/jpeg;base64"
    assert abs(np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(int) - 128).max() <= 2
