"""From masks to measurements: how large an object is over time, and where the model is not sure that it is there."""

from pathlib import Path

import numpy as np
from ball import START, ball_clip
from PIL import Image

from sam2_core.media import overlay, video_from_array
from sam2_core.prompts import Point, Prompt
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker
from sam2_core.weights import load_model

OUT = Path("out")
BALL = 1
DRAWN = (0, 25, 30, 39)

OUT.mkdir(exist_ok=True)
frames, _ = ball_clip()
with video_from_array(frames, name="ball") as video:
    tracker = Tracker(load_model("pocket"), video)
    tracker.prompt(BALL, 0, Prompt(points=(Point.at_pixel(*START, video.width, video.height),)))
    for _ in tracker.propagate(Direction.FORWARD):
        pass
    seen = [tracker.result(index)[BALL] for index in range(len(video))]

largest = max(mask.mask.area for mask in seen)
for index, mask in list(enumerate(seen))[::3]:
    bar = "#" * round(40 * mask.mask.area / largest)
    print(f"frame {index:2d}: {mask.mask.area:5d} pixels, object score {mask.object_score:5.1f} {bar}")
unsure = min(range(len(seen)), key=lambda index: seen[index].object_score)
print(f"least sure that the ball is there: frame {unsure}")

pictures = [overlay(frames[index], {BALL: seen[index].mask}) for index in DRAWN]
Image.fromarray(np.hstack(pictures)).save(OUT / "06_masks_to_measurements.png")
print(f"{OUT / '06_masks_to_measurements.png'}: frames {', '.join(map(str, DRAWN))}")
