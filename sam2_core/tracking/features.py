"""Image features by frame: every frame is encoded once per visit, however many objects are tracked."""

from __future__ import annotations

from collections import OrderedDict

import torch

from sam2_core.media.frames import Video
from sam2_core.model import SAM2, ImageFeatures
from sam2_core.tracking.pixels import Resampling, model_pixels

_CACHE_BYTES = 128 * 2**20
_AHEAD = 24
"""Frames to either side that are worth encoding before anyone asks for them."""


class FrameFeatures:
    """Encodes frames on demand and keeps the most recently used ones, up to a number of bytes."""

    def __init__(self, model: SAM2, video: Video, cache_bytes: int = _CACHE_BYTES) -> None:
        self._model = model
        self._video = video
        self._resampling = Resampling.PHOTOGRAPH if video.is_image else Resampling.VIDEO_FRAME
        self._cache: OrderedDict[int, ImageFeatures] = OrderedDict()
        self._cache_bytes = cache_bytes

    def __getitem__(self, frame_index: int) -> ImageFeatures:
        """Features of one frame, as a batch of one."""
        if frame_index not in self._cache:
            self._cache[frame_index] = self._encode(frame_index)
            self._shrink()
        self._cache.move_to_end(frame_index)
        return self._cache[frame_index]

    def missing_near(self, frame_index: int) -> int | None:
        """The frame nearest to this one that is worth encoding before anyone asks for it, the later one first.

        ``None`` where as many are here as fit: more would only push out what is needed sooner.
        """
        largest = max((features.nbytes for features in self._cache.values()), default=0)
        fitting = self._cache_bytes // largest if largest else 1
        for distance in range(max(min(fitting // 2, _AHEAD), 1)):
            for near in (frame_index + distance, frame_index - distance):
                if 0 <= near < len(self._video) and near not in self._cache:
                    return near
        return None

    @torch.inference_mode()
    def _encode(self, frame_index: int) -> ImageFeatures:
        size = self._model.config.image_size
        pixels = model_pixels(self._video[frame_index], size, self._resampling)
        return self._model.encode_image(pixels[None].to(self._model.device))

    def _shrink(self) -> None:
        while len(self._cache) > 1 and sum(f.nbytes for f in self._cache.values()) > self._cache_bytes:
            self._cache.popitem(last=False)
