"""What happens in one step, decided before anything is computed, and the same on every process.

Everything random in a run comes from the seed, the stage, the step and, for what one clip shows and how it is clicked,
the number of the clip in the step. So a run that was interrupted goes on as if it had not been, and what comes out does
not depend on how many processes share the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from sam2_core.training.recipe import Prompting, Show, Stage, VideoBatches


class Stream(IntEnum):
    """Independent sources of chance of one step."""

    PLAN = 0
    MEMORY = 1
    CLIP = 2
    PERSON = 3
    NOISE = 4


@dataclass(frozen=True, slots=True)
class Chance:
    """Where the random numbers of a step come from."""

    seed: int
    stage: int
    step: int

    def stream(self, stream: Stream, number: int = 0) -> np.random.Generator:
        """A fresh generator; the same whenever it is asked for."""
        return np.random.default_rng((self.seed, self.stage, self.step, int(stream), number))


@dataclass(frozen=True, slots=True)
class Plan:
    """The course of one step with clips; a picture is a clip of one frame.

    Attributes:
        frames: of each clip.
        masked: the prompted frames start from true masks, not from clicks or boxes.
        prompted: frames with a prompt at the start; the first is 0.
        learned: frames that are learned from.
        corrections: clicks on each frame that is corrected; the others are not in here.
        since: frames by which the first one pretends to lie further back; 0 for a clip that is taken as it is.
        long: the clip counts as a part of a long video.
    """

    frames: int
    masked: bool
    prompted: tuple[int, ...]
    learned: frozenset[int]
    corrections: Mapping[int, int]
    since: int = 0
    long: bool = False

    @property
    def tracked(self) -> tuple[int, ...]:
        """The frames that are not prompted, in the order of time."""
        return tuple(frame for frame in range(self.frames) if frame not in self.prompted)


def shown(stage: Stage, step: int) -> Show:
    """What a step shows."""
    return stage.show[step % len(stage.show)]


def draw_picture_plan(rng: np.random.Generator, person: Prompting) -> Plan:
    """One frame, prompted by a click or a box and then corrected."""
    return Plan(1, False, (0,), frozenset({0}), {0: _clicks(rng, person)})


def draw_clip_plan(rng: np.random.Generator, video: VideoBatches) -> Plan:
    """Several frames, of which one or more are prompted, and at times another one is corrected once it was tracked."""
    person = video.prompts
    trained, rollout = video.frames.draw(rng), video.rollout.draw(rng)
    frames = trained + rollout
    masked = bool(rng.random() < person.mask)
    count = min(person.frames.draw(rng), frames - 1)
    others = 1 + rng.choice(frames - 1, count - 1, replace=False)
    prompted = (0, *sorted(int(frame) for frame in others))
    late = range(rollout + 1, frames)
    corrections = {} if masked else {frame: _clicks(rng, person) for frame in prompted}
    chance = person.later_after_mask if masked else person.later
    free = [frame for frame in late if frame not in prompted]
    if free and (masked or count == 1) and rng.random() < chance:
        corrections[int(rng.choice(free))] = _clicks(rng, person)
    pretends = video.pretend > 0 and rng.random() < 0.5
    since = int(rng.integers(video.pretend)) if pretends else 0
    learned = frozenset({*prompted, *late})
    return Plan(frames, masked, prompted, learned, corrections, since, video.pretend > 0)


def _clicks(rng: np.random.Generator, person: Prompting) -> int:
    return 1 + int(rng.choice(len(person.clicks), p=np.array(person.clicks) / sum(person.clicks)))
