"""SA-V: the JSON file per video in which Meta released the masklets that SAM 2 was trained on.

Fields, their types and their order are those of ``sav_dataset/README.md`` and ``sav_dataset/example/
sav_000001_manual.json`` in https://github.com/facebookresearch/sam2 (counts are floats there too). Two things differ:
every frame has an entry, whereas the dataset annotates every fourth; and what a video does not tell
(``video_environment``, ``video_split``) is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from sam2_core.errors import PromptError
from sam2_core.formats.annotation import Annotation, Progress
from sam2_core.formats.coco_rle import from_coco, to_coco
from sam2_core.formats.collection import MaskCollection
from sam2_core.formats.json_file import field, record, whole_number, write_json
from sam2_core.results import Masklet
from sam2_core.rle import Rle

_DATASET_STRIDE = 4
_MEDIUM, _LARGE = 32**2, 96**2


def write_sav(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write, for each frame, a mask of every object; an empty one where the object has none."""
    video, objects = annotation.video, annotation.objects
    statistics = [_Statistics.of(annotation.masklets.get(each.object_id, {})) for each in objects]
    resolution = float(video.height * video.width)
    fields = {
        "video_id": annotation.stem,
        "video_duration": len(video) / video.fps,
        "video_frame_count": float(len(video)),
        "video_height": float(video.height),
        "video_width": float(video.width),
        "video_resolution": resolution,
        "video_environment": "",
        "video_split": "",
        "masklet": _frames(annotation, progress),
        "masklet_id": [each.object_id for each in objects],
        "masklet_size_rel": [each.mean_area / resolution for each in statistics],
        "masklet_size_abs": [each.mean_area for each in statistics],
        "masklet_size_bucket": [each.bucket for each in statistics],
        "masklet_visibility_changes": [each.visibility_changes for each in statistics],
        "masklet_first_appeared_frame": [each.first_frame for each in statistics],
        "masklet_frame_count": [each.frame_count for each in statistics],
        "masklet_edited_frame_count": [len(each.prompted_frames) for each in objects],
        "masklet_type": ["manual"] * len(objects),
        "masklet_stability_score": [None] * len(objects),
        "masklet_num": len(objects),
    }
    write_json(path, fields)


def _frames(annotation: Annotation, progress: Progress) -> Iterator[list[dict[str, object]]]:
    video = annotation.video
    empty = to_coco(Rle.empty(video.height, video.width))
    for frame_index in range(len(video)):
        masks = annotation.masks(frame_index)
        yield [to_coco(masks[each.object_id]) if each.object_id in masks else empty for each in annotation.objects]
        progress(frame_index + 1, len(video))


@dataclass(frozen=True, slots=True)
class _Statistics:
    """What SA-V tells of a masklet."""

    mean_area: float
    visibility_changes: int
    first_frame: float
    frame_count: int

    @classmethod
    def of(cls, masklet: Masklet) -> _Statistics:
        areas = {frame_index: masklet[frame_index].mask.area for frame_index in sorted(masklet)}
        visible = {frame_index: area for frame_index, area in areas.items() if area}
        first = min(visible, default=0)
        since = [area > 0 for frame_index, area in areas.items() if frame_index >= first]
        changes = sum(before != after for before, after in pairwise(since))
        return cls(sum(visible.values()) / max(len(visible), 1), changes, float(first), len(masklet))

    @property
    def bucket(self) -> str:
        return "small" if self.mean_area < _MEDIUM else "medium" if self.mean_area < _LARGE else "large"


def read_sav(document: dict[str, Any], masks: MaskCollection, progress: Progress) -> None:
    """Collect the masks of an SA-V document, of which every frame or, as in the dataset, every fourth has some.

    Raises:
        PromptError: a field is missing or wrong.
    """
    frames = field(document, "masklet", list)
    object_ids = [whole_number(each, "masklet_id") for each in field(document, "masklet_id", list)]
    stride = annotation_stride(len(frames), masks.frame_count)
    for done, entries in enumerate(frames, start=1):
        if not isinstance(entries, list) or len(entries) != len(object_ids):
            raise PromptError(
                f"every frame's 'masklet' should list {len(object_ids)} masks, one for each 'masklet_id'."
            )
        for object_id, entry in zip(object_ids, entries, strict=True):
            rle = record(entry, "a mask")
            pixels = from_coco(rle.get("size"), rle.get("counts"), masks.height, masks.width)
            masks.add(object_id, (done - 1) * stride, pixels)
        progress(done, len(frames))


def annotation_stride(given: int, frame_count: int) -> int:
    """From how many frames to how many there are masks: 1 as exported here, 4 as in the dataset.

    Args:
        given: frames that the document has masks for.
        frame_count: of the video.

    Raises:
        PromptError: it is neither.
    """
    for stride in (1, _DATASET_STRIDE):
        if given == len(range(0, frame_count, stride)):
            return stride
    raise PromptError(
        f"the video has {frame_count} frames, and the file has masks for {given} of them; every frame or every "
        f"{_DATASET_STRIDE}th should have an entry."
    )
