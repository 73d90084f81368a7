"""Promptable visual segmentation (the paper's section 3): prompts on any frame at any time, masklets through the video.

A step takes features, memories, a conditioned feature, masks, a new memory, in this order, for all objects of a frame
together. The tracker of a picture is the tracker of a video with one frame.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sam2_core.errors import PromptError
from sam2_core.media.frames import Video
from sam2_core.model import SAM2, MaskPrediction, MemoryContext, Selection
from sam2_core.prompts import CANDIDATES, Prompt
from sam2_core.results import FrameResult, ObjectMask
from sam2_core.rle import Rle
from sam2_core.tracking import steps
from sam2_core.tracking.behaviour import STUDIO, Behaviour, Corrections, History
from sam2_core.tracking.features import FrameFeatures
from sam2_core.tracking.memory_bank import MemoryEntry, gather
from sam2_core.tracking.object_track import Interaction, ObjectTrack
from sam2_core.tracking.passes import Pass, plan
from sam2_core.tracking.pixels import low_resolution, model_mask, video_logits
from sam2_core.tracking.policies import Attended, Direction

_OBJECTS_AT_ONCE = 8
"""Objects that one batch takes at most; beyond this, memory grows and speed does not."""


class Tracker:
    """Segments and tracks objects in one video.

    Not thread safe: one caller at a time.

    Args:
        model: in evaluation mode.
        video: its frames are read when they are needed.
        behaviour: :data:`STUDIO` by default; :data:`OFFICIAL` for the released predictor.
    """

    def __init__(self, model: SAM2, video: Video, behaviour: Behaviour = STUDIO) -> None:
        self.model = model
        self.video = video
        self.behaviour = behaviour
        self.tracks: dict[int, ObjectTrack] = {}
        self.features = FrameFeatures(model, video)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """In the order in which the objects were first prompted."""
        return tuple(self.tracks)

    # What people say -------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def prompt(self, object_id: int, frame_index: int, prompt: Prompt) -> FrameResult:
        """All that is now said about an object on a frame, in place of what was said before.

        An unknown id is a new object.

        Returns:
            Every object's mask on this frame.

        Raises:
            PromptError: the frame or the object id is out of range.
        """
        self._check_frame(frame_index)
        if object_id < 1:
            raise PromptError(f"an object id is a whole number from 1 up; got {object_id}.")
        track = self.tracks.get(object_id) or ObjectTrack(object_id)
        interaction = self._interact(track, frame_index, prompt)
        self.tracks[object_id] = track
        track.interactions[frame_index] = interaction
        if frame_index not in track.unremembered:
            track.unremembered.append(frame_index)
        track.resume = None
        self._publish(frame_index, self._answer(frame_index, [track], interaction.selection))
        return self.result(frame_index)

    def candidates(self, object_id: int, frame_index: int) -> tuple[ObjectMask, ...]:
        """The three masks that a prompt may have meant, with predicted IoUs; none where a mask was given.

        Choose one with ``prompt(object_id, frame_index, replace(prompt, candidate=k))``.
        """
        interaction = self._interaction(object_id, frame_index)
        prediction = interaction.candidates
        if prediction is None:
            return ()
        options = [steps.filled(prediction.choose(k), self.behaviour) for k in range(CANDIDATES)]
        masks = video_logits(torch.cat([o.logits_bhw for o in options]), self.video.height, self.video.width) > 0
        score = float(prediction.object_score_b[0])
        return tuple(
            ObjectMask(object_id, Rle.encode(mask), float(option.iou_b[0]), score)
            for mask, option in zip(masks.cpu().numpy(), options, strict=True)
        )

    def clear(self, object_id: int, frame_index: int) -> FrameResult:
        """Take back all that was said about an object on a frame; a mask that was tracked there before comes back.

        An object about which nothing is said any more is removed.
        """
        interaction = self._interaction(object_id, frame_index)
        track = self.tracks[object_id]
        del track.interactions[frame_index]
        track.unremembered = [f for f in track.unremembered if f != frame_index]
        track.bank.conditioning.pop(frame_index, None)
        track.logits.pop(frame_index, None)
        track.masklet.pop(frame_index, None)
        track.resume = None
        if interaction.replaced is not None:
            track.masklet[frame_index] = interaction.replaced
        if not track.interactions:
            del self.tracks[object_id]
        return self.result(frame_index)

    def remove_object(self, object_id: int) -> None:
        """Forget an object; the others are not touched."""
        if object_id not in self.tracks:
            raise PromptError(f"there is no object {object_id}; there are {sorted(self.tracks) or 'none yet'}.")
        del self.tracks[object_id]

    # What comes out --------------------------------------------------------------------------------------------

    def result(self, frame_index: int) -> FrameResult:
        """Every object's latest mask on a frame; objects without one there are left out."""
        self._check_frame(frame_index)
        masks = (track.masklet.get(frame_index) for track in self.tracks.values())
        return FrameResult(frame_index, tuple(mask for mask in masks if mask is not None))

    def logits(self, frame_index: int) -> dict[int, Tensor]:
        """Low-resolution mask logits ``[4h, 4w]`` by object id, where still held: right after a step they are."""
        return {t.object_id: t.logits[frame_index] for t in self.tracks.values() if frame_index in t.logits}

    def passes(
        self, direction: Direction = Direction.BOTH, start: int | None = None, limit: int | None = None
    ) -> list[Pass]:
        """The sweeps that :meth:`propagate` would make.

        Raises:
            PromptError: nothing was prompted yet, or the start is not in the video.
        """
        bounded = self.behaviour.history is History.BOUNDED
        own = -1 if bounded and direction is Direction.BACKWARD else 0
        starts = {t.object_id: t.conditioning_frames[own] for t in self.tracks.values() if t.conditioning_frames}
        if not starts:
            raise PromptError("there is nothing to track yet; click an object, draw a box or give a mask first.")
        if start is not None:
            self._check_frame(start)
            starts = dict.fromkeys(starts, start)
        elif not bounded:
            starts = dict.fromkeys(starts, min(starts.values()))
        return plan(starts, direction, len(self.video), limit)

    def propagate(
        self, direction: Direction = Direction.BOTH, start: int | None = None, limit: int | None = None
    ) -> Iterator[FrameResult]:
        """Track all objects; yields one result per frame as it is finished. Stop iterating to stop tracking.

        Args:
            direction: both ways by default.
            start: first frame of the sweep; ``None`` starts every object at its own first conditioning frame, or at its
                last one when the only way is backward.
            limit: frames after the first that a sweep visits at most.
        """
        for sweep in self.passes(direction, start, limit):
            self._forget_stale(sweep)
            for frame_index in sweep.frames:
                self._remember_prompts()
                yield self._visit(frame_index, sweep)

    # How -------------------------------------------------------------------------------------------------------

    def _check_frame(self, frame_index: int) -> None:
        if not 0 <= frame_index < len(self.video):
            raise PromptError(f"the video has frames 0 to {len(self.video) - 1}; got frame {frame_index}.")

    def _interaction(self, object_id: int, frame_index: int) -> Interaction:
        track = self.tracks.get(object_id)
        if track is None or frame_index not in track.interactions:
            raise PromptError(f"nothing was said about object {object_id} on frame {frame_index}.")
        return track.interactions[frame_index]

    def _interact(self, track: ObjectTrack, frame_index: int, prompt: Prompt) -> Interaction:
        earlier = track.interactions.get(frame_index)
        fresh = frame_index not in track.visited
        interaction = Interaction(
            prompt,
            *self._answer_prompt(track, frame_index, prompt, fresh),
            base_logits=earlier.base_logits if earlier else self._read_back(track, frame_index),
            replaced=earlier.replaced if earlier else track.masklet.get(frame_index),
            conditioning=fresh or self.behaviour.corrections is Corrections.STICK,
        )
        if earlier and not interaction.conditioning:
            standing = earlier.selection if earlier.conditioning else earlier.standing
            return replace(interaction, standing=standing)
        return interaction

    def _answer_prompt(
        self, track: ObjectTrack, frame_index: int, prompt: Prompt, fresh: bool
    ) -> tuple[Selection, MaskPrediction | None]:
        features = self.features[frame_index]
        if prompt.mask is not None and prompt.label_count == 0:
            return steps.filled(steps.adopt(self.model, features, prompt.mask), self.behaviour), None
        prediction = self._held_candidates(track, frame_index, prompt)
        if prediction is None:
            context = None if fresh else self._context_of_correction(track, frame_index)
            previous = self._previous_logits(track, frame_index, prompt)
            prediction = steps.decode_prompt(self.model, features, context, prompt, previous)
        selection = steps.select(self.model, prediction, prompt, self.behaviour)
        return steps.filled(selection, self.behaviour), prediction

    def _context_of_correction(self, track: ObjectTrack, frame_index: int) -> MemoryContext | None:
        """What a prompt on a tracked frame attends to.

        In the released code that is the bank as the last pass left it. Here corrections made since then count, and the
        answer that is being replaced does not.
        """
        if self.behaviour.history is History.BOUNDED:
            for earlier in [f for f in track.unremembered if f != frame_index]:
                self._remember_prompt(track, earlier)
                track.unremembered.remove(earlier)
        attended = self._attended(track, frame_index, track.visited[frame_index])
        return gather([track.bank], [attended], len(self.video)) if attended.maps else None

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

    @torch.inference_mode()
    def _remember_prompts(self) -> None:
        """Make the memories of all that was said since they were last made."""
        for track in self.tracks.values():
            for frame_index in track.unremembered:
                self._remember_prompt(track, frame_index)
            track.unremembered.clear()

    def _remember_prompt(self, track: ObjectTrack, frame_index: int) -> None:
        interaction = track.interactions[frame_index]
        if interaction.standing is not None:
            standing = replace(interaction, selection=interaction.standing, conditioning=True, standing=None)
            track.interactions[frame_index] = standing
            self._publish(frame_index, self._answer(frame_index, [track], standing.selection))
            return
        maps = steps.remember_prompted(self.model, self.features[frame_index], interaction.selection, self.behaviour)
        entry = MemoryEntry(maps[0], interaction.selection.pointer_bc[0])
        if interaction.conditioning:
            track.bank.conditioning[frame_index] = entry
            track.bank.tracked.pop(frame_index, None)
        else:
            track.bank.tracked[frame_index] = entry

    def _forget_stale(self, sweep: Pass) -> None:
        """Recent memories are of use only to a sweep that goes on where the last one stopped."""
        if self.behaviour.history is History.EVERYTHING:
            return
        for track in self.tracks.values():
            if track.resume != (sweep.starts.get(track.object_id), sweep.step):
                track.bank.tracked.clear()

    @torch.inference_mode()
    def _visit(self, frame_index: int, sweep: Pass) -> FrameResult:
        """One frame of a sweep: objects prompted here keep their mask, the others are tracked."""
        taking_part = [t for t in self.tracks.values() if sweep.takes(t.object_id, frame_index)]
        groups: dict[tuple[int, int], list[tuple[ObjectTrack, Attended]]] = defaultdict(list)
        for track in taking_part:
            if frame_index not in track.bank.conditioning:
                attended = self._attended(track, frame_index, sweep.step)
                groups[len(attended.maps), len(attended.pointers)].append((track, attended))
        scores: dict[int, tuple[float, float]] = {}
        for group in groups.values():
            for first in range(0, len(group), _OBJECTS_AT_ONCE):
                scores |= self._step(frame_index, group[first : first + _OBJECTS_AT_ONCE])
        self._publish(frame_index, scores)
        for track in taking_part:
            track.visited[frame_index] = sweep.step
            track.resume = (frame_index + sweep.step, sweep.step)
            self._forget_old(track, frame_index)
        return self.result(frame_index)

    def _attended(self, track: ObjectTrack, frame_index: int, step: int) -> Attended:
        bank = track.bank
        conditioning = list(bank.conditioning)
        if self.behaviour.history is History.BOUNDED:
            conditioning = [f for f in conditioning if f != frame_index]  # an answer takes no part in replacing itself
        return self.behaviour.policy(frame_index, step, conditioning, bank.tracked, len(self.video))

    def _step(self, frame_index: int, group: Sequence[tuple[ObjectTrack, Attended]]) -> dict[int, tuple[float, float]]:
        """Track some objects on one frame; they attend to equally many memories."""
        tracks = [track for track, _ in group]
        features = self.features[frame_index]
        context = gather([track.bank for track in tracks], [attended for _, attended in group], len(self.video))
        selection = steps.track(self.model, features, context)
        maps = steps.remember_tracked(self.model, features, selection, self.behaviour)
        for track, memory_map, pointer in zip(tracks, maps, selection.pointer_bc, strict=True):
            track.bank.tracked[frame_index] = MemoryEntry(memory_map, pointer)
        return self._answer(frame_index, tracks, steps.filled(selection, self.behaviour))

    def _answer(
        self, frame_index: int, tracks: Sequence[ObjectTrack], selection: Selection
    ) -> dict[int, tuple[float, float]]:
        """Note the logits; returns predicted IoU and object score by object id."""
        for track, logits in zip(tracks, selection.logits_bhw, strict=True):
            track.logits[frame_index] = logits
        pairs = zip(selection.iou_b.tolist(), selection.object_score_b.tolist(), strict=True)
        return {track.object_id: pair for track, pair in zip(tracks, pairs, strict=True)}

    def _publish(self, frame_index: int, scores: Mapping[int, tuple[float, float]]) -> None:
        """Write masks at the video's size into the masklets of the objects that were just answered.

        Where objects may not overlap, a new mask also cuts those that are there.
        """
        tracks = [t for t in self.tracks.values() if t.object_id in scores]
        if self.behaviour.objects_apart:
            tracks = [t for t in self.tracks.values() if frame_index in t.logits]
        if not tracks:
            return
        logits = torch.stack([track.logits[frame_index] for track in tracks])
        size = self.video.height, self.video.width
        masks = video_logits(logits, *size, apart=self.behaviour.objects_apart) > 0
        for track, mask in zip(tracks, masks.cpu().numpy(), strict=True):
            if track.object_id in scores:
                iou, score = scores[track.object_id]
            else:
                iou, score = track.masklet[frame_index].predicted_iou, track.masklet[frame_index].object_score
            track.masklet[frame_index] = ObjectMask(track.object_id, Rle.encode(mask), iou, score)

    def _forget_old(self, track: ObjectTrack, frame_index: int) -> None:
        if self.behaviour.history is History.BOUNDED:
            track.bank.forget_beyond(frame_index, self.behaviour.policy.reach)
            track.logits = {f: x for f, x in track.logits.items() if f in track.interactions or f == frame_index}
