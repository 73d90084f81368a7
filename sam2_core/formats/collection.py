"""Masks from outside, gathered and bounded."""

from __future__ import annotations

import re

from sam2_core.errors import PromptError
from sam2_core.formats.frame_names import frame_stems
from sam2_core.media import Video
from sam2_core.rle import BoolMask, Rle

_HIGHEST_ID = 65_535
_MOST_OBJECTS = 255
_MOST_BYTES = 1024 * 1024 * 1024
_BYTES_PER_MASK = 300  # that Python needs besides the run lengths


class MaskCollection:
    """Masks of one video, added one by one.

    Masks without a pixel are left out, for most formats cannot tell them from masks that never were.

    Args:
        video: that the masks are for.

    Attributes:
        height: of every mask, in pixels.
        width: of every mask, in pixels.
        frame_count: of the video.
    """

    def __init__(self, video: Video) -> None:
        self.height, self.width, self.frame_count = video.height, video.width, len(video)
        self._own_names = {stem: index for index, stem in enumerate(frame_stems(video))} if video.frame_names else {}
        self._masklets: dict[int, dict[int, Rle]] = {}
        self._bytes = 0

    def frame_named(self, name: str) -> int:
        """The frame that a file is for, by its name without the suffix: a picture's of the clip, or one with a number.

        A picture has but one frame, whatever the name.

        Raises:
            PromptError: there is no number.
        """
        if self.frame_count == 1:
            return 0
        if name in self._own_names:
            return self._own_names[name]
        number = re.search(r"[0-9]{1,9}$", name)
        if number is None:
            raise PromptError(f"the name {name[-80:]!r} should end in its frame's number, as bear_00012 does.")
        return int(number[0])

    def add(self, object_id: int, frame_index: int, mask: BoolMask) -> None:
        """Add an object's mask ``[height, width]`` on a frame.

        Raises:
            PromptError: the frame, the id or the size is out of range, the mask is there already, or it is too much.
        """
        if not 0 <= frame_index < self.frame_count:
            raise PromptError(
                f"the video has frames 0 to {self.frame_count - 1}, and a mask is of frame {frame_index}; choose masks "
                "of this clip."
            )
        if not 0 <= object_id <= _HIGHEST_ID:
            raise PromptError(f"objects are numbered up to {_HIGHEST_ID}; a mask is of object {object_id}.")
        if mask.shape != (self.height, self.width):
            raise PromptError(
                f"masks have the video's size, {self.width} x {self.height} pixels; the one of frame {frame_index} is "
                f"{mask.shape[1]} x {mask.shape[0]}."
            )
        masklet = self._masklets.setdefault(object_id, {})
        if frame_index in masklet:
            raise PromptError(f"there are two masks of object {object_id} on frame {frame_index}; keep one of them.")
        if len(self._masklets) > _MOST_OBJECTS:
            raise PromptError(f"the masks are of more than {_MOST_OBJECTS} objects, the most that can be imported.")
        masklet[frame_index] = rle = Rle.encode(mask)
        self._bytes += len(rle.data) + _BYTES_PER_MASK
        if self._bytes > _MOST_BYTES:
            raise PromptError("the masks are too many, or too torn, to be kept in memory; import fewer frames.")

    def masklets(self) -> dict[int, dict[int, Rle]]:
        """Object id -> frame -> mask; all ids are one higher where the file counts objects from 0.

        Raises:
            PromptError: nothing was found.
        """
        first = 1 if 0 in self._masklets else 0
        visible = {
            object_id + first: {frame: rle for frame, rle in sorted(masklet.items()) if rle.area}
            for object_id, masklet in sorted(self._masklets.items())
        }
        found = {object_id: masklet for object_id, masklet in visible.items() if masklet}
        if not found:
            raise PromptError(
                "no mask with a single pixel was found; expected are COCO or SA-V JSON, or a zip or folder of PNGs or "
                "YOLO labels."
            )
        return found
