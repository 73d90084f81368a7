"""All ways of taking masks home, in the order in which they are offered.

>>> EXPORTS["coco"].write(annotation, folder / EXPORTS["coco"].file_name(annotation))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from sam2_core.errors import PromptError, Sam2Error
from sam2_core.formats.annotation import Annotation, Progress, silent
from sam2_core.formats.coco import write_coco
from sam2_core.formats.cutout import write_cutout_mov, write_cutout_png, write_cutout_webm
from sam2_core.formats.davis import write_davis
from sam2_core.formats.object_png import write_object_png
from sam2_core.formats.overlay import write_overlay, write_overlay_picture
from sam2_core.formats.sav import write_sav
from sam2_core.formats.yolo import write_yolo
from sam2_core.media import Video

Writer: TypeAlias = Callable[[Annotation, Path, Progress], None]
"""Writes a file whole or not at all, and has no more than a few frames in memory."""


@dataclass(frozen=True, slots=True)
class Export:
    """One format.

    Attributes:
        name: for programs.
        title: for people, a few words.
        description: one sentence: what is in it, and what it is good for.
        suffix: of the file.
        writer: of the format.
        suits: what it makes sense for.
    """

    name: str
    title: str
    description: str
    suffix: str
    writer: Writer
    suits: Literal["any", "video", "picture"] = "any"

    def file_name(self, annotation: Annotation) -> str:
        """A file's name after the clip's, safe on every system."""
        return f"{annotation.stem}-{self.name}{self.suffix}"

    def write(self, annotation: Annotation, path: Path, progress: Progress = silent) -> None:
        """Write a file; it appears when it is whole, and after a failure nothing is left of it.

        Args:
            annotation: what to export.
            path: of the file; its folder exists.
            progress: told of frames; what it raises ends the work.

        Raises:
            PromptError: the format has no room for the annotation, or there is nothing in it.
            Sam2Error: the file cannot be written, or a frame cannot be read.
        """
        annotation.check()
        try:
            self.writer(annotation, path, progress)
        except OSError as error:
            reason = error.strerror or str(error)
            raise Sam2Error(f"{path.name!r} cannot be written: {reason}.") from error


_ALL = (
    Export("masks", "PNG per object", "A black and white PNG for every object and frame, overlaps kept.",
           ".zip", write_object_png),
    Export("davis", "DAVIS palette PNG", "One indexed PNG per frame whose values are object ids, as DAVIS has it.",
           ".zip", write_davis),
    Export("coco", "COCO JSON", "Run lengths that pycocotools reads, with categories, boxes, areas and tracks.",
           ".json", write_coco),
    Export("sav", "SA-V JSON", "Run lengths per frame and masklet, as in the data set that SAM 2 was trained on.",
           ".json", write_sav),
    Export("yolo", "YOLO-seg data set", "Frames and polygons, ready for training a YOLO segmentation model.",
           ".zip", write_yolo),
    Export("overlay", "Overlay video", "The masks in their colours over the video, to look at and to show around.",
           ".mp4", write_overlay, "video"),
    Export("overlay-picture", "Overlay picture", "The masks in their colours over the picture.",
           ".png", write_overlay_picture, "picture"),
    Export("cutout", "Cut-out PNG", "Every frame with the objects alone and all else transparent.",
           ".zip", write_cutout_png),
    Export("cutout-webm", "Cut-out video for the web", "The objects alone as VP9 with transparency, for browsers.",
           ".webm", write_cutout_webm, "video"),
    Export("cutout-mov", "Cut-out video for editing", "The objects alone, lossless, for video editors; large.",
           ".mov", write_cutout_mov, "video"),
)  # fmt: skip

EXPORTS = {each.name: each for each in _ALL}
"""By name."""


def exports_for(video: Video) -> tuple[Export, ...]:
    """The formats that make sense for a video, or for a picture."""
    media = "picture" if video.is_image else "video"
    return tuple(each for each in EXPORTS.values() if each.suits in ("any", media))


def find_export(name: str) -> Export:
    """A format by its name, which a person may have typed.

    Raises:
        PromptError: there is none of this name.
    """
    if not isinstance(name, str) or name not in EXPORTS:
        raise PromptError(f"there is no export format {name!r:.40}; choose one of {', '.join(EXPORTS)}.")
    return EXPORTS[name]
