"""Small pieces of HTML, made of numbers, pictures and the project's own words; what came from a visitor stays out."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path

from app.background import Progress
from sam2_core.config import POCKET, PRESETS
from sam2_core.media import object_colour, open_video
from sam2_core.media.source import RgbFrame
from sam2_core.results import ObjectMask
from widgets.pictures import candidate_thumbnails, data_url, thumbnail

UPLOADS = "A video or a picture: mp4, mov, webm, gif, jpg … Deleted within the hour after you leave."
"""Beside the upload button."""

STEPS = """
<ol class="steps">
<li><b>Click an object</b> in any frame. The model proposes three masks; choose the one you meant.</li>
<li><b>Track</b> it through the clip, both ways. The ribbon shows where the model was unsure.</li>
<li><b>Correct</b> a frame with another click and track again: what you corrected stays.</li>
<li><b>Download</b> the masks, their scores and a video of them.</li>
</ol>
"""
HELP = """
<dl class="help">
<dt>Click</dt><dd>this belongs to the object</dd>
<dt>Right click</dt><dd>this does not; so does a click with shift</dd>
<dt>Drag</dt><dd>a box around it</dd>
<dt>← →</dt><dd>one frame; with shift, ten</dd>
<dt>1 2 3</dt><dd>choose one of the three masks</dd>
<dt>N</dt><dd>new object</dd>
<dt>M</dt><dd>what a click says: this, not this</dd>
<dt>Z Y</dt><dd>undo, redo; tracking, too</dd>
<dt>T Esc</dt><dd>track, cancel</dd>
<dt>P</dt><dd>play, stop</dd>
</dl>
"""


def banner(model_name: str) -> str:
    """What the model in use is, and what it is not."""
    config = PRESETS[model_name]
    if model_name != POCKET.name:
        return (
            f'<p class="banner">Using <b>{model_name}</b> by Meta, at {config.image_size} pixels. '
            "Without a GPU it takes seconds for each frame.</p>"
        )
    return (
        '<p class="banner pocket">Using <b>pocket</b>, a small model of our own and <b>not SAM 2.1</b>: quick, with '
        "rough borders, in need of corrections. For the real one choose an official model.</p>"
    )


def example_cards(clips: Sequence[Path]) -> str:
    """A button for each example clip, picked by its place in the sequence."""
    cards = []
    for place, clip in enumerate(clips):
        with open_video(clip) as video:
            picture, frames = data_url(thumbnail(video[len(video) // 2])), len(video)
            length = "picture" if video.is_image else f"{frames} frames, {frames / video.fps:.0f} s"
        name = html.escape(clip.stem.replace("-", " ").capitalize())
        cards.append(
            f'<button class="card" data-pick="{place}"><img src="{picture}" alt="">'
            f"<span>{name}</span><small>{length}</small></button>"
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def object_list(object_ids: Sequence[int], current: int, masks: Sequence[ObjectMask]) -> str:
    """A row for each object with what the model says about it on this frame; the current one is marked."""
    found = {mask.object_id: mask for mask in masks}
    rows = []
    for object_id in object_ids:
        red, green, blue = object_colour(object_id)
        chosen = "true" if object_id == current else "false"
        rows.append(
            f'<div class="object" style="--object:rgb({red},{green},{blue})">'
            f'<button data-pick="{object_id}" aria-pressed="{chosen}"><i></i><b>Object {object_id}</b>'
            f"<small>{_scores(found.get(object_id))}</small></button>"
            f'<button data-remove="{object_id}" aria-label="Remove object {object_id}" title="Remove">×</button></div>'
        )
    return f'<div class="objects">{"".join(rows)}</div>'


def _scores(mask: ObjectMask | None) -> str:
    if mask is None:
        return "no mask here yet"
    probability = 1 / (1 + math.exp(-max(min(mask.object_score, 50.0), -50.0)))
    if not mask.visible:
        return f"hidden, {1 - probability:.0%} sure"
    return f"visible {probability:.0%} · IoU {mask.predicted_iou:.2f}"


def candidate_cards(frame: RgbFrame, candidates: Sequence[ObjectMask], chosen: int | None) -> str:
    """A button for each candidate mask with its predicted IoU; without a choice, the model's own is marked."""
    if not candidates:
        return ""
    best = max(range(len(candidates)), key=lambda k: candidates[k].predicted_iou)
    marked = best if chosen is None else chosen
    cards = "".join(
        f'<button class="card" data-pick="{k}" aria-pressed="{"true" if k == marked else "false"}">'
        f'<img src="{data_url(picture)}" alt="candidate {k + 1}">'
        f"<small>IoU {candidate.predicted_iou:.2f}</small></button>"
        for k, (candidate, picture) in enumerate(zip(candidates, candidate_thumbnails(frame, candidates), strict=True))
    )
    return f'<p>Which one did you mean?</p><div class="cards candidates">{cards}</div>'


def progress_bar(progress: Progress, doing: str, unit: str = "") -> str:
    """How far some work is: a bar, and in words."""
    parts = [doing]
    if progress.total and unit:
        parts.append(f"{unit} {progress.done} of {progress.total}")
    elif progress.total:
        parts.append(f"{progress.done / 1e6:.0f} of {progress.total / 1e6:.0f} MB")
    if remaining := progress.remaining():
        parts.append(remaining)
    return _bar(progress.fraction, " · ".join(parts))


def note(text: str) -> str:
    """A line where the progress bar would be."""
    return f'<p class="note">{html.escape(text)}</p>'


def _bar(fraction: float, text: str) -> str:
    return (
        f'<div class="progress" role="progressbar" aria-valuenow="{fraction * 100:.0f}">'
        f'<i style="width:{fraction:.1%}"></i></div>'
        f'<p class="note">{text}</p>'
    )
