"""The model's side of a session: it is told what people say, and can be told all of it anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeGuard

from sam2_core.prompts import Prompt
from sam2_core.session.commands import Command, ImportMasks, PromptCommand, Track
from sam2_core.session.document import Change, Document, ObjectState
from sam2_core.session.scheduler import Turns
from sam2_core.tracking.tracker import Tracker


class Answerer:
    """Tells a tracker what is said about objects.

    What the tracker knows of an object can be lost at any time: the object is then *woken* by asking the model again.

    Args:
        tracker: of the clip.
        turns: for the device.
    """

    def __init__(self, tracker: Tracker, turns: Turns) -> None:
        self._tracker = tracker
        self._turns = turns

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """If anything fails, the tracker knows what it knew before."""
        before = dict(self._tracker.tracks)
        try:
            yield
        except BaseException:
            self._tracker.tracks = before
            raise

    def tell(self, before: ObjectState | None, after: ObjectState) -> None:
        """Say what is said now about an object and was not said before, and take back what is not said any more.

        Args:
            before: what the tracker knows; ``None`` where that is nothing.
            after: what holds now, but for the model's answer.
        """
        object_id, tracks = after.object_id, self._tracker.tracks
        anew = before is None or after.masklet is not before.masklet  # with masks that are as if they had been tracked
        earlier: Mapping[int, Prompt] = {} if before is None or anew else before.prompts
        if anew:
            tracks.pop(object_id, None)
        elif object_id in tracks:
            tracks[object_id] = tracks[object_id].settled()
        for frame, prompt in after.prompts.items():
            if earlier.get(frame) is not prompt:
                with self._turns:
                    self._tracker.prompt(object_id, frame, prompt)
        for frame in earlier.keys() - after.prompts.keys():
            with self._turns:
                self._tracker.clear(object_id, frame)
        if anew:
            for frame, mask in after.masklet.items():
                self._tracker.take_over(frame, mask, 1)

    def wake(self, object_id: int, frame_count: int, steps: Iterable[tuple[Command, Iterable[Change]]]) -> None:
        """Tell the tracker all about an object that it does not know, with the masks that were shown then: they hold.

        Args:
            object_id: which.
            frame_count: of the clip.
            steps: the commands in force, and what they did.
        """
        document = Document(frame_count)
        with self.all_or_nothing():
            for command, changes in steps:
                if not _concerns(command, object_id):
                    continue
                if not isinstance(command, Track):
                    before = document.objects.get(object_id)
                    document = document.after(command)
                    after = document.objects.get(object_id)
                    if after is not None and after is not before:
                        self.tell(before, after)
                own = [
                    Change(c.frame_index, {object_id: c.masks[object_id]}, c.step)
                    for c in changes
                    if object_id in c.masks
                ]
                for change in own:
                    mask = change.masks[object_id]
                    if mask is not None:
                        self._tracker.take_over(change.frame_index, mask, change.step)
                document = document.changed(own)


def _concerns(command: Command, object_id: int) -> TypeGuard[PromptCommand | ImportMasks | Track]:
    """Whether a command may have changed what the tracker knows of an object."""
    if isinstance(command, PromptCommand):
        return command.object_id == object_id
    return isinstance(command, (ImportMasks, Track))
