"""Annotations to write, made by hand or by chance."""

from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from sam2_core.formats import AnnotatedObject, Annotation
from sam2_core.media import Video, video_from_array
from sam2_core.results import ObjectMask
from sam2_core.rle import Rle

Masks = Mapping[int, Mapping[int, np.ndarray]]
"""Object id -> frame -> mask."""


def blank_video(frames: int, height: int, width: int, name: str = "bear.mp4") -> Video:
    """Frames that differ, so that one is not taken for another."""
    shades = np.arange(40, 40 + frames, dtype=np.uint8)
    return video_from_array(np.broadcast_to(shades[:, None, None, None], (frames, height, width, 3)), fps=10, name=name)


def annotation_of(video: Video, masks: Masks, names: Mapping[int, str] | None = None) -> Annotation:
    """Masks of certain scores; objects in the order of ``masks``, with made-up colours."""
    masklets = {
        object_id: {frame: ObjectMask(object_id, Rle.encode(mask), 0.75, 2.5) for frame, mask in by_frame.items()}
        for object_id, by_frame in masks.items()
    }
    objects = (AnnotatedObject(each, (names or {}).get(each, f"thing {each}"), (each, 2, 3), (0,)) for each in masks)
    return Annotation(video, tuple(objects), masklets)


def visible(annotation: Annotation) -> dict[int, dict[int, Rle]]:
    """What an import should give back: masks with at least one pixel."""
    masklets = {
        object_id: {frame: found.mask for frame, found in masklet.items() if found.mask.area}
        for object_id, masklet in annotation.masklets.items()
    }
    return {object_id: masklet for object_id, masklet in masklets.items() if masklet}


@st.composite
def annotations(draw: st.DrawFn, *, overlapping: bool = True) -> Annotation:
    """A few frames and objects with masks of any shape, of which at least one has a pixel."""
    frames, height, width = draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    object_ids = draw(st.lists(st.integers(1, 255), min_size=1, max_size=3, unique=True))
    pixels = nps.arrays(bool, (height, width))
    masks = {each: draw(st.dictionaries(st.integers(0, frames - 1), pixels, max_size=frames)) for each in object_ids}
    masks[object_ids[0]][frames - 1] = np.ones((height, width), bool)
    if not overlapping:
        taken = np.zeros((frames, height, width), bool)
        for by_frame in reversed(masks.values()):
            for frame in by_frame:
                by_frame[frame] = by_frame[frame] & ~taken[frame]
                taken[frame] |= by_frame[frame]
        masks[object_ids[0]][frames - 1][0, 0] |= not any(mask.any() for by in masks.values() for mask in by.values())
    return annotation_of(blank_video(frames, height, width), masks)
