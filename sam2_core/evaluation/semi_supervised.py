"""Semi-supervised video object segmentation: all is said on the first frame that shows an object (the paper's 6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sam2_core.evaluation.baselines import copied, memoryless
from sam2_core.evaluation.clicks import click_errors, enclosing_box
from sam2_core.evaluation.cost import Meter
from sam2_core.evaluation.metrics import curve
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.results import Presence, Protocol, SequenceResult, TrackedObject
from sam2_core.evaluation.sequences import GroundTruth, Masks, VideoSequence
from sam2_core.evaluation.snapshots import extremes
from sam2_core.model import SAM2
from sam2_core.prompts import Prompt
from sam2_core.results import Masklet
from sam2_core.rle import Rle
from sam2_core.tracking.behaviour import Behaviour
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker


def evaluate_sequence(
    model: SAM2, sequence: VideoSequence, protocol: Protocol, options: Options, behaviour: Behaviour
) -> SequenceResult:
    """Track all objects of a sequence together, forward from each one's first frame, and score them.

    An object that shows on no frame that counts has no score.

    Raises:
        VideoError: frames or masks cannot be read, or nothing in them can be scored.
    """
    with sequence.open() as video:
        truth = sequence.truth(video)
        truth.check(sequence.name)
        starts = first_frames(truth)
        meter = Meter(model.device)
        behaviour = apart(behaviour, truth)
        tracker = Tracker(model, video, behaviour)
        for object_id, frame in starts.items():
            point_out(tracker, object_id, frame, truth.masklets[object_id][frame], protocol)
        frames = sum(1 for _ in tracker.propagate(Direction.FORWARD))
        cost = meter.read(frames)
        masklets = {object_id: track.masklet for object_id, track in tracker.tracks.items()}
        prompted = {
            # What is given is what a baseline begins with; the model's copy of it is coarser.
            each: truth.masklets[each][start] if protocol is Protocol.MASK else masklets[each][start].mask
            for each, start in starts.items()
        }
        alone = memoryless(model, video, starts, prompted, behaviour) if options.baselines else {}
        still = {each: copied(starts[each], prompted[each], len(video)) for each in alone}
        scored = {
            object_id: each
            for object_id, masklet in masklets.items()
            if (each := _score(object_id, starts[object_id], truth, masklet, still, alone))
        }
        curves = {object_id: each.curve for object_id, each in scored.items()}
        pictures = extremes(sequence.name, video, curves, truth, masks_only(masklets))
    return SequenceResult(protocol, sequence.name, tuple(scored.values()), cost, pictures)


def first_frames(truth: GroundTruth) -> dict[int, int]:
    """The first annotated frame that shows an object, by object id; without objects that never show."""
    shown = {
        object_id: [frame for frame, mask in masks.items() if mask.area] for object_id, masks in truth.masklets.items()
    }
    return {object_id: min(frames) for object_id, frames in shown.items() if frames}


def apart(behaviour: Behaviour, truth: GroundTruth) -> Behaviour:
    """The behaviour with objects that cannot overlap, if true masks cannot either (the released tool's rule)."""
    return replace(behaviour, objects_apart=truth.exclusive)


def point_out(tracker: Tracker, object_id: int, frame: int, truth: Rle, protocol: Protocol) -> None:
    """Say which object is meant, as the protocol has it."""
    if protocol is Protocol.MASK:
        tracker.prompt(object_id, frame, Prompt(mask=truth))
    elif protocol is Protocol.BOX:
        tracker.prompt(object_id, frame, Prompt(box=enclosing_box(truth.decode())))
    else:
        for _ in click_errors(tracker, object_id, frame, truth.decode(), protocol.clicks):
            pass


def _score(
    object_id: int,
    start: int,
    truth: GroundTruth,
    masklet: Masklet,
    still: Mapping[int, Masks],
    alone: Mapping[int, Masks],
) -> TrackedObject | None:
    true = truth.masklets[object_id]
    scored = curve(true, {frame: found.mask for frame, found in masklet.items()})
    if scored is None:
        return None
    copy = curve(true, still[object_id]) if object_id in still else None
    unremembered = curve(true, alone[object_id]) if object_id in alone else None
    return TrackedObject(truth.name_of(object_id), scored, copy, unremembered, _presence(start, true, masklet))


def _presence(start: int, truth: Masks, masklet: Masklet) -> Presence:
    frames = [frame for frame in sorted(truth) if frame > start and frame in masklet]
    scores = (masklet[frame].object_score for frame in frames)
    return Presence(tuple(frames), tuple(scores), tuple(truth[frame].area > 0 for frame in frames))


def masks_only(masklets: Mapping[int, Masklet]) -> dict[int, dict[int, Rle]]:
    """Masklets without their scores."""
    return {each: {frame: found.mask for frame, found in masklet.items()} for each, masklet in masklets.items()}
