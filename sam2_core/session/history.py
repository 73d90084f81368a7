"""Undo and redo: every user action is one step back, tracking included."""

from __future__ import annotations

from typing import TypeAlias

from sam2_core.tracking.memory_bank import MemoryBank
from sam2_core.tracking.object_track import ObjectTrack
from sam2_core.tracking.tracker import Tracker

Snapshot: TypeAlias = dict[int, ObjectTrack]
"""All objects as they were; what they refer to is immutable and shared with the present."""

DEPTH = 20
"""Steps that can be taken back. A step that replaced a whole masklet keeps the old one's run lengths in memory."""


def snapshot(tracker: Tracker) -> Snapshot:
    """All objects as they are now.

    Memories of tracked frames stay behind: they are large, and the next pass makes them anew. Until then a correction
    looks at those of prompted frames only.
    """
    return {object_id: _kept(track) for object_id, track in tracker.tracks.items()}


def _kept(track: ObjectTrack) -> ObjectTrack:
    return ObjectTrack(
        track.object_id,
        interactions=dict(track.interactions),
        unremembered=list(track.unremembered),
        bank=MemoryBank(dict(track.bank.conditioning)),
        masklet=dict(track.masklet),
        logits={frame: logits for frame, logits in track.logits.items() if frame in track.interactions},
        visited=dict(track.visited),
    )


class History:
    """What can be undone and redone."""

    def __init__(self) -> None:
        self._past: list[Snapshot] = []
        self._future: list[Snapshot] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back and nothing was done since."""
        return bool(self._future)

    def record(self, before: Snapshot) -> None:
        """Something is done that was not there ``before``; what had been taken back is gone."""
        self._past = [*self._past, before][-DEPTH:]
        self._future.clear()

    def undo(self, tracker: Tracker) -> None:
        """Take one step back; nothing happens where there is none."""
        self._move(tracker, self._past, self._future)

    def redo(self, tracker: Tracker) -> None:
        """Take one step forward again; nothing happens where there is none."""
        self._move(tracker, self._future, self._past)

    @staticmethod
    def _move(tracker: Tracker, source: list[Snapshot], target: list[Snapshot]) -> None:
        if source:
            target.append(snapshot(tracker))
            tracker.tracks = source.pop()
