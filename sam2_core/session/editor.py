"""What commands do: to the state, to what the model knows, and to the disk; one caller at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from sam2_core.errors import ProjectError, PromptError, SessionLimit
from sam2_core.media import Video
from sam2_core.model import SAM2
from sam2_core.prompts import Point, Prompt
from sam2_core.results import ObjectMask
from sam2_core.session.answering import Answerer
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
from sam2_core.session.document import Change, Document, ObjectState
from sam2_core.session.history import Snapshot, Snapshots, Steps
from sam2_core.session.limits import Limits
from sam2_core.session.memory import Memory
from sam2_core.session.prompt_edits import ambiguous
from sam2_core.session.propagation import Propagation
from sam2_core.session.recreation import recreation
from sam2_core.session.scheduler import Turns
from sam2_core.session.store import Store, model_of
from sam2_core.tracking.object_track import ObjectTrack
from sam2_core.tracking.tracker import Tracker


class Editor:
    """A document that commands change, with a model that answers them and a store that keeps both.

    The log of commands is the truth. The document is what replaying it gives, with masks as they are stored. What the
    tracker knows of an object can be lost at any time: see :class:`Answerer`.

    Args:
        video: of the clip.
        model: shared with other sessions.
        store: which may hold a session already.
        turns: for the device.
        limits: for objects and prompts.
        memory: shared with other sessions.

    Raises:
        ProjectError: what is in the store contradicts itself, or has more objects or prompts than there can be.
    """

    def __init__(self, video: Video, model: SAM2, store: Store, turns: Turns, limits: Limits, memory: Memory) -> None:
        self.store = store
        self.tracker = Tracker(model, video, cache=memory.features)
        self.steps = Steps()
        self._turns = turns
        self._limits = limits
        self._memory = memory
        self._answerer = Answerer(self.tracker, turns)
        self._frame_count, self._height, self._width = len(video), video.height, video.width
        self._snapshots = Snapshots(memory.history)
        self._settled: dict[int, ObjectTrack] = {}
        for number, command in enumerate(store.commands):
            self.steps.record(number, command)
        try:
            self.document = self._replayed()
        except (PromptError, SessionLimit) as error:
            raise ProjectError(f"the commands of this session make no sense here: {error}") from error
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
        if isinstance(command, (PromptCommand, ImportMasks)):
            self._memory.require()
        document, change = self._after(self.document, command), None
        with self._answerer.all_or_nothing():
            if isinstance(command, PromptCommand):
                change = self._answer(command, document.objects[command.object_id])
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
        """Another frame was tracked, which is stored at once.

        Raises:
            SessionLimit: there is no room for it.
        """
        self._memory.require()
        self.store.add_change(job.number, change)
        self.document = self.document.changed([change])
        self._note_memory()

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
        with ExitStack() as undo:
            store = self.store.successor()
            undo.callback(store.delete)
            editor = Editor(self.tracker.video, model, store, self._turns, self._limits, self._memory)
            undo.callback(editor.close)
            for command in recreation(self.document):
                editor.edit(command)
            editor.use(UseModel(model_name, self.document.last_object_id))
            store.header.write(store.folder)
            undo.pop_all()
        return editor

    def use(self, command: UseModel) -> None:
        """Note which model answers from here on."""
        self.steps.record(self.store.add(command), command)
        self.document = self._with_numbers_given(self.document)
        self._keep_snapshot()

    def close(self) -> None:
        """Let go of files and memory."""
        self.store.close()
        self.tracker.features.forget()
        self._snapshots.forget()
        self._memory.release(self)

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
        if state is not None and state.prompts and object_id not in self.tracker.tracks:
            steps = ((self.store.commands[number], self.store.changes(number)) for number in self.steps.done)
            self._answerer.wake(object_id, self._frame_count, steps)

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

    def _answer(self, command: PromptCommand, state: ObjectState) -> Change:
        """Ask the model about all that is now said."""
        object_id, frame = command.object_id, command.frame_index
        self.wake(object_id)
        self._answerer.tell(self.document.objects.get(object_id), state)
        after = self.tracker.tracks.get(object_id)
        return Change(frame, {object_id: after.masklet.get(frame) if after else None})

    def _after(self, document: Document, command: Edit) -> Document:
        if isinstance(command, ImportMasks):
            size = (self._height, self._width)
            if any((each.mask.height, each.mask.width) != size for each in command.masks):
                raise PromptError(f"imported masks have the clip's size, {self._width} x {self._height} pixels.")
        after = document.after(command)
        if len(after.objects) > max(self._limits.objects, len(document.objects)):
            raise SessionLimit(f"there can be {self._limits.objects} objects at a time; remove one first.")
        if after.prompt_count > max(self._limits.prompts, document.prompt_count):
            raise SessionLimit(f"there can be prompts on {self._limits.prompts:,} frames of objects; clear some first.")
        return after

    def _with_numbers_given(self, document: Document) -> Document:
        """An object's number is never given twice, also where the log does not go back so far."""
        given = max((c.last_object_id for c in self.store.commands if isinstance(c, UseModel)), default=0)
        return replace(document, last_object_id=max(document.last_object_id, given))

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
        return self._with_numbers_given(document)

    def _settle(self, touched: Sequence[int]) -> None:
        """Keep what the tracker now knows of these objects, for undo."""
        kept = {key: track for key, track in self._settled.items() if key in self.tracker.tracks}
        fresh = {key: self.tracker.tracks[key].settled() for key in touched if key in self.tracker.tracks}
        self._settled = kept | fresh
        self._keep_snapshot()

    def _keep_snapshot(self) -> None:
        snapshot = Snapshot(self.document, self._settled)
        self._snapshots.keep(self.steps.last, snapshot, (*self.steps.done, *self.steps.undone))
        self._known_bytes = sum(t.nbytes for track in self._settled.values() for t in track.tensors())
        self._note_memory()

    def _note_memory(self) -> None:
        """Commands and masks in memory are on the disk, too, and take about as much there."""
        self._memory.note(self, self.store.nbytes + self._known_bytes)
