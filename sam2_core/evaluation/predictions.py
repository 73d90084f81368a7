"""Masks that were made elsewhere, by anyone, scored as our own are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sam2_core.errors import VideoError
from sam2_core.evaluation.baselines import copied
from sam2_core.evaluation.metrics import curve
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.results import Protocol, SequenceResult, TrackedObject
from sam2_core.evaluation.semi_supervised import first_frames
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

_MOST_NAMED = 5  # values in a sentence


def score_predictions(folder: Path, sequence: VideoSequence, options: Options) -> SequenceResult:
    """Score ``folder/SEQUENCE/FRAME.png`` (values are object ids) or ``folder/SEQUENCE/OBJECT/FRAME.png`` (binary).

    As in the SA-V evaluator, objects' folders are found by their names, every frame that counts needs a file, and
    folders and files of something else are left alone. The true mask of an object's first frame, copied to all others,
    stands beside, unless baselines are left out.

    Raises:
        VideoError: a file or a folder is missing, is no mask, or has another size.
    """
    with sequence.open() as video:
        truth = sequence.truth(video)
        truth.check(sequence.name)
        predicted, warning = _read(folder / sequence.name, sequence, video, truth)
        curves = {each: curve(masks, predicted[each]) for each, masks in truth.masklets.items()}
        scored = {each: found for each, found in curves.items() if found}
        starts = first_frames(truth) if options.baselines else {}
        still = {
            each: curve(truth.masklets[each], copied(start, truth.masklets[each][start], len(video)))
            for each, start in starts.items()
        }
        pictures = extremes(sequence.name, video, scored, truth, predicted)
    objects = tuple(TrackedObject(truth.name_of(each), found, still.get(each)) for each, found in scored.items())
    return SequenceResult(Protocol.PREDICTIONS, sequence.name, objects, None, pictures, warning)


@dataclass(frozen=True, slots=True)
class _Frames:
    """The frames of a sequence, for finding and checking their masks."""

    sequence: str
    video: Video
    names: Mapping[int, str]


def _read(
    folder: Path, sequence: VideoSequence, video: Video, truth: GroundTruth
) -> tuple[dict[int, Masks], str | None]:
    """Masks by object id and frame, and a warning where they cannot be meant."""
    if not folder.is_dir():
        raise VideoError(
            f"there are no predictions for {sequence.name!r}; expected is a folder of that name with a PNG for every "
            "annotated frame."
        )
    counted = sorted({frame for masks in truth.masklets.values() for frame in sorted(masks)[1:-1]})
    names = sequence.frame_names(video)
    frames = _Frames(sequence.name, video, {frame: names[frame] for frame in counted})
    folders = object_folders(folder)
    return (_of_folders(folders, frames, truth), None) if folders else _of_label_maps(folder, frames, truth)


def _of_folders(folders: Mapping[int, Path], frames: _Frames, truth: GroundTruth) -> dict[int, Masks]:
    predicted: dict[int, Masks] = {}
    for object_id, masks in truth.masklets.items():
        name = truth.name_of(object_id)
        folder = folders.get(int(name))
        if folder is None:
            raise VideoError(
                f"the predictions for {frames.sequence!r} have no folder {name!r}; they need one for every object of "
                "the data, of the same name."
            )
        predicted[object_id] = {frame: Rle.encode(_labels(folder, frame, frames) > 0) for frame in sorted(masks)[1:-1]}
    return predicted


def _of_label_maps(folder: Path, frames: _Frames, truth: GroundTruth) -> tuple[dict[int, Masks], str | None]:
    predicted: dict[int, dict[int, Rle]] = {object_id: {} for object_id in truth.masklets}
    values: set[int] = set()
    for frame in frames.names:
        labels = _labels(folder, frame, frames)
        values |= set(np.unique(labels).tolist())
        for object_id, found in predicted.items():
            found[frame] = Rle.encode(labels == object_id)
    warning = None
    if not values & set(predicted):
        warning = (
            f"no object of {frames.sequence!r} is in its predictions, whose values are {_listed(values)}; a pixel of "
            f"an object has its id, {_listed(predicted)}."
        )
    return dict(predicted), warning


def _listed(values: Mapping[int, object] | set[int]) -> str:
    numbers = [str(each) for each in sorted(values)]
    return ", ".join(numbers[:_MOST_NAMED]) + (" ..." if len(numbers) > _MOST_NAMED else "")


def _labels(folder: Path, frame: int, frames: _Frames) -> npt.NDArray[np.integer]:
    path = folder / f"{frames.names[frame]}.png"
    labels = read_label_map(path)
    check_size(frames.sequence, path, labels, frames.video)
    return labels
