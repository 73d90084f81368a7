"""Pictures with known masks. All is read when it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sam2_core.errors import VideoError
from sam2_core.evaluation.datasets import SMALLEST_INSTANCE, CocoObject, paint
from sam2_core.evaluation.sequences import read_label_map
from sam2_core.media import open_video
from sam2_core.rle import BoolMask


@dataclass(frozen=True, slots=True)
class Instance:
    """One object of a picture.

    Attributes:
        object_id: different for all objects of the picture, from 1.
        name: what the data call it.
        mask: ``[H, W]``.
        ignored: pixels that count for nothing, ``[H, W]``.
    """

    object_id: int
    name: str
    mask: BoolMask
    ignored: BoolMask | None = None


@dataclass(frozen=True, slots=True)
class MaskedPicture:
    """A picture in memory. Shapes: ``image [H, W, 3]`` uint8 RGB."""

    image: npt.NDArray[np.uint8]
    instances: tuple[Instance, ...]


class Picture(Protocol):
    """A picture with true masks; it is small until it is read, and can be sent to other processes."""

    @property
    def name(self) -> str:
        """Different for all pictures of a data set."""
        ...

    def read(self) -> MaskedPicture:
        """The picture and its objects."""
        ...


@dataclass(frozen=True, slots=True)
class CocoPicture:
    """A picture with COCO's polygons or run lengths; what COCO calls small is left out.

    Attributes:
        name: of the picture.
        path: of its file.
        objects: in whole, overlapping masks.
    """

    name: str
    path: Path
    objects: tuple[CocoObject, ...]

    def read(self) -> MaskedPicture:
        """The picture and its objects of more than :data:`SMALLEST_INSTANCE` pixels."""
        image = _read(self.path)
        instances = (
            Instance(number, each.name, paint(each.segmentation, *image.shape[:2]))
            for number, each in enumerate(self.objects, start=1)
        )
        return MaskedPicture(image, tuple(i for i in instances if np.count_nonzero(i.mask) > SMALLEST_INSTANCE))


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture beside a picture of objects' ids.

    Attributes:
        name: of the picture.
        path: of its file.
        masks: files with objects' ids; several where one picture was divided more than once.
        ignored: the value of pixels that count for nothing, as GrabCut's borders.
    """

    name: str
    path: Path
    masks: tuple[Path, ...]
    ignored: int | None = None

    def read(self) -> MaskedPicture:
        """The picture and an object for every value above 0, which is its name, after the file's if there are more."""
        image = _read(self.path)
        instances: list[Instance] = []
        for path in self.masks:
            labels = read_label_map(path)
            if labels.shape != image.shape[:2]:
                raise VideoError(
                    f"masks have the picture's size, {image.shape[1]} x {image.shape[0]} pixels; {path.name!r} is "
                    f"{labels.shape[1]} x {labels.shape[0]}."
                )
            border = None if self.ignored is None else labels == self.ignored
            for value in sorted({int(each) for each in np.unique(labels)} - {0, self.ignored}):
                name = str(value) if len(self.masks) == 1 else f"{path.stem}:{value}"
                instances.append(Instance(len(instances) + 1, name, labels == value, border))
        return MaskedPicture(image, tuple(instances))


def _read(path: Path) -> npt.NDArray[np.uint8]:
    with open_video(path) as video:
        return video[0]
