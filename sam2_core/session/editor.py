"""What commands do: to the state, to what the model knows, and to the disk; one caller at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sam2_core.errors import ProjectError, PromptError, SessionLimit
from sam2_core.media import Video
from sam2_core.model import SAM2
from sam2_core.prompts import Point, Prompt
from sam2_core.results import ObjectMask
from sam2_core.session.commands import (
    Command,
    Edit,
    ImportMasks,
    PromptCommand,
    Redo,
    RemoveObject,
    Track,
    Undo,
    UseModel,
)
from sam2_core.session.document import Change, Document
from sam2_core.session.history import Snapshot, Snapshots, Steps
from sam2_core.session.limits import Limits
from sam2_core.session.prompt_edits import ambiguous, reprompted
from sam2_core.session.propagation import Propagation
from sam2_core.session.recreation import recreation
from sam2_core.session.scheduler import Turns
from sam2_core.session.store import Store, model_of
from sam2_core.tracking.object_track import ObjectTrack
from sam2_core.tracking.tracker import Tracker


class Editor:
    """A document that commands change, with a model that answers them and a store that keeps both.

    The log of commands is the truth. The document is what replaying it gives, with masks as they are stored. What the
    tracker knows of an object can be lost at any time: the object is *woken* by asking the model again what was said.

    Args:
        video: of the clip.
        model: shared with other sessions.
        store: which may hold a session already.
        turns: for the device.
        limits: for objects and history.

    Raises:
        ProjectError: what is in the store contradicts itself.
    """

    def __init__(self, video: Video, model: SAM2, store: Store, turns: Turns, limits: Limits) -> None:
        self.store = store
        self.tracker = Tracker(model, video)
        self.steps = Steps()
        self._turns = turns
        self._limits = limits
        self._frame_count, self._height, self._width = len(video), video.height, video.width
        self._snapshots = Snapshots(limits.history_bytes)
        self._settled: dict[int, ObjectTrack] = {}
        for number, command in enumerate(store.commands):
            self.steps.record(number, command)
        try:
            self.document = self._replayed()
        except PromptError as error:
            raise ProjectError(f"the commands of this session contradict each other: {error}") from error
        self._keep_snapshot()

    @property
    def model_name(self) -> str:
        """Of the model in use."""
        return model_of(self.store.commands)

    # Commands ----------------------------------------------------------------------------------------------------

    def edit(self, command: Edit) -> None:
        """Do it; if that fails, everything is as before.

        Raises:
            PromptError: the command does not fit.
            SessionLimit: there is no room for it.
        """
        document, change = self._after(self.document, command), None
        if len(document.objects) > max(self._limits.objects, len(self.document.objects)):
            raise SessionLimit(f"there can be {self._limits.objects} objects at a time; remove one first.")
        with self._all_or_nothing():
            if isinstance(command, PromptCommand):
                prompt = document.objects[command.object_id].prompts.get(command.frame_index)
                change = self._answer(command, prompt)
                document = document.changed([change])
            number = self.store.add(command, change)
        self.steps.record(number, command)
        self.document = document
        if isinstance(command, RemoveObject):
            self.tracker.tracks.pop(command.object_id, None)
        self._settle(tuple(change.masks) if change else ())

    def undo(self) -> None:
        """Take the last step back, tracking included; nothing happens where there is none."""
        if self.steps.can_undo:
            self._go(Undo())

    def redo(self) -> None:
        """Do again what was taken back last; nothing happens where that is nothing."""
        if self.steps.can_redo:
            self._go(Redo())

    def begin(self, command: Track) -> Propagation:
        """Begin to track; the job makes changes one by one for :meth:`take`, and :meth:`end` ends it.

        Raises:
            PromptError: there is nothing to do.
        """
        document, stretch, object_ids = self.document.tracking(command)
        number = self.store.add(command)
        self.steps.record(number, command)
        self.document = document
        return Propagation(number, self.tracker, self._turns, stretch, object_ids, command.frames)

    def take(self, job: Propagation, change: Change) -> None:
        """Another frame was tracked, which is stored at once."""
        self.store.add_change(job.number, change)
        self.document = self.document.changed([change])

    def end(self, job: Propagation) -> None:
        """Tracking is over, wherever it got.

        Raises:
            SessionLimit: the disk does not take it; in memory it is there.
        """
        self._settle(job.object_ids)
        self.tracker.tracks = {key: track.settled() for key, track in self.tracker.tracks.items()}
        self.store.sync()

    def anew(self, model_name: str, model: SAM2) -> Editor:
        """Another editor in place of this one, in which another model has answered all prompts.

        Its files are in force when this returns; if it fails, the ones before still are.
        """
        store = self.store.successor()
        try:
            editor = Editor(self.tracker.video, model, store, self._turns, self._limits)
            for command in recreation(self.document):
                editor.edit(command)
            editor.steps.record(store.add(UseModel(model_name)), UseModel(model_name))
            store.header.write(store.folder)
        except BaseException:
            store.delete()
            raise
        return editor

    def in_force(self) -> Iterator[Command]:
        """The commands that lead here, with tracking as far as it got."""
        for number in self.steps.done:
            command = self.store.commands[number]
            if isinstance(command, Track):
                frames = self.store.count(number)
                if frames:
                    yield replace(command, frames=frames)
            else:
                yield command

    def wake(self, object_id: int) -> None:
        """Let the model know again what was said about an object, if it does not."""
        state = self.document.objects.get(object_id)
        if state is None or not state.prompts or object_id in self.tracker.tracks:
            return
        with self._all_or_nothing():
            said: dict[int, Prompt | None] = {}
            for number in self.steps.done:
                command = self.store.commands[number]
                if isinstance(command, PromptCommand) and command.object_id == object_id:
                    frame = command.frame_index
                    said[frame] = reprompted(said.get(frame), command)
                    self._say(object_id, frame, said[frame])
                elif isinstance(command, ImportMasks):
                    said |= self._take_imported(object_id, command)
                elif not isinstance(command, Track):
                    continue
                for change in self.store.changes(number):  # what was shown holds
                    mask = change.masks.get(object_id)
                    if mask is not None:
                        self.tracker.take_over(change.frame_index, mask, change.step)

    # Questions -----------------------------------------------------------------------------------------------------

    def candidates(self, object_id: int, frame_index: int) -> tuple[ObjectMask, ...]:
        """The three masks that a single click may have meant; none where the prompt is not ambiguous."""
        prompt = self.document.prompts(frame_index).get(object_id)
        if prompt is None or not ambiguous(prompt):
            return ()
        self.wake(object_id)
        with self._turns:
            return self.tracker.candidates(object_id, frame_index)

    def preview(self, object_id: int, frame_index: int, point: Point) -> ObjectMask:
        """The mask that one more click would give."""
        said = self.document.prompts(frame_index).get(object_id)
        self.wake(object_id)
        with self._turns:
            prompt = said.with_point(point) if said else Prompt(points=(point,))
            return self.tracker.preview(object_id, frame_index, prompt)

    def encode_near(self, frame_index: int) -> bool:
        """Encode the nearest frame that is worth it, if nobody wants the device; whether there was one."""
        features = self.tracker.features
        missing = features.missing_near(frame_index)
        if missing is None:
            return False
        with self._turns.if_free() as free:
            if free:
                features[missing]
            return free

    # How ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        before = dict(self.tracker.tracks)
        try:
            yield
        except BaseException:
            self.tracker.tracks = before
            raise

    def _answer(self, command: PromptCommand, prompt: Prompt | None) -> Change:
        """Ask the model about all that is now said."""
        object_id, frame = command.object_id, command.frame_index
        self.wake(object_id)
        track = self.tracker.tracks.get(object_id)
        if track is not None:
            self.tracker.tracks[object_id] = track.settled()
        self._say(object_id, frame, prompt)
        after = self.tracker.tracks.get(object_id)
        return Change(frame, {object_id: after.masklet.get(frame) if after else None})

    def _take_imported(self, object_id: int, command: ImportMasks) -> Mapping[int, Prompt]:
        """Let the model know masks that were imported for an object; what was said with them, by frame."""
        state = self._after(Document(self._frame_count), command).objects.get(object_id)
        if state is None:
            return {}
        for frame, prompt in state.prompts.items():
            self._say(object_id, frame, prompt)
        for frame, mask in state.masklet.items():
            self.tracker.take_over(frame, mask, 1)
        return state.prompts

    def _after(self, document: Document, command: Edit) -> Document:
        if isinstance(command, ImportMasks):
            size = (self._height, self._width)
            if any((each.mask.height, each.mask.width) != size for each in command.masks):
                raise PromptError(f"imported masks have the clip's size, {self._width} x {self._height} pixels.")
        return document.after(command)

    def _say(self, object_id: int, frame: int, prompt: Prompt | None) -> None:
        with self._turns:
            if prompt is None:
                self.tracker.clear(object_id, frame)
            else:
                self.tracker.prompt(object_id, frame, prompt)

    def _go(self, command: Undo | Redo) -> None:
        self.steps.record(self.store.add(command), command)
        snapshot = self._snapshots.get(self.steps.last)
        self.document = snapshot.document if snapshot else self._replayed()
        self._settled = dict(snapshot.tracks) if snapshot else {}
        self.tracker.tracks = {key: track.settled() for key, track in self._settled.items()}

    def _replayed(self) -> Document:
        document = Document(self._frame_count)
        for number in self.steps.done:
            command = self.store.commands[number]
            if isinstance(command, Track):
                document, _, _ = document.tracking(command)
            elif isinstance(command, Edit):
                document = self._after(document, command)
            document = document.changed(self.store.changes(number))
        return document

    def _settle(self, touched: Sequence[int]) -> None:
        """Keep what the tracker now knows of these objects, for undo."""
        kept = {key: track for key, track in self._settled.items() if key in self.tracker.tracks}
        fresh = {key: self.tracker.tracks[key].settled() for key in touched if key in self.tracker.tracks}
        self._settled = kept | fresh
        self._keep_snapshot()

    def _keep_snapshot(self) -> None:
        snapshot = Snapshot(self.document, self._settled)
        self._snapshots.keep(self.steps.last, snapshot, (*self.steps.done, *self.steps.undone))
