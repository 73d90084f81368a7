"""A correction sticks: the corrected frame stays as it is, and tracking again changes the frames around it."""

from pathlib import Path

import numpy as np
from PIL import Image

from sam2_core.media import open_video, overlay
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.rle import Rle
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker
from sam2_core.weights import load_model

CLIP = Path(__file__).parent / "clips" / "big-buck-bunny.mp4"
OUT = Path("out")
START, CORRECTED, NEXT = 38, 45, 46
RABBIT = Point(0.35, 0.6)
STANDING = Prompt(box=Box(0.18, 0.03, 0.53, 0.86))


def iou(a: Rle, b: Rle) -> float:
    """How much two masks agree, from 0 to 1."""
    first, second = a.decode(), b.decode()
    return float((first & second).sum() / max((first | second).sum(), 1))


OUT.mkdir(exist_ok=True)
with open_video(CLIP) as video:
    tracker = Tracker(load_model("pocket"), video)
    tracker.prompt(1, START, Prompt(points=(RABBIT,)))
    for _ in tracker.propagate(Direction.FORWARD, limit=9):
        pass
    before = {index: tracker.result(index)[1].mask for index in (CORRECTED, NEXT)}

    corrected = tracker.prompt(1, CORRECTED, STANDING)[1].mask
    for _ in tracker.propagate(Direction.FORWARD, limit=9):
        pass
    after = {index: tracker.result(index)[1].mask for index in (CORRECTED, NEXT)}

    print(f"frame {CORRECTED}, the correction against what was tracked: IoU {iou(corrected, before[CORRECTED]):.2f}")
    print(f"frame {CORRECTED}, after tracking again: IoU {iou(corrected, after[CORRECTED]):.2f} with the correction")
    print(f"frame {NEXT}, after against before: IoU {iou(after[NEXT], before[NEXT]):.2f}")

    rows = [np.hstack([overlay(video[index], {1: masks[index]}) for masks in (before, after)]) for index in before]
    Image.fromarray(np.vstack(rows)).save(OUT / "02_correct_and_retrack.png")
print(f"{OUT / '02_correct_and_retrack.png'}: frames {CORRECTED} and {NEXT}, before and after")
