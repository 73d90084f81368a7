"""Masks that were made elsewhere, by anyone, scored as our own are."""

from __future__ import annotations

from pathlib import Path

from sam2_core.errors import VideoError
from sam2_core.evaluation.metrics import curve
from sam2_core.evaluation.results import Protocol, SequenceResult, TrackedObject
from sam2_core.evaluation.sequences import (
    GroundTruth,
    Masks,
    VideoSequence,
    check_size,
    object_folders,
    read_label_map,
)
from sam2_core.evaluation.snapshots import extremes
from sam2_core.media import Video
from sam2_core.rle import Rle


def score_predictions(folder: Path, sequence: VideoSequence) -> SequenceResult:
    """Score ``folder/SEQUENCE/FRAME.png`` (values are object ids) or ``folder/SEQUENCE/OBJECT/FRAME.png`` (binary).

    As in the SA-V evaluator, every frame that counts needs a file, and frames that do not count may have one.

    Raises:
        VideoError: a file is missing, is no mask, or has another size.
    """
    with sequence.open() as video:
        truth = sequence.truth(video)
        truth.check(sequence.name)
        predicted = _read(folder / sequence.name, sequence, video, truth)
        curves = {each: curve(masks, predicted.get(each, {})) for each, masks in truth.masklets.items()}
        scored = {each: found for each, found in curves.items() if found}
        pictures = extremes(sequence.name, video, scored, truth.masklets, predicted)
    objects = tuple(TrackedObject(each, found) for each, found in scored.items())
    return SequenceResult(Protocol.PREDICTIONS, sequence.name, objects, None, pictures)


def _read(folder: Path, sequence: VideoSequence, video: Video, truth: GroundTruth) -> dict[int, Masks]:
    if not folder.is_dir():
        raise VideoError(
            f"there are no predictions for {sequence.name!r}; expected is a folder of that name with a PNG for every "
            "annotated frame."
        )
    names = sequence.frame_names(video)
    folders = object_folders(folder)
    first = 1 if 0 in folders else 0  # as in the truth of this layout
    predicted: dict[int, Masks] = {}
    for object_id, masks in truth.masklets.items():
        place = folders.get(object_id - first) if folders else folder
        if place is None:
            raise VideoError(f"there are no predictions for object {object_id} of {sequence.name!r}; add its folder.")
        wanted = None if folders else object_id
        predicted[object_id] = {
            frame: _mask(place / f"{names[frame]}.png", wanted, sequence.name, video) for frame in sorted(masks)[1:-1]
        }
    return predicted


def _mask(path: Path, value: int | None, name: str, video: Video) -> Rle:
    """One object's mask: the pixels of its value, or of any where the file is of a single object."""
    labels = read_label_map(path)
    check_size(name, path, labels, video)
    return Rle.encode(labels > 0 if value is None else labels == value)
