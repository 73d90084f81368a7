"""Interactive segmentation of videos: a simulated person corrects frame after frame (the paper's 6.1 and F.1.2).

Offline, every pass covers the whole video, and the frame with the least IoU is the next one to get clicks. Online there
is one pass, which stops at a frame whose IoU is low; frames before it stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sam2_core.evaluation.baselines import copied_onwards
from sam2_core.evaluation.clicks import click_errors
from sam2_core.evaluation.cost import Meter
from sam2_core.evaluation.metrics import Curve, curve, jaccard
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.results import InteractiveObject, InteractiveResult, Protocol, Round
from sam2_core.evaluation.semi_supervised import apart, first_frames, masks_only
from sam2_core.evaluation.sequences import GroundTruth, Masks, VideoSequence
from sam2_core.evaluation.snapshots import extremes
from sam2_core.media import Video
from sam2_core.model import SAM2
from sam2_core.rle import Rle
from sam2_core.tracking.behaviour import Behaviour
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker

_LOCATE_SECONDS = 1.0
_CLICK_SECONDS = 1.5
_EXAMINED_PER_SECOND = 10.0  # frames: 30 seconds for a video of 300


def annotation_seconds(protocol: Protocol, frame_count: int, interacted: int, clicks: int) -> float:
    """What a person would spend on one object: looking through the video, finding the object, clicking (F.1.2).

    Args:
        protocol: offline the video is looked through before every interaction, online once.
        frame_count: of the video.
        interacted: frames that got clicks.
        clicks: on each of them.
    """
    examine = frame_count / _EXAMINED_PER_SECOND
    interact = _LOCATE_SECONDS + _CLICK_SECONDS * clicks
    rounds = interacted if protocol is Protocol.OFFLINE else 1
    return examine * rounds + interact * interacted


@dataclass(frozen=True, slots=True)
class _Stage:
    """All objects after some interactions: masks, and which frames got clicks, by object id."""

    masks: dict[int, dict[int, Rle]]
    clicked: dict[int, tuple[int, ...]]
    visited: int

    @classmethod
    def of(cls, tracker: Tracker, prompted: Mapping[int, Sequence[int]], visited: int) -> _Stage:
        masks = masks_only({object_id: track.masklet for object_id, track in tracker.tracks.items()})
        return cls(masks, {object_id: tuple(frames) for object_id, frames in prompted.items()}, visited)


@dataclass(slots=True)
class _History:
    rounds: list[Round] = field(default_factory=list)
    last: Curve | None = None


def evaluate_interactively(
    model: SAM2, sequence: VideoSequence, protocol: Protocol, options: Options, behaviour: Behaviour
) -> InteractiveResult:
    """All objects of a sequence, independently but in one tracker, with 1 to ``options.interacted_frames`` frames.

    Raises:
        VideoError: frames or masks cannot be read, or nothing in them can be scored.
    """
    with sequence.open() as video:
        truth = sequence.truth(video)
        truth.check(sequence.name)
        meter = Meter(model.device)
        stages = _SIMULATIONS[protocol](model, video, truth, options, apart(behaviour, truth))
        cost = meter.read(stages[-1].visited)
        histories = _score(protocol, truth, stages, len(video), options)
        curves = {each: history.last for each, history in histories.items() if history.last}
        pictures = extremes(sequence.name, video, curves, truth, stages[-1].masks)
    objects = (
        InteractiveObject(truth.name_of(each), tuple(histories[each].rounds), scored) for each, scored in curves.items()
    )
    return InteractiveResult(protocol, sequence.name, tuple(objects), cost, pictures)


def _score(
    protocol: Protocol, truth: GroundTruth, stages: Sequence[_Stage], frame_count: int, options: Options
) -> dict[int, _History]:
    histories = {object_id: _History() for object_id in truth.masklets}
    for stage in stages:
        for object_id, masks in stage.masks.items():
            true, clicked = truth.masklets[object_id], stage.clicked[object_id]
            scored = curve(true, masks)
            if scored:
                seconds = annotation_seconds(protocol, frame_count, len(clicked), options.clicks_per_frame)
                still = curve(true, copied_onwards(masks, clicked, frame_count)) if options.baselines else None
                copied = still.j_and_f if still else None
                histories[object_id].rounds.append(Round(scored.mean_j, scored.mean_f, seconds, copied))
                histories[object_id].last = scored
    return histories


def _offline(model: SAM2, video: Video, truth: GroundTruth, options: Options, behaviour: Behaviour) -> Sequence[_Stage]:
    tracker = Tracker(model, video, behaviour)
    starts = first_frames(truth)
    prompted: dict[int, list[int]] = {object_id: [] for object_id in starts}
    stages: list[_Stage] = []
    visited = 0
    for _ in range(options.interacted_frames):
        for object_id, frames in prompted.items():
            masks = stages[-1].masks[object_id] if stages else {}
            frame = _worst(truth.masklets[object_id], masks, frames) if frames else starts[object_id]
            if frame is not None and _correct(tracker, object_id, frame, truth, options):
                frames.append(frame)
        visited += sum(1 for _ in tracker.propagate(Direction.BOTH))
        stages.append(_Stage.of(tracker, prompted, visited))
    return stages


def _worst(truth: Masks, masks: Masks, prompted: Sequence[int]) -> int | None:
    """The annotated frame with the least IoU among those without clicks; none where all are perfect."""
    ious = {frame: _iou(true, masks.get(frame)) for frame, true in truth.items() if frame not in prompted}
    worst = min(ious, key=lambda frame: (ious[frame], frame), default=None)
    return worst if worst is not None and ious[worst] < 1 else None


def _online(model: SAM2, video: Video, truth: GroundTruth, options: Options, behaviour: Behaviour) -> Sequence[_Stage]:
    stages: list[_Stage] = []
    visited = 0
    for budget in range(1, options.interacted_frames + 1):
        # A pass that had frames left over would go the same way with more of them.
        spent = not stages or max(map(len, stages[-1].clicked.values())) == budget - 1
        if spent:
            stage = _one_pass(Tracker(model, video, behaviour), truth, budget, options)
            visited += stage.visited
        stages.append(_Stage(stage.masks, stage.clicked, visited))
    return stages


def _one_pass(tracker: Tracker, truth: GroundTruth, budget: int, options: Options) -> _Stage:
    starts = first_frames(truth)
    prompted: dict[int, list[int]] = {object_id: [] for object_id in starts}
    begin = min(starts.values())
    for frame in range(begin, len(tracker.video)):
        beginning = [object_id for object_id, start in starts.items() if start == frame]
        for object_id in beginning:
            _correct(tracker, object_id, frame, truth, options)
            prompted[object_id].append(frame)
        result = tracker.visit(frame, 1, tracker.object_ids)
        for object_id in set(tracker.object_ids) - set(beginning):
            true = truth.masklets[object_id].get(frame)
            low = true is not None and _iou(true, result[object_id].mask) < options.pause_below
            if low and len(prompted[object_id]) < budget and _correct(tracker, object_id, frame, truth, options):
                prompted[object_id].append(frame)
    return _Stage.of(tracker, prompted, len(tracker.video) - begin)


def _correct(tracker: Tracker, object_id: int, frame: int, truth: GroundTruth, options: Options) -> bool:
    """Click an object's errors on a frame; whether there were any."""
    true = truth.masklets[object_id][frame].decode()
    return sum(1 for _ in click_errors(tracker, object_id, frame, true, options.clicks_per_frame)) > 0


def _iou(truth: Rle, predicted: Rle | None) -> float:
    mask = (predicted or Rle.empty(truth.height, truth.width)).decode()
    return jaccard(truth.decode(), mask)


_SIMULATIONS: Mapping[Protocol, Callable[[SAM2, Video, GroundTruth, Options, Behaviour], Sequence[_Stage]]] = {
    Protocol.OFFLINE: _offline,
    Protocol.ONLINE: _online,
}
