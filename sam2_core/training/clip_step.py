"""A model plays a clip as it will in use: prompts, corrections, memory, tracked frames (the paper's appendix D.2.2).

Prompted frames come first, each without memory, then all others in the order of time. The forward pass runs under
bfloat16 autocast where the recipe wants it, except where clicks become position codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.config import MEMORY_FRAMES, POINTER_FRAMES
from sam2_core.model import SAM2, ImageFeatures, MaskPrediction, MemoryContext, PromptTensors, Selection
from sam2_core.training.answers import Answer, targets
from sam2_core.training.batches import ClipBatch, normalised
from sam2_core.training.plan import Plan
from sam2_core.training.prompts import STRIDE, correction_clicks, first_clicks, jittered_boxes, with_click
from sam2_core.training.recipe import Learned, Prompting


@dataclass(frozen=True, slots=True)
class Memory:
    """What one frame of a clip left behind. Shapes: ``map_bdhw [B, D, h, w]``, ``pointer_bc [B, C]``."""

    frame: int
    map_bdhw: Tensor
    pointer_bc: Tensor


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Which recent memories are lost; ``rng`` is drawn from once for each frame and memory."""

    rng: np.random.Generator
    each: float = 0.0
    all: float = 0.0

    def kept(self, recent: Sequence[Memory]) -> list[Memory]:
        """Those that a frame gets to see."""
        if self.rng.random() < self.all:
            return []
        return [memory for memory in recent if self.rng.random() >= self.each]


@dataclass
class ClipPlayer:
    """One step of clips.

    Attributes:
        model: in training mode.
        batch: the clips, where the model is.
        person: who prompts.
        rngs: of each object, for its prompts.
        forgetting: of recent memories.
        precision: number type of the forward pass.
        answers: what the model has said so far.
    """

    model: SAM2
    batch: ClipBatch
    person: Prompting
    rngs: Sequence[np.random.Generator]
    forgetting: Forgetting
    precision: torch.dtype = torch.float32
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan: Plan = self.batch.plan
        self.masks = self.batch.masks.float() / 255  # B, T, S, S
        self.conditioning: list[Memory] = []
        self.recent: list[Memory] = []
        self.rows = torch.arange(len(self.masks), device=self.masks.device)

    def play(self) -> list[Answer]:
        """All answers, in the order in which they were given."""
        features = self._encode_frames()
        for frame in self.plan.prompted:
            selection = self._start(frame, features[frame])
            self._keep(self.conditioning, frame, features[frame], selection)
        for frame in self.plan.tracked:
            with torch.set_grad_enabled(torch.is_grad_enabled() and frame in self.plan.learned):
                selection = self._track(frame, features[frame])
                memories = self.conditioning if frame in self.plan.corrections else self.recent
                self._keep(memories, frame, features[frame], selection)
        return self.answers

    def _autocast(self) -> torch.autocast:
        return mixed_precision(self.model, self.precision)

    def _encode_frames(self) -> list[ImageFeatures]:
        """Features of every frame for every object, with gradients for those that are learned from."""
        pixels, plan = self.batch.pixels, self.plan
        found: dict[int, ImageFeatures] = {}
        learned = sorted(plan.learned)
        for group in (learned, [frame for frame in range(plan.frames) if frame not in plan.learned]):
            if group:
                keep_gradients = torch.is_grad_enabled() and group is learned
                with torch.set_grad_enabled(keep_gradients), self._autocast():
                    features = self.model.encode_image(normalised(pixels[:, group]).flatten(0, 1))
                first = self.batch.owner * len(group)
                found.update({frame: features[first + place] for place, frame in enumerate(group)})
        return [found[frame] for frame in range(plan.frames)]

    def _start(self, frame: int, features: ImageFeatures) -> Selection:
        """A prompted frame's mask: given, or the answer to a click or a box and to corrections of it."""
        if self.plan.masked:
            with self._autocast():
                given = self.model.adopt_mask(features, (self.masks[:, frame] > 0.5).float())
            return _in_float32(given)
        conditioned = self.model.condition(features, None)
        wanted = torch.tensor([rng.random() < self.person.box for rng in self.rngs], device=self.rows.device)
        boxed = wanted & (self.masks[:, frame] > 0.5).flatten(1).any(dim=1)  # nobody draws a box round what is absent
        parts = []
        for rows, by_box in ((self.rows[~boxed], False), (self.rows[boxed], True)):
            if len(rows):
                prompt = self._first_prompt(frame, rows, by_box=by_box)
                parts.append((rows, self._converse(frame, rows, features[rows], conditioned[rows], prompt)))
        return _joined(parts)

    def _first_prompt(self, frame: int, rows: Tensor, *, by_box: bool) -> PromptTensors:
        masks, rngs = self.masks[rows, frame], self._rngs(rows)
        return jittered_boxes(rngs, masks) if by_box else first_clicks(rngs, targets(masks, STRIDE), self.person)

    def _track(self, frame: int, features: ImageFeatures) -> Selection:
        """A frame's mask from memory alone, and then from a person's corrections of it."""
        with self._autocast():
            conditioned = self.model.condition(features, self._context(frame)).float()
        nothing = PromptTensors.nothing(len(self.rows), self.model.device)
        answer = self._ask(frame, self.rows, features, conditioned, nothing)
        if frame not in self.plan.corrections:
            return answer
        return self._correct(frame, self.rows, features, conditioned, None, answer)

    def _converse(
        self, frame: int, rows: Tensor, features: ImageFeatures, conditioned: Tensor, prompt: PromptTensors
    ) -> Selection:
        """A first prompt, and corrections where the plan has some."""
        answer = self._ask(frame, rows, features, conditioned, prompt)
        return self._correct(frame, rows, features, conditioned, prompt, answer)

    def _correct(
        self,
        frame: int,
        rows: Tensor,
        features: ImageFeatures,
        conditioned: Tensor,
        prompt: PromptTensors | None,
        answer: Selection,
    ) -> Selection:
        """Each correction is one click more, on an error of the answer before, which is prompted with as well."""
        target, count = targets(self.masks[rows, frame], STRIDE), self.plan.corrections.get(frame, 0)
        for number in range(1, count + 1):
            logits = answer.logits_bhw.detach()
            click = correction_clicks(self._rngs(rows), logits, target, self.person)
            prompt = with_click(prompt, click, logits)
            learned = self.person.learned is Learned.ALL or number == count
            with torch.set_grad_enabled(torch.is_grad_enabled() and learned):
                answer = self._ask(frame, rows, features, conditioned, prompt, number, learned=learned)
        return answer

    def _ask(
        self,
        frame: int,
        rows: Tensor,
        features: ImageFeatures,
        conditioned: Tensor,
        prompt: PromptTensors,
        correction: int = 0,
        *,
        learned: bool = True,
    ) -> Selection:
        prediction = decode(self.model, features, conditioned, prompt, self._autocast())
        ambiguous = prompt.labels_bn.shape[1] == 1  # one click; or none, which is one point that is no point
        selection = prediction.best() if ambiguous else prediction.single()
        learned = learned and frame in self.plan.learned
        self.answers.append(Answer(frame, rows, prediction, _detached(selection), prompt, correction, learned))
        return selection

    def _keep(self, memories: list[Memory], frame: int, features: ImageFeatures, selection: Selection) -> None:
        size = self.model.config.image_size
        logits = selection.gated().logits_bhw[:, None]
        mask = F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)[:, 0].sigmoid()
        with self._autocast():
            kept = self.model.remember(features, mask, selection.object_score_b)
        memories.append(Memory(frame, kept.float(), selection.pointer_bc))

    def _context(self, frame: int) -> MemoryContext:
        """As the tracker would choose, but for memories that are lost on purpose."""
        kept = self.forgetting.kept(self.recent)
        mapped = [memory for memory in kept if frame - memory.frame < MEMORY_FRAMES]
        pointing = [memory for memory in kept if frame - memory.frame < POINTER_FRAMES]
        maps, pointers = [*self.conditioning, *mapped], [*self.conditioning, *pointing]
        rows = [MEMORY_FRAMES - 1] * len(self.conditioning) + [frame - memory.frame - 1 for memory in mapped]
        batch, device = len(self.rows), self.rows.device
        longest = POINTER_FRAMES if self.plan.long else min(self.plan.frames, POINTER_FRAMES)
        distances = torch.tensor([[self._distance(frame, memory) for memory in pointers]], device=device)
        return MemoryContext(
            torch.stack([memory.map_bdhw for memory in maps], dim=1),
            torch.tensor([rows], device=device).expand(batch, -1),
            torch.stack([memory.pointer_bc for memory in pointers], dim=1),
            distances.expand(batch, -1) / (longest - 1),
        )

    def _distance(self, frame: int, memory: Memory) -> float:
        since = self.plan.since if memory.frame == 0 else 0
        return float(frame - memory.frame + since)

    def _rngs(self, rows: Tensor) -> list[np.random.Generator]:
        return [self.rngs[row] for row in rows.tolist()]


def mixed_precision(model: SAM2, precision: torch.dtype) -> torch.autocast:
    """A forward pass in bfloat16 where that is asked for; weights stay float32."""
    return torch.autocast(model.device.type, torch.bfloat16, enabled=precision == torch.bfloat16)


def decode(
    model: SAM2, features: ImageFeatures, conditioned: Tensor, prompt: PromptTensors, autocast: torch.autocast
) -> MaskPrediction:
    """The model's answer in float32; the prompt is encoded outside of autocast: an angle has no digits to lose."""
    encoded = model.encode_prompt(prompt)
    with autocast:
        raw = model.decode(features, conditioned, encoded)
    return MaskPrediction(
        raw.logits_bmhw.float(),
        raw.iou_bm.float(),
        raw.pointer_bmc.float(),
        raw.object_score_b.float(),
        raw.absent_pointer_1c,
    )


def _in_float32(given: Selection) -> Selection:
    return Selection(
        given.logits_bhw.float(), given.iou_b.float(), given.pointer_bc.float(), given.object_score_b.float()
    )


def _detached(shown: Selection) -> Selection:
    return Selection(
        shown.logits_bhw.detach(), shown.iou_b.detach(), shown.pointer_bc.detach(), shown.object_score_b.detach()
    )


def _joined(parts: list[tuple[Tensor, Selection]]) -> Selection:
    """Selections of some rows each as one of all rows, in their order."""
    order = torch.cat([rows for rows, _ in parts]).argsort()
    chosen = [selection for _, selection in parts]
    return Selection(
        torch.cat([each.logits_bhw for each in chosen])[order],
        torch.cat([each.iou_b for each in chosen])[order],
        torch.cat([each.pointer_bc for each in chosen])[order],
        torch.cat([each.object_score_b for each in chosen])[order],
    )
