"""One job is one sequence or picture under one protocol; jobs know nothing of each other and run anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.images import evaluate_picture
from sam2_core.evaluation.interactive import evaluate_interactively
from sam2_core.evaluation.layouts import DataSet
from sam2_core.evaluation.options import BEHAVIOURS, Options, Predictions, Subject, loaded
from sam2_core.evaluation.pictures import Picture
from sam2_core.evaluation.predictions import score_predictions
from sam2_core.evaluation.results import INTERACTIVE, SEMI_SUPERVISED, Protocol, Result
from sam2_core.evaluation.semi_supervised import evaluate_sequence
from sam2_core.evaluation.sequences import VideoSequence

DEFAULT_PROTOCOLS = (Protocol.MASK, Protocol.ONE_CLICK, Protocol.IMAGES)
"""As far as the data have sequences and pictures."""


@dataclass(frozen=True, slots=True)
class SequenceJob:
    """A sequence under a protocol for videos."""

    protocol: Protocol
    case: VideoSequence


@dataclass(frozen=True, slots=True)
class PictureJob:
    """A picture under the protocol for pictures."""

    protocol: Protocol
    case: Picture


Job = SequenceJob | PictureJob


def plan(data: DataSet, protocols: Sequence[Protocol]) -> list[Job]:
    """All jobs, protocol by protocol.

    Raises:
        Sam2Error: the data have nothing for a protocol.
    """
    jobs: list[Job] = []
    for protocol in protocols:
        if protocol is Protocol.IMAGES:
            found: list[Job] = [PictureJob(protocol, picture) for picture in data.pictures]
        else:
            found = [SequenceJob(protocol, sequence) for sequence in data.sequences]
        if not found:
            kind = "pictures" if protocol is Protocol.IMAGES else "sequences"
            raise Sam2Error(f"the protocol {protocol.value!r} needs {kind} with masks, and the data have none.")
        jobs += found
    return jobs


def fitting_protocols(data: DataSet, subject: Subject) -> tuple[Protocol, ...]:
    """All that the data have sequences or pictures for."""
    if isinstance(subject, Predictions):
        return (Protocol.PREDICTIONS,)
    of_sequences = (*SEMI_SUPERVISED, *INTERACTIVE) if data.sequences else ()
    return (*of_sequences, *((Protocol.IMAGES,) if data.pictures else ()))


def default_protocols(data: DataSet, subject: Subject) -> tuple[Protocol, ...]:
    """What is worth knowing first."""
    fitting = fitting_protocols(data, subject)
    return tuple(each for each in fitting if each in DEFAULT_PROTOCOLS) or fitting


def perform(subject: Subject, options: Options, job: Job) -> Result:
    """Do one job.

    Raises:
        VideoError: frames or masks cannot be read, or nothing in them can be scored.
        CheckpointError: the model cannot be loaded.
    """
    if isinstance(subject, Predictions):
        if isinstance(job, PictureJob):
            raise Sam2Error("predictions are masks of sequences; pictures need a model.")
        return score_predictions(subject.folder, job.case, options)
    model, behaviour = loaded(subject), BEHAVIOURS[subject.behaviour]
    if isinstance(job, PictureJob):
        return evaluate_picture(model, job.case, options, behaviour)
    if job.protocol in INTERACTIVE:
        return evaluate_interactively(model, job.case, job.protocol, options, behaviour)
    return evaluate_sequence(model, job.case, job.protocol, options, behaviour)
