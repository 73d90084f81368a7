"""One click, one object, every frame: prints how large the mask is and what the model thinks of it."""

from pathlib import Path

from sam2_core.media import open_video
from sam2_core.prompts import Point, Prompt
from sam2_core.tracking.tracker import Tracker
from sam2_core.weights import load_model

CLIP = Path(__file__).parent / "clips" / "big-buck-bunny.mp4"
RABBIT = Point(0.36, 0.6)
FRAME = 80

with open_video(CLIP) as video:
    tracker = Tracker(load_model("pocket"), video)
    tracker.prompt(1, FRAME, Prompt(points=(RABBIT,)))
    for candidate in tracker.candidates(1, FRAME):
        print(f"candidate: {candidate.mask.area} pixels, predicted IoU {candidate.predicted_iou:.2f}")
    for result in tracker.propagate():
        rabbit = result[1]
        seen = "visible" if rabbit.visible else "hidden"
        print(f"frame {result.frame_index}: {rabbit.mask.area} pixels, IoU {rabbit.predicted_iou:.2f}, {seen}")
