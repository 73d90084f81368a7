"""Masks against ground truth, by the measures of the field: region similarity J and boundary accuracy F."""

from pathlib import Path

import numpy as np
from ball import START, ball_clip
from PIL import Image

from sam2_core.evaluation.metrics import curve
from sam2_core.media import overlay, video_from_array
from sam2_core.prompts import Point, Prompt
from sam2_core.rle import Rle
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker
from sam2_core.weights import load_model

OUT = Path("out")
BALL, TRUTH = 1, 2
DRAWN = (0, 13, 26, 39)

OUT.mkdir(exist_ok=True)
frames, shown = ball_clip()
truth = {index: Rle.encode(mask) for index, mask in enumerate(shown)}
with video_from_array(frames, name="ball") as video:
    model = load_model("pocket")
    prompts = {
        "one click": Prompt(points=(Point.at_pixel(*START, video.width, video.height),)),
        "the true mask": Prompt(mask=truth[0]),
    }
    for name, prompt in prompts.items():
        tracker = Tracker(model, video)
        tracker.prompt(BALL, 0, prompt)
        for _ in tracker.propagate(Direction.FORWARD):
            pass
        masks = {index: tracker.result(index)[BALL].mask for index in range(len(video))}
        found = curve(truth, masks)
        assert found is not None
        print(f"{name} on the first frame: J {found.mean_j:.3f}, F {found.mean_f:.3f}, J&F {found.j_and_f:.3f}")

pictures = [overlay(frames[index], {BALL: masks[index], TRUTH: truth[index]}, opacity=0) for index in DRAWN]
Image.fromarray(np.hstack(pictures)).save(OUT / "07_evaluate_against_ground_truth.png")
print(f"{OUT / '07_evaluate_against_ground_truth.png'}: frames {', '.join(map(str, DRAWN))}, masks and truth")
