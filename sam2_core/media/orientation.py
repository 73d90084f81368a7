"""The display matrix of a video: how stored frames are turned into shown ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData, Type

from sam2_core.media.source import RgbFrame


@dataclass(frozen=True, slots=True)
class Orientation:
    """A stored frame is transposed first and then mirrored."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """Read the display matrix: the camera's quarter turn, and the mirror of a selfie.

        A stored pixel ``(x, y)`` is shown at ``(a x + c y, b x + d y)``. Angles between quarter turns are rounded.
        """
        side_data = cast("dict[Type, SideData]", frame.side_data)
        try:
            matrix = np.frombuffer(bytes(side_data[Type.DISPLAYMATRIX]), np.int32).reshape(3, 3)
        except KeyError:
            return cls()
        (a, b), (c, d) = matrix[:2, :2].tolist()
        if abs(a) >= abs(b):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    def apply(self, image: RgbFrame) -> RgbFrame:
        """The frame as shown, ``[H, W, 3]``, contiguous in memory."""
        if self.transposed:
            image = image.swapaxes(0, 1)
        if self.mirrored_x:
            image = image[:, ::-1]
        if self.mirrored_y:
            image = image[::-1]
        return np.ascontiguousarray(image)
