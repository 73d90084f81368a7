"""What a video costs in memory, this project and its rivals: ``python -m benchmarks.memory [--help]``.

What grows with the video decides how long it may be. Every run has a process of its own; everyone computes in fp32.
Linux only.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.rivals import Rival, Studio, boxes_side_by_side, rivals, ruled_clip, ruled_weights
from sam2_core.config import POINTER_FRAMES, PRESETS, ModelConfig

MEGABYTE = 2**20
SETTLED = POINTER_FRAMES + 1
"""Frame from which on a memory bank that forgets does not grow."""


@dataclass(frozen=True)
class Held:
    """Bytes in tensors, shared ones once, and in the whole process."""

    tensors: int
    process: int

    @classmethod
    def now(cls) -> Held:
        """What is held at present."""
        gc.collect()
        storages = (found.untyped_storage() for found in gc.get_objects() if issubclass(type(found), Tensor))
        tensors = sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(tensors, pages * os.sysconf("SC_PAGE_SIZE"))

    def per_frame(self, earlier: Held, frames: int) -> str:
        """Growth since then, in megabytes for each of so many frames."""
        tensors, process = self.tensors - earlier.tensors, self.process - earlier.process
        return f"{tensors / MEGABYTE / frames:8.3f} {process / MEGABYTE / frames:8.3f}"


@torch.inference_mode()
def measure(kind: type[Rival], config: ModelConfig, clip: Path, objects: int) -> tuple[Held, Held, Held]:
    """Before the clip was opened, once the memory bank is full, and on the clip's last frame."""
    rival = kind(ruled_weights(config), torch.float32)
    frames = len(list(clip.iterdir()))
    for _ in zip(range(SETTLED), rival.track(clip, boxes_side_by_side(objects)), strict=False):
        pass  # work space that libraries keep is there from now on
    before = settled = last = Held.now()
    for index, logits in enumerate(rival.track(clip, boxes_side_by_side(objects))):
        del logits
        if index == SETTLED:
            settled = Held.now()
        if index == frames - 1:
            last = Held.now()
    return before, settled, last


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=PRESETS, default="sam2.1-hiera-tiny")
    parser.add_argument("--size", type=int, help="image size; the model's own by default")
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--frames", type=int, default=60)
    args = parser.parse_args()
    config = PRESETS[args.model]
    config = config.at_size(args.size) if args.size else config
    print(f"{config.name} at {config.image_size}, {args.objects} objects, {args.frames} frames; MB for each frame")
    print(f"{'':14}{'whole clip:':>11} tensors  process   while tracking: tensors  process")
    spawn = multiprocessing.get_context("spawn")
    with ruled_clip(config.image_size, args.frames) as clip:
        for kind in [Studio, *rivals(config)]:
            with ProcessPoolExecutor(1, spawn) as pool:
                before, settled, last = pool.submit(measure, kind, config, clip, args.objects).result()
            whole = last.per_frame(before, args.frames)
            tracking = last.per_frame(settled, args.frames - 1 - SETTLED)
            print(f"{kind.name:25}{whole}                 {tracking}", flush=True)


if __name__ == "__main__":
    main()
