"""What the host says, written: numbers, bytes and names, which the canvas shows as text and never as HTML.

Bytes, such as run lengths, travel as a host can: in base64 within a text (:func:`to_json`), or beside the message as
buffers (:func:`with_buffers`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from sam2_core.prompts import Prompt
from sam2_core.results import ObjectMask
from sam2_core.session import JobStatus, Progress
from sam2_core.session.document import ObjectState
from widgets.protocol.requests import VERSION

Message: TypeAlias = dict[str, Any]


def to_json(value: object) -> str:
    """Messages, or something around them, as a text; bytes are in base64."""
    return json.dumps(value, default=_in_base64, separators=(",", ":"), allow_nan=False)


def with_buffers(message: Message) -> tuple[Message, list[bytes]]:
    """A message and its bytes: for a field ``rle`` there is ``rle_buffer``, its place among the buffers."""
    buffers: list[bytes] = []

    def lifted(value: Any) -> Any:
        if isinstance(value, dict):
            return dict(placed(name, each) for name, each in value.items())
        return [lifted(each) for each in value] if isinstance(value, list) else value

    def placed(name: str, value: Any) -> tuple[str, Any]:
        if not isinstance(value, bytes):
            return name, lifted(value)
        buffers.append(value)
        return f"{name}_buffer", len(buffers) - 1

    return lifted(message), buffers


def numbered(messages: Sequence[Message], rid: int | None = None) -> list[Message]:
    """Messages as they travel: in the protocol's version, and with the number of the question that they answer."""
    return [{"v": VERSION, **({} if rid is None else {"rid": rid}), **each} for each in messages]


def result_message(frame_index: int, masks: Sequence[ObjectMask]) -> Message:
    """All objects' masks on a frame."""
    return {
        "op": "results",
        "frame": frame_index,
        "masks": [
            {
                "obj": m.object_id,
                "rle": m.mask.data,
                "iou": _short(m.predicted_iou),
                "score": _short(m.object_score),
            }
            for m in masks
        ],
    }


def candidates_message(object_id: int, frame_index: int, masks: Sequence[ObjectMask], chosen: int | None) -> Message:
    """The masks that a click may have meant; ``chosen`` counts from 0."""
    return {
        "op": "candidates",
        "frame": frame_index,
        "obj": object_id,
        "chosen": 0 if chosen is None else chosen + 1,
        "masks": [{"rle": mask.mask.data, "iou": _short(mask.predicted_iou)} for mask in masks],
    }


def hover_message(frame_index: int, mask: ObjectMask) -> Message:
    """What a click would give."""
    return {
        "op": "hover",
        "frame": frame_index,
        "obj": mask.object_id,
        "rle": mask.mask.data,
        "iou": _short(mask.predicted_iou),
    }


def frame_message(frame_index: int, jpeg: bytes) -> Message:
    """A frame's picture."""
    return {"op": "frame", "frame": frame_index, "jpeg": jpeg}


def progress_message(progress: Progress) -> Message:
    """How far tracking is."""
    return {
        "op": "progress",
        "done": progress.done,
        "total": progress.total,
        "frame": progress.frame_index,
        "seconds": round(progress.seconds, 2),
        "eta": None if progress.eta is None else round(progress.eta, 2),
        "paused": progress.status is JobStatus.PAUSED,
    }


def done_message(progress: Progress) -> Message:
    """How tracking ended."""
    return {
        "op": "done",
        "status": progress.status.value,
        **({"message": progress.message} if progress.message else {}),
    }


def error_message(error: Exception) -> Message:
    """One sentence for the user."""
    text = str(error)
    first, space, rest = text.partition(" ")
    return {
        "op": "error",
        "code": type(error).__name__,
        "message": (first.capitalize() if first.isalpha() else first) + space + rest,
    }


def object_fields(state: ObjectState) -> Message:
    """An object as the canvas lists it."""
    return {
        "obj": state.object_id,
        "name": state.name,
        "color": state.colour,
        "hidden": state.hidden,
        "locked": state.locked,
    }


def prompt_fields(object_id: int, frame_index: int, prompt: Prompt) -> Message:
    """All that was said about an object on a frame."""
    box = prompt.box
    return {
        "obj": object_id,
        "frame": frame_index,
        "points": [[point.x, point.y, point.positive] for point in prompt.points],
        "box": [box.x0, box.y0, box.x1, box.y1] if box else None,
        "mask": prompt.mask is not None,
        "candidate": 0 if prompt.candidate is None else prompt.candidate + 1,
    }


def stretches(frames: Collection[int]) -> list[tuple[int, int]]:
    """The first and the last of each of the gapless stretches that frames make."""
    firsts = (frame for frame in sorted(frames) if frame - 1 not in frames)
    lasts = (frame for frame in sorted(frames) if frame + 1 not in frames)
    return list(zip(firsts, lasts, strict=True))


def score_fields(object_id: int, masklet: Mapping[int, ObjectMask], frames: range) -> Message:
    """An object's scores on some frames, and the part of the frame that its masks cover."""
    masked = [frame for frame in frames if frame in masklet]
    values = np.full((3, len(frames)), np.nan, dtype="<f4")
    places = np.array(masked, dtype=np.int64) - frames.start
    masks = [masklet[frame] for frame in masked]
    values[0, places] = [mask.predicted_iou for mask in masks]
    values[1, places] = [mask.object_score for mask in masks]
    values[2, places] = [mask.mask.area / (mask.mask.height * mask.mask.width) for mask in masks]
    iou, score, area = (_in_base64(row.tobytes()) for row in values)
    return {"obj": object_id, "first": frames.start, "iou": iou, "score": score, "area": area}


def _in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _short(value: float) -> float:
    return round(float(value), 4)
