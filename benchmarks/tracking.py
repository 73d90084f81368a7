"""Frames a second from file to masks, by number of objects: ``python -m benchmarks.tracking [MODEL]``."""

import resource
import sys
import time
from pathlib import Path

import torch

from sam2_core.device import choose_device, choose_precision
from sam2_core.media import open_video
from sam2_core.model import SAM2
from sam2_core.prompts import Box, Prompt
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker
from sam2_core.weights import load_model

CLIP = Path(__file__).parents[1] / "examples" / "clips" / "big-buck-bunny.mp4"
OBJECT_COUNTS = (1, 2, 4, 8)


def frames_per_second(model: SAM2, objects: int) -> float:
    """Tracks boxes that stand side by side, from the first frame to the last."""
    with open_video(CLIP) as video:
        tracker = Tracker(model, video)
        for number in range(objects):
            box = Box(number / objects, 0.2, (number + 1) / objects, 0.8)
            tracker.prompt(number + 1, 0, Prompt(box=box))
        start = time.perf_counter()
        frames = sum(1 for _ in tracker.propagate(Direction.FORWARD))
        return frames / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    device = choose_device()
    precision = choose_precision("auto", device)
    model = load_model(sys.argv[1] if len(sys.argv) > 1 else "pocket").to_precision(precision).to(device)
    print(
        f"{model.config.name} at {model.config.image_size} on {device}, {precision}, {torch.get_num_threads()} threads"
    )
    for objects in OBJECT_COUNTS:
        print(f"{objects} objects: {frames_per_second(model, objects):.1f} frames a second")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
