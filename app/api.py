"""What scripts may call: a picture or a video and prompts in, masks out; nothing is kept between two calls."""

# Without "from __future__ import annotations": Gradio documents the endpoints by the annotations themselves.
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypedDict

import gradio as gr
from gradio.data_classes import FileData

from sam2_core.errors import PromptError, Sam2Error
from sam2_core.formats.coco_rle import to_coco
from sam2_core.media import MediaLimits, Video, open_video
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.results import FrameResult
from sam2_core.session import ModelPool
from sam2_core.session.scheduler import Turns
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker

_MOST_PROMPTS = 200


class ObjectPrompt(TypedDict, total=False):
    """What is said about one object: clicks ``[x, y, 1 or 0]`` in pixels, a box ``[x0, y0, x1, y1]``, or both."""

    object: int
    frame: int
    points: list[tuple[float, float, int]]
    box: list[float]


class MaskAnswer(TypedDict):
    """One object on one frame. ``segmentation`` is COCO's: ``{"size": [height, width], "counts": text}``."""

    object: int
    segmentation: dict[str, Any]
    predicted_iou: float
    object_score: float


class FrameAnswer(TypedDict):
    """All objects that a frame has so far, and how many answers of all are given; the last one for a frame counts."""

    frame: int
    masks: list[MaskAnswer]
    done: int
    total: int


class Api:
    """The two calls.

    Args:
        models: shared with the page.
        turns: for the device, one frame at a time.
        limits: on what is sent.
    """

    def __init__(self, models: ModelPool, turns: Turns, limits: MediaLimits) -> None:
        self._models, self._turns, self._limits = models, turns, limits

    def segment_image(self, image: FileData, prompts: list[ObjectPrompt], model: str = "pocket") -> list[MaskAnswer]:
        """Masks of objects in a picture.

        Args:
            image: the picture, as ``gradio_client.handle_file`` sends it.
            prompts: for each object ``{"object": 1, "points": [[x, y, 1]], "box": [x0, y0, x1, y1]}``, where a point
                ends with 1 on the object and with 0 beside it; positions are pixels; either may be left out.
            model: ``pocket`` or an official name such as ``sam2.1-hiera-tiny``.
        """
        with _told(), open_video(_uploaded(image), limits=self._limits) as video:
            tracker = self._prompted(video, prompts, model)
            return _masks(tracker.result(0))

    def track_video(
        self,
        video: FileData,
        prompts: list[ObjectPrompt],
        model: str = "pocket",
        direction: Literal["forward", "backward", "both"] = "both",
    ) -> Iterator[FrameAnswer]:
        """Masks of objects in all frames of a video, as they are tracked.

        A frame may come more than once: first as it was prompted, then as sweeps pass it, with more objects each time.
        An answer has all masks that the frame has so far, so the last one for a frame counts.

        Args:
            video: the file, as ``gradio_client.handle_file`` sends it.
            prompts: as for a picture, each with ``"frame"``, from 0.
            model: as for a picture.
            direction: ``forward``, ``backward`` or ``both``, from each object's first prompt.
        """
        with _told(), open_video(_uploaded(video), limits=self._limits) as opened:
            tracker = self._prompted(opened, prompts, model)
            way = _direction(direction)
            steps = tracker.propagate(way)
            prompted = sorted({frame for track in tracker.tracks.values() for frame in track.interactions})
            total = len(prompted) + sum(len(sweep.frames) for sweep in tracker.passes(way))
            for done, frame in enumerate(prompted, start=1):
                yield FrameAnswer(frame=frame, masks=_masks(tracker.result(frame)), done=done, total=total)
            for done in range(len(prompted) + 1, total + 1):
                with self._turns:
                    result = next(steps)
                yield FrameAnswer(frame=result.frame_index, masks=_masks(result), done=done, total=total)

    def _prompted(self, video: Video, prompts: object, model: object) -> Tracker:
        tracker = Tracker(self._models.get(str(model)), video)
        for object_id, frame_index, prompt in _prompts(prompts, video):
            with self._turns:
                tracker.prompt(object_id, frame_index, prompt)
        return tracker


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Sam2Error as error:
        raise gr.Error(str(error), print_exception=False) from error


def _masks(result: FrameResult) -> list[MaskAnswer]:
    return [
        MaskAnswer(
            object=found.object_id,
            segmentation=to_coco(found.mask),
            predicted_iou=found.predicted_iou,
            object_score=found.object_score,
        )
        for found in result.objects
    ]


def _prompts(said: object, video: Video) -> Iterator[tuple[int, int, Prompt]]:
    if not isinstance(said, list) or not 1 <= len(said) <= _MOST_PROMPTS:
        raise PromptError(f"prompts are a list of 1 to {_MOST_PROMPTS} objects such as {{'object': 1, 'points': ...}}.")
    for each in said:
        if not isinstance(each, Mapping):
            raise PromptError(f"a prompt is an object with names and values; got {str(each)[:40]}.")
        clicks = each.get("points") or []
        if not isinstance(clicks, list) or len(clicks) > _MOST_PROMPTS:
            raise PromptError(f"points are a list of {_MOST_PROMPTS} at most; got {str(clicks)[:40]}.")
        numbers = (_numbers(click, 3, "a point is [x, y, 1 or 0]") for click in clicks)
        points = tuple(Point(*_fractions(x, y, video), bool(label)) for x, y, label in numbers)
        box = each.get("box")
        if box is not None:
            x0, y0, x1, y1 = _numbers(box, 4, "a box is [x0, y0, x1, y1]")
            box = Box(*_fractions(x0, y0, video), *_fractions(x1, y1, video))
        yield (
            _whole(each.get("object", 1), 1, 255),
            _whole(each.get("frame", 0), 0, len(video) - 1),
            Prompt(points, box),
        )


def _fractions(x: float, y: float, video: Video) -> tuple[float, float]:
    if not (0 <= x <= video.width and 0 <= y <= video.height):
        raise PromptError(f"({x:g}, {y:g}) does not lie inside the frame of {video.width} x {video.height} pixels.")
    return x / video.width, y / video.height


def _direction(value: object) -> Direction:
    try:
        return Direction(value)
    except ValueError as error:
        raise PromptError(f"the direction is forward, backward or both; got {str(value)[:20]!r}.") from error


def _uploaded(file: object) -> Path:
    """The file that Gradio received; it has checked that it is one, for a path alone could be any of the server's."""
    try:
        return Path(FileData.model_validate(file, context={"validate_meta": True}).path)
    except ValueError as error:
        raise PromptError("a file is sent as gradio_client.handle_file(...) makes it.") from error


def _numbers(value: object, count: int, form: str) -> list[float]:
    numbers = [n for n in value if type(n) in (int, float) and abs(n) <= 1e9] if isinstance(value, list) else []
    if not isinstance(value, list) or len(numbers) != count or len(value) != count:
        raise PromptError(f"{form}, in pixels; got {str(value)[:60]}.")
    return [float(number) for number in numbers]


def _whole(value: object, lowest: int, highest: int) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise PromptError(
            f"object and frame are whole numbers, here from {lowest} to {highest}; got {str(value)[:20]}."
        )
    return value
