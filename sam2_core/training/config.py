"""The recipe, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sam2_core.training.losses import LossWeights


@dataclass(frozen=True, slots=True)
class StageConfig:
    """One stage of training.

    A stage ends after its minutes, not after a number of steps: the machine's time is what is given. Learning rate and
    losses follow the share of that time which has passed.

    Attributes:
        name: as in the log.
        minutes: of training on this machine, however often it was interrupted.
        learning_rate: its peak; it falls to ``learning_rate_floor`` of it along a cosine.
        frames: fewest and most frames of a clip, for equal parts of the stage; none for a stage without clips.
        start, end: loss weights before ``fade[0]`` and after ``fade[1]`` of the stage; between them they are blended.
    """

    name: str
    minutes: float
    learning_rate: float
    start: LossWeights
    end: LossWeights
    fade: tuple[float, float] = (0.2, 0.8)
    learning_rate_floor: float = 0.02
    rise_steps: int = 20
    frames: tuple[tuple[int, int], ...] = ()

    def weights(self, progress: float) -> LossWeights:
        """Loss weights at a share of the stage."""
        low, high = self.fade
        share = min(max((progress - low) / (high - low), 0.0), 1.0)
        names = LossWeights.__dataclass_fields__
        blend = {name: (1 - share) * getattr(self.start, name) + share * getattr(self.end, name) for name in names}
        return LossWeights(**blend)


_BALANCED = LossWeights(focal=0.0, dice=1.0, iou=2.0, presence=0.1, balanced=1.0)
_PLAIN = LossWeights(focal=0.0, dice=1.0, iou=3.0, presence=0.1, cross_entropy=3.0)
_TRACKED = replace(_PLAIN, presence=0.3, balanced=0.2)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides what comes out, apart from the data and the machine's speed."""

    data: Path
    run: Path
    seed: int = 1
    processes: int = 2
    images: int = 4
    """Pictures a step."""
    targets: int = 4
    """Objects of each picture; four cost a quarter more than one."""
    clips: int = 2
    """Clips a step, with two objects each."""
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    average: float = 0.998
    """Decay a step of the averaged weights, which are what is kept in the end."""
    save_seconds: float = 120.0
    warmup: StageConfig = StageConfig("warmup", 4.0, 1e-3, _BALANCED, _BALANCED)
    image: StageConfig = StageConfig("image", 60.0, 8e-4, _BALANCED, _PLAIN)
    video: StageConfig = StageConfig("video", 116.0, 6e-4, _TRACKED, _TRACKED, frames=((4, 4), (5, 6), (6, 10)))

    @property
    def stages(self) -> tuple[StageConfig, ...]:
        """In their order."""
        return self.warmup, self.image, self.video
