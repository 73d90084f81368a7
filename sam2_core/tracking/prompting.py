"""How a prompt is answered: the decoder's mask, or the mask that was given, and the memory that it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sam2_core.media.frames import Video
from sam2_core.model import SAM2, MaskPrediction, MemoryContext, Selection
from sam2_core.prompts import Prompt
from sam2_core.tracking import steps
from sam2_core.tracking.behaviour import Behaviour, Corrections, History
from sam2_core.tracking.features import FrameFeatures
from sam2_core.tracking.memory_bank import MemoryEntry, gather
from sam2_core.tracking.object_track import Interaction, ObjectTrack
from sam2_core.tracking.pixels import low_resolution, model_mask, stretched


@dataclass(frozen=True, slots=True)
class Prompter:
    """Answers what is said about one object on one frame.

    Attributes:
        model: in evaluation mode.
        features: of the video's frames.
        behaviour: the tracker's.
        video: that is segmented.
    """

    model: SAM2
    features: FrameFeatures
    behaviour: Behaviour
    video: Video

    def answer(self, track: ObjectTrack, frame_index: int, prompt: Prompt) -> Interaction:
        """The answer to all that is now said; ``track`` stays as it is, but for memories that had to be made."""
        earlier = track.interactions.get(frame_index)
        fresh = frame_index not in track.visited
        interaction = Interaction(
            prompt,
            *self._answer(track, frame_index, prompt, fresh),
            base_logits=earlier.base_logits if earlier else self._read_back(track, frame_index),
            replaced=earlier.replaced if earlier else track.masklet.get(frame_index),
            conditioning=fresh or self.behaviour.corrections is Corrections.STICK,
        )
        if interaction.conditioning and self.behaviour.exact_given_masks and prompt.mask_alone is not None:
            interaction = replace(interaction, given=stretched(prompt.mask_alone, self.video.height, self.video.width))
        if earlier and not interaction.conditioning:
            standing = earlier.selection if earlier.conditioning else earlier.standing
            return replace(interaction, standing=standing)
        return interaction

    def remember(self, track: ObjectTrack, frame_index: int) -> None:
        """Make the memory of a prompted frame."""
        interaction = track.interactions[frame_index]
        maps = steps.remember_prompted(self.model, self.features[frame_index], interaction.selection, self.behaviour)
        entry = MemoryEntry(maps[0], interaction.selection.pointer_bc[0])
        if interaction.conditioning:
            track.bank.conditioning[frame_index] = entry
            track.bank.tracked.pop(frame_index, None)
        else:
            track.bank.tracked[frame_index] = entry

    def remember_as_it_is(self, track: ObjectTrack, frame_index: int) -> None:
        """Make the memory of a mask that nobody prompted and that stays."""
        features = self.features[frame_index]
        selection = steps.adopt(self.model, features, track.masklet[frame_index].mask)
        maps = steps.remember_prompted(self.model, features, selection, self.behaviour)
        track.bank.tracked[frame_index] = MemoryEntry(maps[0], selection.pointer_bc[0])

    def _answer(
        self, track: ObjectTrack, frame_index: int, prompt: Prompt, fresh: bool
    ) -> tuple[Selection, MaskPrediction | None]:
        features = self.features[frame_index]
        if prompt.mask_alone is not None:
            return steps.adopt(self.model, features, prompt.mask_alone), None  # a hole in it is meant
        prediction = self._held_candidates(track, frame_index, prompt)
        if prediction is None:
            context = None if fresh else self._context_of_correction(track, frame_index)
            previous = self._previous_logits(track, frame_index, prompt)
            prediction = steps.decode_prompt(self.model, features, context, prompt, previous)
        selection = steps.select(self.model, prediction, prompt, self.behaviour)
        return steps.filled(selection, self.behaviour), prediction

    def _context_of_correction(self, track: ObjectTrack, frame_index: int) -> MemoryContext | None:
        """What a prompt on a tracked frame attends to.

        In the released code that is the bank as the last pass left it. Here it is what people said on other frames: the
        answer that is being replaced takes no part, nor does it matter where the last pass happened to stop.
        """
        policy, bank = self.behaviour.policy, track.bank
        if self.behaviour.history is History.EVERYTHING:
            conditioning, step = list(bank.conditioning), track.visited[frame_index]
            attended = policy(frame_index, step, conditioning, bank.tracked, len(self.video))
        else:
            for earlier in [f for f in track.unremembered if f != frame_index]:
                self.remember(track, earlier)
                track.unremembered.remove(earlier)
            others = sorted(f for f in bank.conditioning if f != frame_index)
            nearest = min(others, key=lambda f: abs(f - frame_index), default=frame_index)
            attended = policy(frame_index, 1 if nearest <= frame_index else -1, others, (), len(self.video))
        return gather([bank], [attended], len(self.video)) if attended.maps else None

    def _held_candidates(self, track: ObjectTrack, frame_index: int, prompt: Prompt) -> MaskPrediction | None:
        """The decoder's answer to the same words, so that a choice is among the masks that were shown."""
        earlier = track.interactions.get(frame_index)
        if earlier is None or not prompt.differs_in_choice_only(earlier.prompt):
            return None
        # In the released code, saying the same again is one more click on the mask it gave.
        repeated = earlier.prompt == prompt and self.behaviour.history is History.EVERYTHING
        return None if repeated else earlier.candidates

    def _previous_logits(self, track: ObjectTrack, frame_index: int, prompt: Prompt) -> Tensor | None:
        """The mask that a prompt refines: the last answer when it only says more, else what was there at first."""
        if prompt.mask is not None:
            mask = model_mask(prompt.mask, self.model.config.image_size).to(self.model.device)
            return low_resolution(mask, self.model.config.mask_size)
        if self.behaviour.history is History.EVERYTHING:
            return track.logits.get(frame_index)
        earlier = track.interactions.get(frame_index)
        if earlier is None:
            return self._read_back(track, frame_index)
        return earlier.selection.logits_bhw[0] if prompt.extends(earlier.prompt) else earlier.base_logits

    def _read_back(self, track: ObjectTrack, frame_index: int) -> Tensor | None:
        """Logits of a tracked mask, from its run lengths: they are all that is kept of every frame."""
        found = track.masklet.get(frame_index)
        if found is None:
            return None
        mask = torch.from_numpy(found.mask.decode()).float()[None].to(self.model.device)
        return low_resolution(mask, self.model.config.mask_size)
