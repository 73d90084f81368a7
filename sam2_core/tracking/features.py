"""Image features by frame: every frame is encoded once per visit, however many objects are tracked."""

from __future__ import annotations

import torch

from sam2_core.media.frames import Video
from sam2_core.model import SAM2, ImageFeatures
from sam2_core.tracking.pixels import Resampling, model_pixels
from sam2_core.tracking.shared_cache import SharedCache

_CACHE_BYTES = 128 * 2**20
_AHEAD = 24
"""Frames to either side that are worth encoding before anyone asks for them."""


class FrameFeatures:
    """Encodes frames on demand and keeps the most recently used ones.

    Args:
        model: that encodes.
        video: whose frames.
        cache: shared with others; ``None`` makes one of 128 MB.
    """

    def __init__(self, model: SAM2, video: Video, cache: SharedCache[ImageFeatures] | None = None) -> None:
        self._model = model
        self._video = video
        self._resampling = Resampling.PHOTOGRAPH if video.is_image else Resampling.VIDEO_FRAME
        self._cache = cache or SharedCache(_CACHE_BYTES)
        self._owner = object()

    def __getitem__(self, frame_index: int) -> ImageFeatures:
        """Features of one frame, as a batch of one."""
        found = self._cache.get(self._owner, frame_index)
        if found is None:
            found = self._encode(frame_index)
            self._cache.keep(self._owner, frame_index, found, found.nbytes)
        return found

    def forget(self) -> None:
        """Make room for others."""
        self._cache.drop_all(self._owner)

    def missing_near(self, frame_index: int) -> int | None:
        """The frame nearest to this one that is worth encoding before anyone asks for it, the later one first.

        ``None`` where as many are here as fit: more would only push out what is needed sooner, here or by others.
        """
        here = self._cache.sizes(self._owner)
        fitting = self._cache.share(self._owner) // max(here.values()) if here else 1
        for distance in range(max(min(fitting // 2, _AHEAD), 1)):
            for near in (frame_index + distance, frame_index - distance):
                if 0 <= near < len(self._video) and near not in here:
                    return near
        return None

    @torch.inference_mode()
    def _encode(self, frame_index: int) -> ImageFeatures:
        size = self._model.config.image_size
        pixels = model_pixels(self._video[frame_index], size, self._resampling)
        return self._model.encode_image(pixels[None].to(self._model.device))
