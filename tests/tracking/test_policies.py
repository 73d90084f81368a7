"""Which memories are attended: by table, and against the released code's own trace of 179 steps."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from sam2_core.prompts import Prompt
from sam2_core.results import FrameResult
from sam2_core.tracking.object_track import ObjectTrack
from sam2_core.tracking.policies import Attended, MemoryPolicy, PaperPolicy
from tests.parity import test_video as sessions
from tests.parity.golden import FOLDER
from tests.tracking.toys import toy_model

PAPER = PaperPolicy()
LIMITED = PaperPolicy(limit=2, stride=2)

TABLE = {
    "first frames of a pass": (
        PAPER, 5, 1, [0], [1, 2, 3, 4],
        [(0, 6), (1, 3), (2, 2), (3, 1), (4, 0)],
        [(0, 5), (4, 1), (3, 2), (2, 3), (1, 4)],
    ),
    "a full bank": (
        PAPER, 20, 1, [0], range(1, 20),
        [(0, 6), (14, 5), (15, 4), (16, 3), (17, 2), (18, 1), (19, 0)],
        [(0, 20), *((20 - d, d) for d in range(1, 16))],
    ),
    "conditioned by the future: a map, no pointer": (PAPER, 0, 1, [1], [], [(1, 6)], []),
    "backward, after a forward pass": (
        PAPER, 5, -1, [0], range(1, 24),
        [(0, 6), (11, 5), (10, 4), (9, 3), (8, 2), (7, 1), (6, 0)],
        [(5 + d, d) for d in range(1, 16)],
    ),
    "three conditioning frames": (
        PAPER, 5, 1, [0, 3, 8], [1, 2, 4],
        [(0, 6), (3, 6), (8, 6), (1, 3), (2, 2), (4, 0)],
        [(0, 5), (3, 2), (4, 1), (2, 3), (1, 4)],
    ),
    "limited and strided": (
        LIMITED, 12, 1, [0, 4, 7, 9], [1, 2, 3, 5, 6, 8, 10, 11],
        [(9, 6), (7, 6), (2, 5), (4, 4), (6, 3), (8, 2), (10, 1), (11, 0)],
        [(9, 3), (7, 5), (11, 1), (10, 2), (8, 4), (6, 6), (5, 7), (4, 8), (3, 9), (2, 10), (1, 11), (0, 12)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_table(case: str) -> None:
    policy, frame, step, conditioning, tracked, maps, pointers = TABLE[case]
    assert policy(frame, step, conditioning, set(tracked), 24) == Attended(tuple(maps), tuple(pointers))


def test_limit_prefers_both_neighbours() -> None:
    policy = PaperPolicy(limit=3)
    attended = policy(50, 1, [0, 10, 48, 60, 90], set(), 100)
    assert [frame for frame, _ in attended.maps] == [48, 60, 10]


def test_pointers_of_a_short_video_stop_at_its_length() -> None:
    attended = PAPER(5, 1, [0], {1, 2, 3, 4}, 4)
    assert attended.pointers == ((0, 5), (4, 1), (3, 2), (2, 3))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_nothing_beyond_reach_is_selected(stride: int) -> None:
    policy = PaperPolicy(limit=2, stride=stride)
    for step in (1, -1):
        attended = policy(100, step, [100 - 90 * step], set(range(200)), 200)
        frames = [frame for frame, _ in (*attended.maps[1:], *attended.pointers[1:])]
        assert max(abs(frame - 100) for frame in frames) <= policy.reach


class TracingTracker(sessions.RecordingTracker):
    """Notes what every step attended to."""

    trace: dict[tuple[int, int], Attended]
    sources: dict[tuple[int, int], dict[int, str]]

    def prompt(self, object_id: int, frame_index: int, prompt: Prompt) -> FrameResult:
        released, track = self.behaviour, self.tracks.get(object_id)

        def noting(*args: Any) -> Attended:
            attended = released.policy(*args)
            assert track is not None
            self._note(track, frame_index, attended)
            return attended

        self.behaviour = replace(released, policy=cast(MemoryPolicy, noting))
        result = super().prompt(object_id, frame_index, prompt)
        self.behaviour = released
        return result

    def _attended(self, track: ObjectTrack, frame_index: int, step: int) -> Attended:
        attended = super()._attended(track, frame_index, step)
        self._note(track, frame_index, attended)
        return attended

    def _note(self, track: ObjectTrack, frame_index: int, attended: Attended) -> None:
        self.trace[track.object_id, frame_index] = attended
        self.sources[track.object_id, frame_index] = {
            frame: "cond" if frame in track.bank.conditioning else "non_cond"
            for frame, _ in (*attended.maps, *attended.pointers)
        }


class Trace:
    """Plays a session and compares what is attended instead of what is computed."""

    def __init__(self, tracker: TracingTracker, expected: dict[str, Any]) -> None:
        self.tracker = tracker
        self.expected = {"A8_remove/obj_ids": sessions.np.array([1, 3])}
        self.trace = expected
        self.compared: set[str] = set()

    def prompt(self, step: str, object_id: int, frame_index: int, prompt: Any) -> None:
        self._forget()
        self.tracker.prompt(object_id, frame_index, prompt)
        self._compare(step)

    def propagate(self, step: str, direction: Any, start: int | None = None, limit: int | None = None) -> None:
        self._forget()
        list(self.tracker.propagate(direction, start, limit))
        self._compare(step)

    def _forget(self) -> None:
        self.tracker.trace, self.tracker.sources = {}, {}

    def _compare(self, step: str) -> None:
        for (object_id, frame), attended in self.tracker.trace.items():
            key = f"{step}/obj{object_id}/f{frame:02d}"
            source = self.tracker.sources[object_id, frame]
            expected = self.trace[key]
            assert [[f"{source[f]}:{f}", row] for f, row in attended.maps] == expected["spatial"], key
            pointers = [f"{source[f]}:{f}" for f, _ in attended.pointers]
            assert len(pointers) == len(expected["pointers"]), key
            for found, candidates in zip(pointers, expected["pointers"], strict=True):
                assert found in candidates.split("|"), key
            self.compared.add(key)


def test_the_released_codes_own_trace() -> None:
    expected = json.loads((FOLDER / "memory_trace_sam2.1_hiera_tiny_256.json").read_text())
    compared: set[str] = set()
    for play, behaviour in sessions.SESSIONS.values():
        model = toy_model()
        video: Any = sessions.Blank(sessions.FRAMES, 180, 320)
        trace = Trace(TracingTracker(model, video, behaviour, sessions.RuleFeatures(model)), expected)
        play(trace)  # type: ignore[arg-type]
        compared |= trace.compared
    assert compared == set(expected)
