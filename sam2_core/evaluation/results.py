"""What an evaluation leaves behind: one result for each sequence or picture and protocol, which goes to disk as JSON.

Numbers are raw, so that every table and every curve can be made anew from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal, TypeAlias

import pydantic

from sam2_core.evaluation.metrics import Curve


class Protocol(Enum):
    """What a simulated person says, and when (the paper's sections 6.1 and 6.2). Values are names on the command line.

    The first five are semi-supervised video object segmentation: all is said on the first frame that shows the object.
    """

    MASK = "mask"
    BOX = "box"
    ONE_CLICK = "1-click"
    THREE_CLICKS = "3-click"
    FIVE_CLICKS = "5-click"
    OFFLINE = "offline"
    ONLINE = "online"
    IMAGES = "images"
    PREDICTIONS = "predictions"

    @property
    def clicks(self) -> int:
        """On the first frame; 0 where a mask or a box is given."""
        return {Protocol.ONE_CLICK: 1, Protocol.THREE_CLICKS: 3, Protocol.FIVE_CLICKS: 5}.get(self, 0)

    @property
    def title(self) -> str:
        """For people to read."""
        return _TITLES[self]


SEMI_SUPERVISED = (
    Protocol.MASK, Protocol.BOX, Protocol.ONE_CLICK, Protocol.THREE_CLICKS, Protocol.FIVE_CLICKS,
)  # fmt: skip
INTERACTIVE = (Protocol.OFFLINE, Protocol.ONLINE)
_TITLES = {
    Protocol.MASK: "first mask given",
    Protocol.BOX: "box on the first frame",
    Protocol.ONE_CLICK: "one click on the first frame",
    Protocol.THREE_CLICKS: "three clicks on the first frame",
    Protocol.FIVE_CLICKS: "five clicks on the first frame",
    Protocol.OFFLINE: "interactive, offline",
    Protocol.ONLINE: "interactive, online",
    Protocol.IMAGES: "pictures",
    Protocol.PREDICTIONS: "masks made elsewhere",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What it took, from files to masks at their own size.

    Attributes:
        frames: that were segmented; a frame that was visited again counts again.
        seconds: of wall-clock time.
        peak_bytes: of memory: the device's for a GPU, else the whole process's since it began; where the system tells.
    """

    frames: int
    seconds: float
    peak_bytes: int | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frame as a picture: the prediction tinted, the truth outlined.

    Attributes:
        name: of the sequence or picture.
        object_name: whose masks are drawn.
        frame: index in the sequence; None for a picture.
        j: IoU of both.
        jpeg: the picture's file.
    """

    name: str
    object_name: str
    frame: int | None
    j: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Presence:
    """What the model said about whether the object can be seen, on annotated frames after the prompt.

    Attributes:
        frames: their indices.
        scores: object scores (logits).
        visible: the truth.
    """

    frames: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    visible: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """One object of one sequence.

    Attributes:
        object_name: as the data have it: ``1``, or ``000`` where a folder is called so.
        curve: of the masks that are evaluated.
        copied: of the prompted frame's mask, copied to every frame; if asked for.
        memoryless: of each frame's mask decoded from the previous mask alone; if asked for.
        presence: object scores against the truth.
    """

    object_name: str
    curve: Curve
    copied: Curve | None = None
    memoryless: Curve | None = None
    presence: Presence = Presence()


@dataclass(frozen=True, slots=True)
class SequenceResult:
    """One sequence under a semi-supervised protocol, or masks that were made elsewhere (then without a cost).

    ``warning`` is a sentence about what makes the scores doubtful.
    """

    protocol: Protocol
    name: str
    objects: tuple[TrackedObject, ...]
    cost: Cost | None
    snapshots: tuple[Snapshot, ...]
    warning: str | None = None
    kind: Literal["sequence"] = "sequence"


@dataclass(frozen=True, slots=True)
class Round:
    """How good an object's masks are after some frames got clicks.

    Attributes:
        j: mean over the frames that count.
        f: likewise.
        annotation_seconds: that a person would have spent, by the paper's model.
        copied: J&F of the clicked frames' masks, each copied to all frames up to the next one; if asked for.
    """

    j: float
    f: float
    annotation_seconds: float
    copied: float | None = None

    @property
    def j_and_f(self) -> float:
        """The mean of both means."""
        return (self.j + self.f) / 2


@dataclass(frozen=True, slots=True)
class InteractiveObject:
    """One object; ``rounds[n]`` is after at most n + 1 prompted frames, and ``curve`` after all of them."""

    object_name: str
    rounds: tuple[Round, ...]
    curve: Curve


@dataclass(frozen=True, slots=True)
class InteractiveResult:
    """One sequence under an interactive protocol."""

    protocol: Protocol
    name: str
    objects: tuple[InteractiveObject, ...]
    cost: Cost
    snapshots: tuple[Snapshot, ...]
    kind: Literal["interactive"] = "interactive"


@dataclass(frozen=True, slots=True)
class Geometry:
    """IoUs of answers that need no model.

    Attributes:
        disc: around the object's deepest point, of one fixed radius.
        best_disc: the best of three such discs.
        filled_box: the object's box.
        ellipse: the ellipse in the object's box.
    """

    disc: float
    best_disc: float
    filled_box: float
    ellipse: float


@dataclass(frozen=True, slots=True)
class InstanceScore:
    """IoUs of one object of a picture.

    Attributes:
        object_name: as the data have it.
        clicks: after one click, two clicks, and so on.
        oracle: of the best of the three candidates after one click.
        box: for its exact box.
        geometry: without a model.
    """

    object_name: str
    clicks: tuple[float, ...]
    oracle: float
    box: float
    geometry: Geometry


@dataclass(frozen=True, slots=True)
class PictureResult:
    """All objects of one picture. ``cost.frames`` counts answers: clicks and boxes."""

    protocol: Protocol
    name: str
    instances: tuple[InstanceScore, ...]
    cost: Cost
    snapshots: tuple[Snapshot, ...]
    kind: Literal["picture"] = "picture"


Result: TypeAlias = SequenceResult | InteractiveResult | PictureResult


@dataclass(frozen=True, slots=True)
class Failure:
    """Instead of a result: ``reason`` is the sentence that says why there is none."""

    protocol: Protocol
    name: str
    reason: str


_STORED: pydantic.TypeAdapter[tuple[str, Result]] = pydantic.TypeAdapter(
    tuple[str, Annotated[Result, pydantic.Field(discriminator="kind")]],
    config=pydantic.ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"),
)


def to_json(result: Result, inputs: str) -> bytes:
    """A result as a file holds it, after the fingerprint of what it was made from."""
    return _STORED.dump_json((inputs, result))


def from_json(data: bytes, inputs: str) -> Result | None:
    """A result from a file, or ``None`` where it is damaged or was made from something else: then it is made again."""
    try:
        made_from, result = _STORED.validate_json(data)
    except pydantic.ValidationError:
        return None
    return result if made_from == inputs else None
