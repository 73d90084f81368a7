"""Small pieces of HTML, made of numbers, pictures and the project's own words; what came from a visitor stays out."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from app.background import Progress
from sam2_core.config import POCKET, PRESETS
from sam2_core.formats import Annotation
from sam2_core.media import open_video
from widgets.pictures import data_url, thumbnail

UPLOADS = "A video, a picture, or several pictures as a clip. Kept for a day after you last used it, then deleted."
"""Beside the upload button."""

STEPS = """
<ol class="steps">
<li><b>Click an object</b> in any frame. The model proposes three masks; choose the one you meant.</li>
<li><b>Track</b> it through the clip, both ways. The lanes show where the model was unsure.</li>
<li><b>Correct</b> a frame with another click and track again: what you corrected stays.</li>
<li><b>Export</b> masks for training, or a video to show around.</li>
</ol>
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


def contents(annotation: Annotation) -> str:
    """What of an annotation has masks."""
    masklets = [masklet for masklet in annotation.masklets.values() if masklet]
    frames = len({frame for masklet in masklets for frame in masklet})
    return f"{_count(len(masklets), 'object')} in {_count(frames, 'frame')}"


def download(address: str, name: str, nbytes: int, holds: str, revision: int, is_old: bool) -> str:
    """A link to a file that was made of a session's ``revision``; the canvas's host marks it when there is a newer one.

    Args:
        address: of the file.
        name: of the file.
        nbytes: its size.
        holds: what is in it, in words, or nothing.
        revision: of the session.
        is_old: whether there is a newer one already.
    """
    size = f"{nbytes / 1e6:.1f} MB" if nbytes >= 1e5 else f"{nbytes / 1e3:.1f} kB"
    link = f'<a href="{html.escape(address)}" download>{html.escape(name)}</a>'
    facts = " · ".join(fact for fact in (link, size, holds) if fact)
    return f'<p class="note" data-revision="{revision}"{" data-old" if is_old else ""}>{facts}</p>'


def note(text: str) -> str:
    """A line where the progress bar would be."""
    return f'<p class="note">{html.escape(text)}</p>'


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _bar(fraction: float, text: str) -> str:
    return (
        f'<div class="progress" role="progressbar" aria-valuenow="{fraction * 100:.0f}">'
        f'<i style="width:{fraction:.1%}"></i></div>'
        f'<p class="note">{html.escape(text)}</p>'
    )
