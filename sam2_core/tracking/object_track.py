"""All that is known about one object: what was said about it, what was found, and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor

from sam2_core.model import MaskPrediction, Selection
from sam2_core.prompts import Prompt
from sam2_core.results import Masklet, ObjectMask
from sam2_core.rle import Rle
from sam2_core.tracking.memory_bank import MemoryBank


@dataclass(frozen=True, slots=True)
class Interaction:
    """What was said about the object on one frame, and the answer.

    Attributes:
        prompt: all that was said.
        selection: the mask that holds now, as a batch of one.
        candidates: the decoder's whole answer; ``None`` where a mask was taken over as given.
        base_logits: low-resolution logits of the mask that was there before anything was said, if any.
        replaced: the published mask that was there before, if any.
        conditioning: whether the answer is final for this frame.
        given: the mask at the video's size, where it is shown exactly as a person gave it.
        standing: a final answer that this one may question but not replace (released behaviour only).
    """

    prompt: Prompt
    selection: Selection
    candidates: MaskPrediction | None
    base_logits: Tensor | None
    replaced: ObjectMask | None
    conditioning: bool
    given: Rle | None = None
    standing: Selection | None = None


@dataclass(slots=True)
class ObjectTrack:
    """One object in one video.

    Attributes:
        object_id: for ever.
        interactions: by frame.
        unremembered: prompted frames whose memory has yet to be made, in the order of the prompts.
        bank: memories.
        masklet: published masks.
        logits: low-resolution mask logits of frames that may still be asked for, ``[4h, 4w]``.
        visited: frames that a pass has reached, with the direction (1 or -1) of the last one.
        resume: frame and direction with which the last pass would go on; ``None`` once something new was said.
    """

    object_id: int
    interactions: dict[int, Interaction] = field(default_factory=dict)
    unremembered: list[int] = field(default_factory=list)
    bank: MemoryBank = field(default_factory=MemoryBank)
    masklet: Masklet = field(default_factory=dict)
    logits: dict[int, Tensor] = field(default_factory=dict)
    visited: dict[int, int] = field(default_factory=dict)
    resume: tuple[int, int] | None = None

    def tensors(self) -> Iterator[Tensor]:
        """The large ones that stay: memories of prompted frames, and the decoder's answers to prompts."""
        for entry in self.bank.conditioning.values():
            yield from (entry.map_dhw, entry.pointer_c)
        for interaction in self.interactions.values():
            yield interaction.selection.logits_bhw
            if interaction.candidates is not None:
                yield interaction.candidates.logits_bmhw

    def settled(self) -> ObjectTrack:
        """A copy that shares nothing that changes, without memories of tracked frames.

        Those are large, and whether they are at hand depends on where the last pass stopped.
        """
        return ObjectTrack(
            self.object_id,
            interactions=dict(self.interactions),
            unremembered=list(self.unremembered),
            bank=MemoryBank(dict(self.bank.conditioning)),
            masklet=dict(self.masklet),
            logits={frame: logits for frame, logits in self.logits.items() if frame in self.interactions},
            visited=dict(self.visited),
        )

    @property
    def conditioning_frames(self) -> list[int]:
        """Frames whose mask is final, remembered or not yet."""
        fresh = [f for f in self.unremembered if self.interactions[f].conditioning]
        return sorted({*self.bank.conditioning, *fresh})
