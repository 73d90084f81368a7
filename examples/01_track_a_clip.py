"""One click, one object, every frame: prints what the model thinks of its masks, and draws three of the frames."""

from pathlib import Path

import numpy as np
from PIL import Image

from sam2_core.media import open_video, overlay
from sam2_core.prompts import Point, Prompt
from sam2_core.tracking.tracker import Tracker
from sam2_core.weights import load_model

CLIP = Path(__file__).parent / "clips" / "big-buck-bunny.mp4"
OUT = Path("out")
FRAME = 80
RABBIT = Point(0.36, 0.6)  # fractions of the frame: 0, 0 is its top-left corner
DRAWN = (70, 80, 90)

OUT.mkdir(exist_ok=True)
with open_video(CLIP) as video:
    tracker = Tracker(load_model("pocket"), video)
    tracker.prompt(1, FRAME, Prompt(points=(RABBIT,)))  # object 1 is new: its id is ours to choose
    for result in tracker.propagate(limit=10):  # both ways, 10 frames each; the whole clip without a limit
        rabbit = result[1]
        if result.frame_index % 5 == 0:
            seen = "visible" if rabbit.visible else "hidden"
            print(f"frame {result.frame_index}: {rabbit.mask.area} pixels, IoU {rabbit.predicted_iou:.2f}, {seen}")

    pictures = [overlay(video[index], {1: tracker.result(index)[1].mask}) for index in DRAWN]
    Image.fromarray(np.hstack(pictures)).save(OUT / "01_track_a_clip.png")
print(f"{OUT / '01_track_a_clip.png'}: frames {', '.join(map(str, DRAWN))}")
