"""A picture is a video of one frame: one ambiguous click, three candidates, a choice, and a second object in a box."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from sam2_core.media import open_video, overlay
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.tracking.tracker import Tracker
from sam2_core.weights import load_model

PICTURE = Path(__file__).parent / "images" / "coffee.jpg"
OUT = Path("out")
CUP, SPOON = 1, 2
CLICK = Prompt(points=(Point(0.48, 0.37),))

OUT.mkdir(exist_ok=True)
with open_video(PICTURE) as picture:
    tracker = Tracker(load_model("pocket"), picture)
    tracker.prompt(CUP, 0, CLICK)
    candidates = tracker.candidates(CUP, 0)
    for number, candidate in enumerate(candidates):
        print(f"candidate {number}: {candidate.mask.area} pixels, predicted IoU {candidate.predicted_iou:.2f}")

    largest = max(range(len(candidates)), key=lambda number: candidates[number].mask.area)
    tracker.prompt(CUP, 0, replace(CLICK, candidate=largest))
    result = tracker.prompt(SPOON, 0, Prompt(box=Box(0.54, 0.16, 0.71, 0.82)))
    print(f"chosen: candidate {largest}, {result[CUP].mask.area} pixels; spoon: {result[SPOON].mask.area} pixels")

    masks = [{CUP: candidate.mask} for candidate in candidates] + [
        {found.object_id: found.mask for found in result.objects}
    ]
    Image.fromarray(np.hstack([overlay(picture[0], shown) for shown in masks])).save(OUT / "03_segment_a_picture.png")
print(f"{OUT / '03_segment_a_picture.png'}: the three candidates, and both objects")
