"""Seconds a frame, this project and its rivals in one run: ``python -m benchmarks.speed [--help]``.

All track the same clip in step, one frame each in turn, so that whatever else the machine does slows them alike; read
the ratios. Frames count once the memory bank is full.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from benchmarks.rivals import PARTS, Rival, boxes_side_by_side, rivals, ruled_clip, ruled_weights
from sam2_core.config import MEMORY_FRAMES, PRESETS

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass
class Stopwatch:
    """Time spent inside some modules, by name."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _started: float = 0.0

    def watch(self, name: str, module: nn.Module) -> None:
        """Count this module's forwards under ``name``."""
        module.register_forward_pre_hook(lambda *_: self._start())
        module.register_forward_hook(lambda *_: self._stop(name))

    def _start(self) -> None:
        self._started = time.perf_counter()

    def _stop(self, name: str) -> None:
        self.seconds[name] += time.perf_counter() - self._started


@dataclass
class Lap:
    """What one rival took, and what it found.

    Attributes:
        rival: who.
        parts: time by part of the model, over all frames that count.
        frames: seconds of every frame that counts.
        logits: of the last frame.
    """

    rival: Rival
    parts: Stopwatch = field(default_factory=Stopwatch)
    frames: list[float] = field(default_factory=list)
    logits: torch.Tensor = field(default_factory=lambda: torch.zeros(0))

    def __post_init__(self) -> None:
        for name, module in zip(PARTS, self.rival.parts, strict=True):
            self.parts.watch(name, module)

    @property
    def seconds(self) -> float:
        """Of the median frame."""
        return statistics.median(self.frames)

    def shares(self) -> str:
        """Parts of the model in percent of all time."""
        total = sum(self.frames)
        return ", ".join(f"{name} {self.parts.seconds[name] / total:.0%}" for name in PARTS)


@torch.inference_mode()
def race(field_of: list[Rival], clip: Path, objects: int, skipped: int) -> list[Lap]:
    """Track the clip with all of them, in step; the first ``skipped`` frames do not count."""
    laps = [Lap(rival) for rival in field_of]
    tracks = [rival.track(clip, boxes_side_by_side(objects)) for rival in field_of]
    for index in range(len(list(clip.iterdir()))):
        for lap, track in zip(laps, tracks, strict=True):
            if index == skipped:
                lap.parts.seconds.clear()
            start = time.perf_counter()
            lap.logits = next(track)
            if index >= skipped:
                lap.frames.append(time.perf_counter() - start)
    return laps


def report(laps: list[Lap]) -> None:
    """One line for each: seconds, ratio to ours, share of every part, and how far its masks are from ours."""
    ours = laps[0]
    for lap in laps:
        away = float((lap.logits.float() - ours.logits.float()).abs().max())
        ratio = lap.seconds / ours.seconds
        print(f"  {lap.rival.name:13}{lap.seconds:7.3f} s a frame  x {ratio:4.2f}  {lap.shares()};", end=" ")
        print(f"logits differ by {away:.1e}" if lap is not ours else "the measure", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=PRESETS, default="sam2.1-hiera-tiny")
    parser.add_argument("--size", type=int, help="image size; the model's own by default")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--precision", choices=PRECISIONS, nargs="+", default=list(PRECISIONS))
    parser.add_argument("--frames", type=int, default=MEMORY_FRAMES + 4, help="of the clip; the first 8 do not count")
    args = parser.parse_args()
    config = PRESETS[args.model]
    config = config.at_size(args.size) if args.size else config
    weights = ruled_weights(config)
    with ruled_clip(config.image_size, args.frames) as clip:
        for precision in args.precision:
            for objects in args.objects:
                print(f"{config.name} at {config.image_size}, {precision}, {objects} objects, ", end="")
                print(f"{torch.get_num_threads()} threads", flush=True)
                field_of = [rival(weights, PRECISIONS[precision]) for rival in rivals(config)]
                report(race(field_of, clip, objects, MEMORY_FRAMES + 1))


if __name__ == "__main__":
    main()
