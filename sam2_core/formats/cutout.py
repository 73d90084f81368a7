"""The objects without the rest of the picture, to put before another one.

Every frame is there in full size, and transparent where no object is; whatever lies under transparent pixels is black,
so that nothing but the objects leaves the house.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from sam2_core.formats.annotation import Annotation, Progress
from sam2_core.formats.archive import png, writing_zip
from sam2_core.media import ANIMATION_ALPHA, VP9_ALPHA, VideoWriter, cut_out
from sam2_core.media.encode import Encoding
from sam2_core.media.render import RgbaFrame


def write_cutout_png(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write a zip of RGBA pictures, ``00000.png`` and so on."""
    total = len(annotation.video)
    with writing_zip(path) as archive:
        for frame_index, stem in enumerate(annotation.frame_stems):
            archive.writestr(f"{stem}.png", png(Image.fromarray(_cut_frame(annotation, frame_index))))
            progress(frame_index + 1, total)


def write_cutout_webm(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write VP9 with alpha, which browsers play."""
    _write_video(annotation, path, progress, VP9_ALPHA)


def write_cutout_mov(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write QuickTime Animation, which is lossless and which video editors take."""
    _write_video(annotation, path, progress, ANIMATION_ALPHA)


def _write_video(annotation: Annotation, path: Path, progress: Progress, encoding: Encoding) -> None:
    video = annotation.video
    with VideoWriter(path, video.fps, encoding) as writer:
        for frame_index in range(len(video)):
            writer.write(_cut_frame(annotation, frame_index))
            progress(frame_index + 1, len(video))


def _cut_frame(annotation: Annotation, frame_index: int) -> RgbaFrame:
    return cut_out(annotation.video[frame_index], annotation.masks(frame_index))
