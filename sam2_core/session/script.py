"""A session as a Python script that does it all again with this package alone.

It computes as the session does: on the same kind of device, in the same number type, with as many threads. Otherwise
sums round differently, a pixel on a mask's border falls to the other side, and what is tracked from there may drift.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from sam2_core.model import SAM2
from sam2_core.session.commands import Command

_SCRIPT = '''"""Made by Masklet Studio: does again what was done in a session, and writes its masks."""

from pathlib import Path

import torch

from sam2_core.formats import ResultsFolder
from sam2_core.media import open_video
from sam2_core.prompts import Box, Point
from sam2_core.rle import Rle
from sam2_core.session import Session
from sam2_core.session.commands import *
from sam2_core.tracking import Direction
from sam2_core.weights import load_model

CLIP = {clip!r}  # where the clip is
MODEL = {model!r}

# With others masks may differ at their borders, and here and there by more. Where there is no GPU, DEVICE is "cpu".
DEVICE = {device!r}
PRECISION = {precision}
torch.set_num_threads({threads})

COMMANDS = [
{commands}
]

model = load_model(MODEL).to(DEVICE).to_precision(PRECISION)
with open_video(CLIP) as video, Session.alone(video, MODEL, model) as session:
    for command in COMMANDS:
        session.do(command)
        session.wait_for_job()
    ResultsFolder(Path("masklets")).write(video, session.document.results(), lambda done, total: None)
'''


def python_script(clip: str, model_name: str, model: SAM2, commands: Iterable[Command]) -> str:
    """The script.

    Args:
        clip: path of the clip, as it is to stand in the script.
        model_name: as :func:`sam2_core.weights.load_model` takes it.
        model: which the session uses.
        commands: those in force.
    """
    lines = "\n".join(f"    {command!r}," for command in commands)
    return _SCRIPT.format(
        clip=clip,
        model=model_name,
        device=model.device.type,
        precision=model.compute_dtype,
        threads=torch.get_num_threads(),
        commands=lines,
    )
