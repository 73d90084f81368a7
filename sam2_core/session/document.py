"""The state of a session: what replaying its commands gives. Values only; no model, no files, no threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sam2_core.errors import PromptError
from sam2_core.media import object_colour
from sam2_core.model import GIVEN_MASK_LOGIT
from sam2_core.prompts import Prompt
from sam2_core.results import FrameResult, Masklet, ObjectMask
from sam2_core.rle import Rle
from sam2_core.session.commands import (
    AddObject,
    Choose,
    ClearFrame,
    Edit,
    EditObject,
    ImportMasks,
    LockFrame,
    PromptCommand,
    PromptKind,
    RemoveObject,
    RemovePrompt,
    Track,
)
from sam2_core.session.prompt_edits import reprompted
from sam2_core.tracking.fronts import Front, Fronts, Stretch, passed, said, said_after

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Change:
    """What a command did to the masks of one frame.

    Attributes:
        frame_index: the frame.
        masks: by object id; ``None`` where there is no mask any more.
        step: the direction of the sweep (1 or -1) that made them; 0 for answers to prompts.
        ended: objects whose sweep need not go on.
    """

    frame_index: int
    masks: Mapping[int, ObjectMask | None]
    step: int = 0
    ended: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ObjectState:
    """One object.

    Attributes:
        object_id: for ever.
        name: what people call it.
        colour: as ``#rrggbb``.
        hidden: it is not drawn.
        locked: neither prompts nor tracking change it.
        prompts: by frame.
        masklet: the latest mask by frame, for those that have one.
        locked_frames: whose mask is never changed.
        fronts: where tracking has something to do.
        imported: masks that were made elsewhere, by frame.
    """

    object_id: int
    name: str
    colour: str
    hidden: bool = False
    locked: bool = False
    prompts: Mapping[int, Prompt] = field(default_factory=dict)
    masklet: Mapping[int, ObjectMask] = field(default_factory=dict)
    locked_frames: frozenset[int] = frozenset()
    fronts: Fronts = ()
    imported: Mapping[int, Rle] = field(default_factory=dict)

    @classmethod
    def new(cls, object_id: int) -> ObjectState:
        """An object about which nothing is said yet."""
        red, green, blue = object_colour(object_id)
        return cls(object_id, f"Object {object_id}", f"#{red:02x}{green:02x}{blue:02x}")

    @property
    def outdated(self) -> frozenset[int]:
        """Frames whose masks are older than what was said about it: those that its fronts have yet to reach."""
        frames: set[int] = set()
        for step in (1, -1):
            ahead: set[int] = set()
            for front in self.fronts:
                frame = front.frame
                while front.step == step and frame in self.masklet and frame not in ahead:
                    ahead.add(frame)
                    frame += step
            frames |= ahead
        return frozenset(frames - self.prompts.keys() - self.locked_frames)


@dataclass(frozen=True, slots=True)
class Document:
    """All objects of a clip.

    Attributes:
        frame_count: of the clip.
        objects: by id, in the order in which they were added.
        last_object_id: the highest that was ever given.
    """

    frame_count: int
    objects: Mapping[int, ObjectState] = field(default_factory=dict)
    last_object_id: int = 0

    @property
    def prompt_count(self) -> int:
        """Pairs of an object and a frame about which something is said."""
        return sum(len(state.prompts) for state in self.objects.values())

    def result(self, frame_index: int) -> FrameResult:
        """Every object's mask on a frame, for those that have one."""
        masks = (state.masklet.get(frame_index) for state in self.objects.values())
        return FrameResult(frame_index, tuple(mask for mask in masks if mask is not None))

    def results(self) -> list[FrameResult]:
        """Every frame's masks."""
        return [self.result(frame_index) for frame_index in range(self.frame_count)]

    def masklets(self) -> dict[int, Masklet]:
        """All masks, by object and frame."""
        return {state.object_id: dict(state.masklet) for state in self.objects.values()}

    def prompts(self, frame_index: int) -> dict[int, Prompt]:
        """What was said on a frame, by object."""
        states = self.objects.values()
        return {state.object_id: state.prompts[frame_index] for state in states if frame_index in state.prompts}

    def frames_unlike(self, other: Document) -> set[int]:
        """Frames on which any mask is another one."""
        frames: set[int] = set()
        for object_id in self.objects.keys() | other.objects.keys():
            mine, theirs = self.objects.get(object_id), other.objects.get(object_id)
            if mine is not theirs:
                ours, others = mine.masklet if mine else {}, theirs.masklet if theirs else {}
                frames |= {f for f in ours.keys() | others.keys() if ours.get(f) is not others.get(f)}
        return frames

    @property
    def next_object_id(self) -> int:
        """The lowest id that was never given."""
        return self.last_object_id + 1

    def check(self, object_id: int, frame_index: int) -> None:
        """Whether there are such an object and such a frame.

        Raises:
            PromptError: there are not.
        """
        self._existing(object_id)
        self._check_frame(frame_index)

    def after(self, command: Edit) -> Document:
        """The state after a command, but for the masks that answer it (see :meth:`changed`).

        Raises:
            PromptError: the command does not fit the state; the message says why.
        """
        match command:
            case AddObject():
                return self._added(command.object_id)
            case RemoveObject():
                self._existing(command.object_id)
                rest = {key: state for key, state in self.objects.items() if key != command.object_id}
                return replace(self, objects=rest)
            case EditObject():
                state = self._existing(command.object_id)
                wanted = {name: getattr(command, name) for name in ("name", "colour", "hidden", "locked")}
                return self._with(replace(state, **{name: v for name, v in wanted.items() if v is not None}))
            case ImportMasks():
                return self._imported(command)
            case LockFrame():
                return self._with(_frame_locked(self._existing(command.object_id), command))
            case _:
                return self._prompted(command)

    def tracking(self, command: Track) -> tuple[Document, Stretch, tuple[int, ...]]:
        """The state when tracking begins, where it goes, and with which objects.

        Raises:
            PromptError: there is nothing to do.
        """
        chosen = self.objects if command.objects is None else {key: self._existing(key) for key in command.objects}
        ready = {key: state for key, state in chosen.items() if state.prompts and not state.locked}
        if not ready:
            raise PromptError("there is nothing to track yet; click an object, draw a box or give a mask first.")
        if command.first is not None:
            self._check_frame(command.first)
        last = self.frame_count - 1 if command.last is None else min(command.last, self.frame_count - 1)
        stretch = Stretch(command.direction.steps, command.first or 0, last)
        entered = {key: replace(state, fronts=stretch.enter(state.fronts)) for key, state in ready.items()}
        if stretch.next_visit({key: state.fronts for key, state in entered.items()}) is None:
            raise PromptError("nothing has changed since these frames were tracked; correct a mask, then track again.")
        return replace(self, objects={**self.objects, **entered}), stretch, tuple(entered)

    def changed(self, changes: Iterable[Change]) -> Document:
        """The state with new masks."""
        masklets: dict[int, dict[int, ObjectMask]] = {}
        fronts: dict[int, Fronts] = {}
        for change in changes:
            for object_id, mask in change.masks.items():
                if object_id not in self.objects:
                    continue
                masklet = masklets.setdefault(object_id, dict(self.objects[object_id].masklet))
                if mask is None:
                    masklet.pop(change.frame_index, None)
                else:
                    masklet[change.frame_index] = mask
            for object_id in (change.masks.keys() | change.ended) & self.objects.keys() if change.step else ():
                before = fronts.get(object_id, self.objects[object_id].fronts)
                ended = object_id in change.ended
                fronts[object_id] = passed(before, change.frame_index, change.step, ended=ended)
        objects = dict(self.objects)
        for object_id, masklet in masklets.items():
            objects[object_id] = replace(objects[object_id], masklet=masklet)
        for object_id, own in fronts.items():
            objects[object_id] = replace(objects[object_id], fronts=own)
        return replace(self, objects=objects)

    def _existing(self, object_id: int) -> ObjectState:
        state = self.objects.get(object_id)
        if state is None:
            raise PromptError(f"there is no object {object_id}; there are {sorted(self.objects) or 'none yet'}.")
        return state

    def _added(self, object_id: int) -> Document:
        if object_id <= self.last_object_id:
            found = "already is an" if object_id in self.objects else "is no"
            raise PromptError(
                f"there {found} object {object_id}, and new ones are numbered upward; the next one is "
                f"{self.next_object_id}."
            )
        return replace(self._with(ObjectState.new(object_id)), last_object_id=object_id)

    def _imported(self, command: ImportMasks) -> Document:
        masks: dict[int, dict[int, Rle]] = {}
        for each in command.masks:
            self._check_frame(each.frame_index)
            masks.setdefault(each.object_id, {})[each.frame_index] = each.mask
        document = self
        for object_id, own in sorted(masks.items()):
            document = document._added(object_id)
            document = document._with(_given(document.objects[object_id], own))
        return document

    def _check_frame(self, frame: int) -> None:
        if not 0 <= frame < self.frame_count:
            raise PromptError(f"the video has frames 0 to {self.frame_count - 1}; got frame {frame}.")

    def _with(self, state: ObjectState) -> Document:
        return replace(self, objects={**self.objects, state.object_id: state})

    def _prompted(self, command: PromptCommand) -> Document:
        object_id, frame = command.object_id, command.frame_index
        self._check_frame(frame)
        known = object_id in self.objects
        if not known and isinstance(command, (Choose, RemovePrompt, ClearFrame)):
            self._existing(object_id)
        here = self if known else self._added(object_id)  # whoever clicks for an object that is new means to add it
        state = here.objects[object_id]
        if state.locked:
            raise PromptError(f"{state.name} is locked; unlock it first.")
        if frame in state.locked_frames:
            raise PromptError(f"{state.name} is locked on frame {frame}; unlock the frame first.")
        prompt = reprompted(state.prompts.get(frame), command)
        if prompt is None:
            return here._with(_cleared(state, frame))
        imported = state.imported
        if isinstance(command, RemovePrompt) and command.kind is PromptKind.MASK:
            imported = _without(imported, frame)
        prompts = {**_without(state.prompts, frame), frame: prompt}
        return here._with(replace(state, prompts=prompts, fronts=said(state.fronts, frame), imported=imported))


def _cleared(state: ObjectState, frame: int) -> ObjectState:
    """Nothing is said on a frame any more.

    Imported masks stay: where the first of a stretch is taken back, the next one counts as given in its place. An
    object that rests on nothing else keeps those that are still shown, as if they had just been imported.
    """
    prompts, imported = _without(state.prompts, frame), state.imported
    if _first_imported(state, frame):
        imported = _without(imported, frame)
        if _shows(state, frame + 1) and frame + 1 not in prompts:
            prompts[frame + 1] = Prompt(mask=imported[frame + 1])
            return replace(state, prompts=prompts, imported=imported, fronts=said_after(state.fronts, frame))
    if prompts:
        return replace(state, prompts=prompts, imported=imported, fronts=said(state.fronts, frame))
    if state.locked_frames:
        raise PromptError(f"{state.name} has locked frames, which rest on this prompt; unlock them first.")
    return _given(state, {f: mask for f, mask in imported.items() if _shows(state, f)})


def _first_imported(state: ObjectState, frame: int) -> bool:
    """Whether the frame is the first of a stretch of imported masks, which counts as given by a person."""
    return frame in state.imported and frame - 1 not in state.imported


def _shows(state: ObjectState, frame: int) -> bool:
    """Whether the frame has its imported mask, and no other."""
    shown = state.masklet.get(frame)
    return shown is not None and shown.mask == state.imported.get(frame)


def _frame_locked(state: ObjectState, command: LockFrame) -> ObjectState:
    frame = command.frame_index
    if not command.locked:
        return replace(state, locked_frames=state.locked_frames - {frame})
    if frame not in state.masklet:
        raise PromptError(f"{state.name} has no mask on frame {frame} that could be locked.")
    return replace(state, locked_frames=state.locked_frames | {frame})


def _given(state: ObjectState, masks: Mapping[int, Rle]) -> ObjectState:
    """An object that has these masks alone, as if tracked forward from the first frame of each stretch."""
    firsts = [frame for frame in sorted(masks) if frame - 1 not in masks]
    lasts = [frame for frame in sorted(masks) if frame + 1 not in masks]
    onward = (Front(last + 1, 1, first) for first, last in zip(firsts, lasts, strict=True))
    backward = (Front(first - 1, -1, first - 1) for first in firsts)
    return replace(
        state,
        prompts={frame: Prompt(mask=masks[frame]) for frame in firsts},
        masklet={frame: ObjectMask(state.object_id, mask, 1.0, GIVEN_MASK_LOGIT) for frame, mask in masks.items()},
        fronts=(*onward, *backward),
        imported=masks,
    )


def _without(by_frame: Mapping[int, _Value], frame: int) -> dict[int, _Value]:
    return {key: value for key, value in by_frame.items() if key != frame}
