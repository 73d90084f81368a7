"""Every script of examples/ runs, says what it promises and draws its picture."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from sam2_core.weights import available_models

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("[0-9]*.py"))
LINES = {
    "01_track_a_clip": r"(frame \d+: \d+ pixels, IoU \d\.\d\d, (visible|hidden)\n){5}",
    "02_correct_and_retrack": r".*\nframe 45, after tracking again: IoU 1\.00 with the correction\nframe 46, .*\n",
    "03_segment_a_picture": r"(candidate [012]: \d+ pixels, predicted IoU \d\.\d\d\n){3}chosen: candidate [012], .*\n",
    "06_masks_to_measurements": r"(frame [ \d]\d: [ \d]{5} pixels, object score [ \d.-]{5} #*\n){14}least sure .*\n",
    "07_evaluate_against_ground_truth": r"(.* on the first frame: J 0\.\d{3}, F 0\.\d{3}, J&F 0\.\d{3}\n){2}",
}
SIZES = {  # frames beside and above one another
    "01_track_a_clip": (3 * 854, 480),
    "02_correct_and_retrack": (2 * 854, 2 * 480),
    "03_segment_a_picture": (4 * 600, 400),
    "06_masks_to_measurements": (4 * 320, 180),
    "07_evaluate_against_ground_truth": (4 * 320, 180),
}


def test_every_script_is_in_the_table() -> None:
    table = (EXAMPLES / "README.md").read_text()
    names = [path.stem for path in SCRIPTS]
    assert re.findall(r"^\| \[(\w+)\.py\]\(\1\.py\)", table, re.MULTILINE) == names == sorted(LINES) == sorted(SIZES)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script(script: Path, tmp_path: Path) -> None:
    if not available_models()[0].on_disk:
        pytest.skip("the pocket checkpoint is not in this checkout (sam2_core/checkpoints/pocket.safetensors)")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    picture = Path("out") / f"{script.stem}.png"
    assert re.fullmatch(LINES[script.stem] + re.escape(f"{picture}: ") + r".*\n", done.stdout)
    with Image.open(tmp_path / picture) as image:
        assert image.size == SIZES[script.stem]
