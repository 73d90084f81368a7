"""Promptable visual segmentation (the paper's section 3): prompts on any frame at any time, masklets through the video.

A step takes features, memories, a conditioned feature, masks, a new memory, in this order, for all objects of a frame
together. The tracker of a picture is the tracker of a video with one frame.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sam2_core.errors import PromptError
from sam2_core.media.frames import Video
from sam2_core.model import SAM2, ImageFeatures, Selection
from sam2_core.prompts import CANDIDATES, Prompt
from sam2_core.results import FrameResult, ObjectMask
from sam2_core.tracking import steps
from sam2_core.tracking.behaviour import STUDIO, Behaviour, History
from sam2_core.tracking.features import FrameFeatures
from sam2_core.tracking.memory_bank import MemoryEntry, gather
from sam2_core.tracking.object_track import Interaction, ObjectTrack
from sam2_core.tracking.passes import Pass, later, plan
from sam2_core.tracking.pixels import video_logits, video_masks
from sam2_core.tracking.policies import Attended, Direction
from sam2_core.tracking.prompting import Prompter
from sam2_core.tracking.publishing import Scores, hold, publish
from sam2_core.tracking.shared_cache import SharedCache

_OBJECTS_AT_ONCE = 8
"""Objects that one batch takes at most; beyond this, memory grows and speed does not."""


class Tracker:
    """Segments and tracks objects in one video.

    Not thread safe: one caller at a time.

    Args:
        model: in evaluation mode.
        video: its frames are read when they are needed.
        behaviour: :data:`STUDIO` by default; :data:`OFFICIAL` for the released predictor.
        cache: of image features, which trackers may share; ``None`` makes one of its own.
    """

    def __init__(
        self,
        model: SAM2,
        video: Video,
        behaviour: Behaviour = STUDIO,
        cache: SharedCache[ImageFeatures] | None = None,
    ) -> None:
        self.model = model
        self.video = video
        self.behaviour = behaviour
        self.tracks: dict[int, ObjectTrack] = {}
        self.features = FrameFeatures(model, video, cache)

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
        interaction = self._prompter.answer(track, frame_index, prompt)
        self.tracks[object_id] = track
        track.interactions[frame_index] = interaction
        if frame_index not in track.unremembered:
            track.unremembered.append(frame_index)
        track.resume = None
        self._publish(frame_index, hold(frame_index, [track], interaction.selection))
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
        return tuple(self._shown(object_id, option) for option in options)

    @torch.inference_mode()
    def preview(self, object_id: int, frame_index: int, prompt: Prompt) -> ObjectMask:
        """The mask that :meth:`prompt` would give; nothing is changed.

        Raises:
            PromptError: the frame is out of range.
        """
        self._check_frame(frame_index)
        track = self.tracks.get(object_id) or ObjectTrack(object_id)
        interaction = self._prompter.answer(track, frame_index, prompt)
        shown = self._shown(object_id, interaction.selection)
        return shown if interaction.given is None else replace(shown, mask=interaction.given)

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

    def take_over(self, frame_index: int, mask: ObjectMask, step: int) -> None:
        """A mask that was made here before, by a sweep in direction ``step``, or as the answer to a prompt (0)."""
        track = self.tracks.get(mask.object_id)
        if track is not None:
            track.masklet[frame_index] = mask
            if step:
                track.visited[frame_index] = step

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
        if not bounded:
            starts = dict.fromkeys(starts, min(starts.values()) if start is None else start)
        elif start is not None:
            starts = {object_id: later(start, begin, direction) for object_id, begin in starts.items()}
        return plan(starts, direction, len(self.video), limit)

    def propagate(
        self, direction: Direction = Direction.BOTH, start: int | None = None, limit: int | None = None
    ) -> Iterator[FrameResult]:
        """Track all objects; yields one result per frame as it is finished. Stop iterating to stop tracking.

        Args:
            direction: both ways by default.
            start: first frame of the sweep, for objects that begin before it; ``None`` starts every object at its own
                first conditioning frame, or at its last one when the only way is backward.
            limit: frames after the first that a sweep visits at most.
        """
        for sweep in self.passes(direction, start, limit):
            for frame_index in sweep.frames:
                taking_part = [object_id for object_id in self.tracks if sweep.takes(object_id, frame_index)]
                yield self.visit(frame_index, sweep.step, taking_part)

    @torch.inference_mode()
    def visit(
        self, frame_index: int, step: int, object_ids: Collection[int], kept: Collection[int] = ()
    ) -> FrameResult:
        """One frame of a sweep: prompted objects keep their mask, the others are tracked.

        An object goes on with its recent memories only if the last visit was to the frame before, in this direction.

        Args:
            frame_index: the frame.
            step: the sweep's direction, 1 or -1.
            object_ids: objects that take part.
            kept: those of them whose mask here stays as it is and is only remembered.

        Returns:
            Every object's latest mask on this frame.
        """
        taking_part = [track for track in self.tracks.values() if track.object_id in object_ids]
        if self.behaviour.history is History.BOUNDED:
            for track in taking_part:
                if track.resume != (frame_index, step):
                    track.bank.tracked.clear()
        self._remember_prompts(taking_part)
        unprompted = [track for track in taking_part if frame_index not in track.bank.conditioning]
        for track in unprompted:
            if track.object_id in kept:
                self._prompter.remember_as_it_is(track, frame_index)
        self._track(frame_index, step, [track for track in unprompted if track.object_id not in kept])
        for track in taking_part:
            track.visited[frame_index] = step
            track.resume = (frame_index + step, step)
            self._forget_old(track, frame_index)
        return self.result(frame_index)

    # How -------------------------------------------------------------------------------------------------------

    def _check_frame(self, frame_index: int) -> None:
        if not 0 <= frame_index < len(self.video):
            raise PromptError(f"the video has frames 0 to {len(self.video) - 1}; got frame {frame_index}.")

    def _shown(self, object_id: int, selection: Selection) -> ObjectMask:
        (mask,) = video_masks([video_logits(selection.logits_bhw, self.video.height, self.video.width)])
        return ObjectMask(object_id, mask, float(selection.iou_b[0]), float(selection.object_score_b[0]))

    def _interaction(self, object_id: int, frame_index: int) -> Interaction:
        track = self.tracks.get(object_id)
        if track is None or frame_index not in track.interactions:
            raise PromptError(f"nothing was said about object {object_id} on frame {frame_index}.")
        return track.interactions[frame_index]

    @property
    def _prompter(self) -> Prompter:
        return Prompter(self.model, self.features, self.behaviour, self.video)

    def _remember_prompts(self, tracks: Sequence[ObjectTrack]) -> None:
        """Make the memories of all that was said since they were last made."""
        for track in tracks:
            for frame_index in track.unremembered:
                interaction = track.interactions[frame_index]
                if interaction.standing is None:
                    self._prompter.remember(track, frame_index)
                    continue
                standing = replace(interaction, selection=interaction.standing, conditioning=True, standing=None)
                track.interactions[frame_index] = standing
                self._publish(frame_index, hold(frame_index, [track], standing.selection))
            track.unremembered.clear()

    def _publish(self, frame_index: int, scores: Scores) -> None:
        publish(frame_index, self.tracks.values(), scores, self.video, apart=self.behaviour.objects_apart)

    def _track(self, frame_index: int, step: int, tracks: Sequence[ObjectTrack]) -> None:
        groups: dict[tuple[int, int], list[tuple[ObjectTrack, Attended]]] = defaultdict(list)
        for track in tracks:
            attended = self._attended(track, frame_index, step)
            groups[len(attended.maps), len(attended.pointers)].append((track, attended))
        scores: Scores = {}
        for group in groups.values():
            for first in range(0, len(group), _OBJECTS_AT_ONCE):
                scores |= self._step(frame_index, group[first : first + _OBJECTS_AT_ONCE])
        self._publish(frame_index, scores)

    def _attended(self, track: ObjectTrack, frame_index: int, step: int) -> Attended:
        bank = track.bank
        bounded = self.behaviour.history is History.BOUNDED
        conditioning = sorted(bank.conditioning) if bounded else list(bank.conditioning)
        return self.behaviour.policy(frame_index, step, conditioning, bank.tracked, len(self.video))

    def _step(self, frame_index: int, group: Sequence[tuple[ObjectTrack, Attended]]) -> Scores:
        """Track some objects on one frame; they attend to equally many memories."""
        tracks = [track for track, _ in group]
        features = self.features[frame_index]
        context = gather([track.bank for track in tracks], [attended for _, attended in group], len(self.video))
        selection = steps.track(self.model, features, context)
        maps = steps.remember_tracked(self.model, features, selection, self.behaviour)
        for track, memory_map, pointer in zip(tracks, maps, selection.pointer_bc, strict=True):
            track.bank.tracked[frame_index] = MemoryEntry(memory_map, pointer)
        return hold(frame_index, tracks, steps.filled(selection, self.behaviour))

    def _forget_old(self, track: ObjectTrack, frame_index: int) -> None:
        if self.behaviour.history is History.BOUNDED:
            track.bank.forget_beyond(frame_index, self.behaviour.policy.reach)
            track.logits = {f: x for f, x in track.logits.items() if f in track.interactions or f == frame_index}
