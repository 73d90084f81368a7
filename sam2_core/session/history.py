"""Undo and redo: which commands of the log are in force, and a few states kept so that going back takes no time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sam2_core.results import ObjectMask
from sam2_core.session.commands import Command, Redo, Undo, UseModel
from sam2_core.session.document import Document
from sam2_core.tracking.object_track import ObjectTrack
from sam2_core.tracking.shared_cache import SharedCache

START = -1
"""In place of a number, the state before the first step."""
_MASK_BYTES = 250
"""What a mask costs beyond its run lengths, about."""
_ENTRY_BYTES = 100
"""What a place in a dictionary costs, about."""


class Steps:
    """The commands in force, by their numbers in the log.

    Attributes:
        done: in force, in their order.
        undone: taken back, the last one first to come again.
    """

    def __init__(self) -> None:
        self.done: list[int] = []
        self.undone: list[int] = []
        self._floor = 0

    @property
    def last(self) -> int:
        """The last command in force."""
        return self.done[-1] if self.done else START

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return len(self.done) > self._floor

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back and nothing was done since."""
        return bool(self.undone)

    def record(self, number: int, command: Command) -> None:
        """The log has one more command."""
        match command:
            case Undo() if self.can_undo:
                self.undone.append(self.done.pop())
            case Redo() if self.can_redo:
                self.done.append(self.undone.pop())
            case Undo() | Redo():
                pass
            case UseModel():
                self._floor = len(self.done)
                self.undone.clear()
            case _:
                self.done.append(number)
                self.undone.clear()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state and what the model knew of it; all of it is shared with the states around it, as far as it is the same.

    Attributes:
        document: the state.
        tracks: the tracker's, by object id; never changed. Objects may be missing: they are asked again when needed.
    """

    document: Document
    tracks: Mapping[int, ObjectTrack]

    def bytes_beyond(self, later: Snapshot) -> int:
        """Memory that this state holds and a later one does not, about."""
        total = 0
        for object_id, state in self.document.objects.items():
            kept = later.document.objects.get(object_id)
            if state is not kept:
                total += _masks_beyond(state.masklet, kept.masklet if kept else {}) + _ENTRY_BYTES * len(state.masklet)
        for object_id, track in self.tracks.items():
            known = later.tracks.get(object_id)
            if track is not known:
                theirs = set(map(id, known.tensors())) if known else set()
                total += sum(tensor.nbytes for tensor in track.tensors() if id(tensor) not in theirs)
                total += _ENTRY_BYTES * (len(track.masklet) + len(track.visited))
        return total


class Snapshots:
    """The states after the last steps of one session, as far as there is room; all can always be had from the log.

    Args:
        cache: shared with other sessions.
    """

    def __init__(self, cache: SharedCache[Snapshot]) -> None:
        self._cache = cache
        self._owner = object()
        self._numbers: list[int] = []

    def __len__(self) -> int:
        return len(self._cache.sizes(self._owner))

    def forget(self) -> None:
        """Make room for others."""
        self._cache.drop_all(self._owner)

    def get(self, number: int) -> Snapshot | None:
        """The state after a command, if it is still here."""
        return self._cache.get(self._owner, number)

    def keep(self, number: int, latest: Snapshot, in_force: Iterable[int]) -> None:
        """Keep the state after a command; those that can no longer be reached are dropped.

        The latest takes nothing, for it is in use anyway; an earlier one takes what the one after it does not have.
        """
        reachable = {*in_force, START} - {number}
        for gone in [key for key in self._numbers if key not in reachable]:
            self._cache.drop(self._owner, gone)
        self._numbers = [key for key in self._numbers if key in reachable]
        before = self._cache.get(self._owner, self._numbers[-1]) if self._numbers else None
        if before is not None:
            self._cache.keep(self._owner, self._numbers[-1], before, before.bytes_beyond(latest))
        self._cache.keep(self._owner, number, latest, 0)
        self._numbers.append(number)


def _masks_beyond(mine: Mapping[int, ObjectMask], theirs: Mapping[int, ObjectMask]) -> int:
    return sum(len(mask.mask.data) + _MASK_BYTES for frame, mask in mine.items() if theirs.get(frame) is not mask)
