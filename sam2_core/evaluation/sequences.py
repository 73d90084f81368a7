"""Videos with known masks, in the layouts in which they are published. All is read when it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import UnidentifiedImageError

from sam2_core.errors import VideoError
from sam2_core.formats.annotation import silent
from sam2_core.formats.collection import MaskCollection
from sam2_core.formats.json_file import field as json_field
from sam2_core.formats.json_file import read_json
from sam2_core.formats.sav import read_sav
from sam2_core.media import MediaLimits, Video, in_order, open_video, pictures_in
from sam2_core.media.pictures import open_picture
from sam2_core.rle import Rle

_FEWEST_ANNOTATED = 3  # the first and the last one do not count
_LIMITS = MediaLimits()

Masks = Mapping[int, Rle]
"""One object's masks by frame."""


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The true masks of a video.

    Attributes:
        masklets: object id -> annotated frame -> mask, empty ones included.
        exclusive: the format has room for one object at each pixel, so answers must not overlap either.
        own_names: what the data call an object, by id; where it is not here, its name is the id.
    """

    masklets: Mapping[int, Masks]
    exclusive: bool
    own_names: Mapping[int, str] = field(default_factory=dict)

    def name_of(self, object_id: int) -> str:
        """What the data call an object: people look for it under this name."""
        return self.own_names.get(object_id, str(object_id))

    def check(self, name: str) -> None:
        """Refuse what cannot be scored.

        Raises:
            VideoError: there is no object, or too few annotated frames.
        """
        if not any(mask.area for masks in self.masklets.values() for mask in masks.values()):
            raise VideoError(f"the masks of {name!r} are all empty, so that there is nothing to track; leave it out.")
        if any(len(masks) < _FEWEST_ANNOTATED for masks in self.masklets.values()):
            raise VideoError(
                f"{name!r} needs {_FEWEST_ANNOTATED} annotated frames or more, since the first and the last one do not "
                "count; leave it out, or annotate more."
            )


class VideoSequence(Protocol):
    """A video with true masks; it is small until it is opened, and can be sent to other processes."""

    @property
    def name(self) -> str:
        """Different for all sequences of a data set."""
        ...

    def open(self) -> Video:
        """The frames."""
        ...

    def truth(self, video: Video) -> GroundTruth:
        """The true masks, at the video's size."""
        ...

    def frame_names(self, video: Video) -> Sequence[str]:
        """Under which masks of the frames are stored, without a suffix."""
        ...


@dataclass(frozen=True, slots=True)
class LabelledSequence:
    """DAVIS's layout: a folder of frames, and a folder of pictures of the same names whose values are object ids.

    Attributes:
        name: of the sequence.
        frames: folder.
        masks: folder.
        ignored: a value that is no object.
    """

    name: str
    frames: Path
    masks: Path
    ignored: int | None = None

    def open(self) -> Video:
        """The folder's frames."""
        return open_video(self.frames)

    def truth(self, video: Video) -> GroundTruth:
        """Every value above 0 is an object."""
        labels = read_label_maps(self.name, self.frames, self.masks, video)
        ids = sorted({int(value) for each in labels.values() for value in np.unique(each)} - {0, self.ignored})
        masklets = {
            object_id: {frame: Rle.encode(each == object_id) for frame, each in labels.items()} for object_id in ids
        }
        return GroundTruth(masklets, exclusive=len(ids) > 1)

    def frame_names(self, video: Video) -> Sequence[str]:
        """Those of the frames' files."""
        del video
        return _stems(self.frames)


@dataclass(frozen=True, slots=True)
class ObjectFolderSequence:
    """SA-V's layout for validation and test: a folder of frames, and one folder of binary masks for each object.

    Attributes:
        name: of the sequence.
        frames: folder.
        masks: folder of folders whose names are numbers; SA-V counts objects from 0, and a tracker's ids begin with 1.
    """

    name: str
    frames: Path
    masks: Path

    def open(self) -> Video:
        """The folder's frames."""
        return open_video(self.frames)

    def truth(self, video: Video) -> GroundTruth:
        """Every value above 0 is the folder's object."""
        folders = object_folders(self.masks)
        first = 1 if 0 in folders else 0
        masklets = {}
        for number, folder in folders.items():
            labels = read_label_maps(self.name, self.frames, folder, video)
            masklets[number + first] = {frame: Rle.encode(each > 0) for frame, each in labels.items()}
        return GroundTruth(masklets, False, {number + first: folder.name for number, folder in folders.items()})

    def frame_names(self, video: Video) -> Sequence[str]:
        """Those of the frames' files."""
        del video
        return _stems(self.frames)


@dataclass(frozen=True, slots=True)
class SavSequence:
    """SA-V's layout for training: a video (or its frames), and JSON with masks on every fourth (or every) frame."""

    name: str
    media: Path
    annotations: Path

    def open(self) -> Video:
        """The video file, or the folder of frames."""
        return open_video(self.media)

    def truth(self, video: Video) -> GroundTruth:
        """Masks of all masklets on all annotated frames."""
        document, found = read_json(self.annotations), MaskCollection(video)
        read_sav(document, found, silent)
        annotated = len(json_field(document, "masklet", list))
        # What the reader let pass has an entry for every frame or for every fourth.
        frames = range(0, len(video), 1 if annotated == len(video) else 4)
        empty = Rle.empty(video.height, video.width)
        masklets = {
            object_id: {frame: masks.get(frame, empty) for frame in frames}
            for object_id, masks in found.masklets().items()
        }
        first = 1 if 0 in json_field(document, "masklet_id", list) else 0
        return GroundTruth(masklets, False, {object_id: str(object_id - first) for object_id in masklets})

    def frame_names(self, video: Video) -> Sequence[str]:
        """Numbers from 00000 on, or those of the frames' files."""
        return _stems(self.media) if self.media.is_dir() else numbers(video)


def object_folders(masks: Path) -> dict[int, Path]:
    """A sequence's folders of single objects, by number; none in DAVIS's layout."""
    numbered = (each for each in masks.iterdir() if each.is_dir() and each.name.isascii() and each.name.isdigit())
    return {int(each.name): each for each in sorted(numbered)}


def numbers(video: Video) -> Sequence[str]:
    """Names for the frames of a video file: ``00000`` and so on."""
    return [f"{frame:05d}" for frame in range(len(video))]


def _stems(frames: Path) -> list[str]:
    return [path.stem for path in pictures_in(frames)]


def read_label_maps(name: str, frames: Path, masks: Path, video: Video) -> dict[int, npt.NDArray[np.integer]]:
    """Label maps ``[H, W]`` by frame; a mask is for the frame whose file has its name.

    Raises:
        VideoError: a mask is for no frame, has another size, or is not a picture with one value for each pixel.
    """
    indices = {stem: frame for frame, stem in enumerate(_stems(frames))}
    labels = {}
    for path in mask_files(masks):
        if path.stem not in indices:
            raise VideoError(f"{name!r} has a mask {path.name!r} but no frame of that name; add it or remove the mask.")
        labels[indices[path.stem]] = each = read_label_map(path)
        check_size(name, path, each, video)
    return labels


def check_size(name: str, path: Path, labels: npt.NDArray[np.integer], video: Video) -> None:
    """Refuse a mask that does not fit the video.

    Raises:
        VideoError: it has another size.
    """
    if labels.shape != (video.height, video.width):
        raise VideoError(
            f"masks have the frames' size, {video.width} x {video.height} pixels; {path.name!r} of {name!r} is "
            f"{labels.shape[1]} x {labels.shape[0]}."
        )


def mask_files(folder: Path) -> Sequence[Path]:
    """The PNGs of a folder in the order of the frames."""
    return in_order([path for path in folder.glob("*.png") if not path.name.startswith(".")])


def read_label_map(path: Path) -> npt.NDArray[np.integer]:
    """The values ``[H, W]`` of a picture with a palette or of greys: 0 is nothing, the others are objects' ids.

    Raises:
        VideoError: it is no picture, or one with colours.
    """
    if not path.is_file():
        raise VideoError(f"there is no mask {path.name!r} in {path.parent.name!r}; add it.")
    try:
        with open_picture(path, _LIMITS) as image:
            values = np.asarray(image)
    except UnidentifiedImageError as error:
        raise VideoError(f"{path.name!r} is not a picture; masks are PNGs whose values are objects' ids.") from error
    if values.ndim != 2:
        raise VideoError(
            f"{path.name!r} has colours; a mask has a palette or greys, and a pixel's value is its object's id."
        )
    labels: npt.NDArray[np.integer] = values.astype(np.uint8) if values.dtype == bool else values
    return labels
