"""A session's masks and scores as a notebook wants them: arrays and a table."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import overload

import numpy as np
import pandas as pd

from sam2_core.errors import PromptError
from sam2_core.results import ObjectMask
from sam2_core.rle import BoolMask
from sam2_core.session.document import Document
from widgets.arguments import wholes

_MOST_BYTES = 4 * 2**30


class ObjectMasks(Mapping[int, BoolMask]):
    """One object's masks: frame -> bool array ``[H, W]``, for the frames that have one.

    A slice of the clip's frames is one array ``[T, H, W]``, all False where there is no mask.

    Args:
        object_id: whose.
        masks: of all objects.
        masklet: this one's, by frame.
    """

    def __init__(self, object_id: int, masks: Masks, masklet: Mapping[int, ObjectMask]) -> None:
        self.object_id = object_id
        self._masks = masks
        self._masklet = masklet

    @overload
    def __getitem__(self, frame: int) -> BoolMask: ...
    @overload
    def __getitem__(self, frame: slice) -> BoolMask: ...
    def __getitem__(self, frame: int | slice) -> BoolMask:
        if isinstance(frame, slice):
            stretch: BoolMask = self._masks.to_numpy([self.object_id], self._masks.frames(frame))[0]
            return stretch
        if not isinstance(frame, Hashable) or frame not in self._masklet:
            every = self._masks.frames(slice(None))
            if frame not in every:
                raise KeyError(f"the clip has frames 0 to {len(every) - 1}; got frame {frame!r:.60}.")
            raise KeyError(f"object {self.object_id} has no mask on frame {frame}; click it there, or track it.")
        return self._masklet[frame].mask.decode()

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._masklet))

    def __len__(self) -> int:
        return len(self._masklet)

    def __repr__(self) -> str:
        return f"<masks of object {self.object_id} on {counted(len(self), 'frame')}>"


class Masks(Mapping[int, ObjectMasks]):
    """All masks as they were when they were asked for: ``masks[object_id][frame]`` is a bool array ``[H, W]``.

    ``masks[object_id][20:40]`` is one array ``[T, H, W]``, all False where there is no mask. Masks are kept as run
    lengths and become arrays one by one.

    Args:
        document: the session's.
        height: of the clip, in pixels.
        width: of the clip, in pixels.
    """

    def __init__(self, document: Document, height: int, width: int) -> None:
        self._document = document
        self._size = (height, width)

    def __getitem__(self, object_id: int) -> ObjectMasks:
        if not isinstance(object_id, Hashable) or object_id not in self._document.objects:
            raise KeyError(f"there is no object {object_id!r:.60}; there are {list(self) or 'none yet'}.")
        return ObjectMasks(object_id, self, self._document.objects[object_id].masklet)

    def __iter__(self) -> Iterator[int]:
        return iter(self._document.objects)

    def __len__(self) -> int:
        return len(self._document.objects)

    def __repr__(self) -> str:
        objects = ", ".join(f"{key} on {counted(len(masks), 'frame')}" for key, masks in self.items())
        return f"<Masks of {self._size[1]} x {self._size[0]} pixels: {f'object {objects}' if objects else 'none yet'}>"

    def frames(self, chosen: slice) -> range:
        """Indices of the clip's frames in a slice.

        Raises:
            PromptError: its ends are not whole.
        """
        try:
            return range(self._document.frame_count)[chosen]
        except (TypeError, ValueError):
            raise PromptError(f"frames are sliced by whole numbers, as in [20:40]; got {chosen!r:.60}.") from None

    def to_numpy(self, objects: Iterable[int] | None = None, frames: Iterable[int] | None = None) -> BoolMask:
        """Masks as one array; all False where there is none.

        Shapes: bool ``[N, T, H, W]``: objects in the order given, or in which they were added; frames in the order
        given, or all of the clip.

        Args:
            objects: ids.
            frames: indices, such as ``range(20, 40)``.

        Raises:
            KeyError: there is no such object.
            PromptError: these are no numbers, there is no such frame, or the array would have more than 4 GiB.

        Example:
            >>> widget.masks.to_numpy(frames=range(20, 40)).sum(axis=(2, 3))  # pixels, by object and frame
        """
        chosen = [self[object_id] for object_id in (self if objects is None else wholes(objects, "objects"))]
        indices = range(self._document.frame_count) if frames is None else wholes(frames, "frames")
        wrong = [index for index in indices if not 0 <= index < self._document.frame_count]
        if wrong:
            raise PromptError(f"the clip has frames 0 to {self._document.frame_count - 1}; got frame {wrong[0]}.")
        height, width = self._size
        nbytes = len(chosen) * len(indices) * height * width
        if nbytes > _MOST_BYTES:
            raise PromptError(
                f"{len(chosen)} objects on {len(indices)} frames of {width} x {height} pixels are "
                f"{nbytes / 2**30:.1f} GiB of masks; take fewer at once, as to_numpy(frames=range(0, 100)) does."
            )
        array = np.zeros((len(chosen), len(indices), height, width), dtype=bool)
        for row, masks in enumerate(chosen):
            for place, index in enumerate(indices):
                if index in masks:
                    array[row, place] = masks[index]
        return array


def score_table(document: Document) -> pd.DataFrame:
    """What the model thought of every mask, as one row for each frame and object that has one.

    The columns are those of ``scores.csv`` and two more: ``frame``, ``object_id``, ``predicted_iou`` (0..1),
    ``object_score`` (a logit: above zero the object is visible), ``visible``, and ``area`` in pixels.
    """
    every = [(frame, mask) for state in document.objects.values() for frame, mask in state.masklet.items()]
    found = sorted(every, key=lambda each: (each[0], each[1].object_id))
    table: pd.DataFrame = pd.DataFrame(
        {
            "frame": np.array([frame for frame, _ in found], dtype=np.int64),
            "object_id": np.array([mask.object_id for _, mask in found], dtype=np.int64),
            "predicted_iou": np.array([mask.predicted_iou for _, mask in found], dtype=np.float64),
            "object_score": np.array([mask.object_score for _, mask in found], dtype=np.float64),
            "visible": np.array([mask.visible for _, mask in found], dtype=bool),
            "area": np.array([mask.mask.area for _, mask in found], dtype=np.int64),
        }
    )
    return table


def counted(number: int, noun: str) -> str:
    """A number of things, for people to read."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
