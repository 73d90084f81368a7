"""RAM does not grow with the video: what is kept of a tracked frame is its mask as run lengths."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FRAMES, WARM = 600, 100
LIMIT = 0.2 * 2**20

SCRIPT = f"""
import json, pathlib, numpy as np
from sam2_core.tracking import Direction, Tracker
from tests.tracking.toys import ONE_CLICK, OTHER_CLICK, toy_model
from tests.parity.golden_rules import image_u8

class Synthetic:
    height, width, fps, is_image = 480, 854, 24.0, False
    def __len__(self): return {FRAMES}
    def __getitem__(self, index):
        frame = np.roll(image_u8(120, 214, index % 7), index, axis=1)
        return frame.repeat(4, axis=0)[:480].repeat(4, axis=1)[:, :854]

def resident():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096

tracker = Tracker(toy_model(64), Synthetic())
tracker.prompt(1, 0, ONE_CLICK)
tracker.prompt(2, 0, OTHER_CLICK)
for result in tracker.propagate(Direction.FORWARD):
    if result.frame_index == {WARM}:
        warm = resident()
print(json.dumps([warm, resident(), len(tracker.tracks[1].masklet)]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads resident memory from Linux's /proc")
def test_ram_over_600_frames() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    warm, end, frames = json.loads(done.stdout)
    assert frames == FRAMES
    assert (end - warm) / (FRAMES - WARM) < LIMIT
