"""Videos whose masks are known: DAVIS's folders, and SA-V's mp4 files with JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam2_core.errors import PromptError, Sam2Error, VideoError
from sam2_core.evaluation.layouts import find_data
from sam2_core.evaluation.sequences import LabelledSequence, read_label_map
from sam2_core.formats.coco_rle import from_coco
from sam2_core.formats.sav import annotation_stride
from sam2_core.media import open_video
from sam2_core.training.data import (
    Footage,
    UInt8Array,
    VideoSource,
    chosen_names,
    folder_of,
    pictures_by_stem,
    read_image,
    shrink,
    shrink_labels,
)
from sam2_core.training.recipe import DataSource

_SAV_SUFFIXES = ("_manual.json", "_auto.json")
_LARGEST_JSON = 2**28
"""Bytes; the longest of SA-V's videos have a few million."""


@dataclass(frozen=True, slots=True)
class LabelledFrames:
    """A picture and a label map for each frame. A picture without a label map is not a frame."""

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path, ...]
    long_side: int

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, frames: Sequence[int]) -> tuple[Tensor, Tensor]:
        """See :class:`sam2_core.training.data.Footage`."""
        images = [read_image(self.frames[index], self.long_side) for index in frames]
        height, width = images[0].shape[1:]
        for index, image in zip(frames, images, strict=True):
            if image.shape[1:] != (height, width):
                raise VideoError(
                    f"all frames of {self.name!r} should have one size; {self.frames[index].name!r} has another one "
                    f"than {self.frames[frames[0]].name!r}."
                )
        labels = [shrink_labels(read_label_map(self.masks[index]), height, width) for index in frames]
        return torch.from_numpy(np.stack(images)), _masks(np.stack(labels))


def _masks(labels: npt.NDArray[np.integer]) -> Tensor:
    """``[T, H, W]`` label maps as ``[K, T, H, W]`` booleans; beside other objects 255 is *not labelled*."""
    found = np.unique(labels[labels > 0])
    ids = found[found < 255] if found.size > 1 else found
    return torch.from_numpy(labels[None] == ids[:, None, None, None])


@dataclass(frozen=True, slots=True)
class SavVideo:
    """A video file with its masklets; both are opened when frames are asked for."""

    name: str
    video: Path
    masklets: Path
    long_side: int

    def __len__(self) -> int:
        return len(_masklets(self.masklets))

    def read(self, frames: Sequence[int]) -> tuple[Tensor, Tensor]:
        """See :class:`sam2_core.training.data.Footage`.

        Raises:
            Sam2Error: video or masklets are damaged, or do not fit each other.
        """
        try:
            return self._read(frames, _masklets(self.masklets))
        except PromptError as error:
            raise Sam2Error(f"{self.masklets.name!r} of {self.video.name!r}: {error}") from error

    def _read(self, frames: Sequence[int], entries: list[list[dict[str, Any]]]) -> tuple[Tensor, Tensor]:
        pictures: dict[int, UInt8Array] = {}
        with open_video(self.video) as video:
            stride = annotation_stride(len(entries), len(video))
            for index in sorted(set(frames)):  # reading forward is much faster than backward
                pictures[index] = shrink(video[index * stride], self.long_side)
            size = video.height, video.width
        images = np.stack([pictures[index] for index in frames])
        decoded = [[_decode(each, *size) for each in entries[index]] for index in frames]
        labels = np.stack([[shrink_labels(mask, *images.shape[2:]) for mask in masks] for masks in decoded])
        return torch.from_numpy(images), torch.from_numpy(labels > 0).transpose(0, 1)


@lru_cache(maxsize=8)
def _masklets(path: Path) -> list[list[dict[str, Any]]]:
    """Run lengths by annotated frame and object."""
    entries: Any = _read_document(path).get("masklet")
    good = isinstance(entries, list) and bool(entries) and all(isinstance(each, list) for each in entries)
    if (
        not good
        or len({len(each) for each in entries}) != 1
        or not all(isinstance(m, dict) for e in entries for m in e)
    ):
        raise Sam2Error(f"{path.name!r} has no masklets: 'masklet' should list the same objects for each frame.")
    found: list[list[dict[str, Any]]] = entries
    return found


def _read_document(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        Sam2Error: there is no such file, or it holds no JSON object.
    """
    if not path.is_file():
        raise Sam2Error(f"there is no {path.name!r} in {path.parent.name!r}; it was there when the run began.")
    if path.stat().st_size > _LARGEST_JSON:
        raise Sam2Error(f"{path.name!r} has more JSON than masklets of one video need; split it.")
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Sam2Error(f"{path.name!r} is no JSON, or a damaged one ({error!s:.80}); copy it again.") from error
    if not isinstance(document, dict):
        raise Sam2Error(f"{path.name!r} should hold a JSON object; it holds a {type(document).__name__}.")
    return document


def _decode(entry: dict[str, Any], height: int, width: int) -> npt.NDArray[np.integer]:
    return from_coco(entry.get("size"), entry.get("counts"), height, width).astype(np.uint8)


def davis_videos(root: Path, source: DataSource, long_side: int) -> VideoSource:
    """Sequences as DAVIS publishes them, or ``NAME/frames`` with ``NAME/masks``.

    DAVIS's own are ``JPEGImages/480p/NAME`` with ``Annotations/480p/NAME``.

    Raises:
        Sam2Error: there is no such folder, a sequence has no masks, or nothing is left to train on.
    """
    folders = _published(root, source) or _side_by_side(root, source)
    names = chosen_names(root, source, list(folders))
    return VideoSource(source.path, tuple(_sequence(name, *folders[name], long_side) for name in names), source.weight)


def _published(root: Path, source: DataSource) -> dict[str, tuple[Path, Path]]:
    base = root / source.path
    published = all(any(base.glob(pattern)) for pattern in ("JPEGImages*", "Annotations*"))
    found = find_data(base).sequences if published else ()
    return {each.name: (each.frames, each.masks) for each in found if isinstance(each, LabelledSequence)}


def _side_by_side(root: Path, source: DataSource) -> dict[str, tuple[Path, Path]]:
    each = (path for path in sorted(folder_of(root, source).iterdir()) if (path / "masks").is_dir())
    return {path.name: (path / "frames", path / "masks") for path in each}


def _sequence(name: str, frames: Path, masks: Path, long_side: int) -> Footage:
    if not frames.is_dir():
        raise Sam2Error(f"the sequence {name!r} has masks but no folder of frames; it needs both.")
    pictures, labels = pictures_by_stem(frames), pictures_by_stem(masks)
    stems = [stem for stem in pictures if stem in labels]
    if not stems:
        raise Sam2Error(f"no frame of the sequence {name!r} has a mask of the same name; check the folder.")
    return LabelledFrames(name, tuple(pictures[s] for s in stems), tuple(labels[s] for s in stems), long_side)


def sav_videos(root: Path, source: DataSource, long_side: int) -> VideoSource:
    """``NAME.mp4`` with ``NAME_manual.json`` or ``NAME_auto.json``, which may lie in folders of any depth.

    Only names are looked at here; a video and its JSON are opened when it is drawn.

    Raises:
        Sam2Error: nothing is left to train on.
    """
    folder = folder_of(root, source)
    found = {path.stem: path for path in sorted(folder.rglob("*.mp4")) if not path.name.startswith(".")}
    masklets = {name: each for name, path in found.items() if (each := _description(path)) is not None}
    names = chosen_names(root, source, list(masklets))
    videos = tuple(SavVideo(name, found[name], masklets[name], long_side) for name in names)
    return VideoSource(source.path, videos, source.weight)


def _description(video: Path) -> Path | None:
    candidates = (video.with_name(video.stem + suffix) for suffix in _SAV_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)
