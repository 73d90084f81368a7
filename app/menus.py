"""What the page's menus offer: pairs of what people read and what programs are told."""

from __future__ import annotations

from sam2_core.formats import EXPORTS, exports_for
from sam2_core.media import Video
from sam2_core.weights import AvailableModel, available_models

Choices = list[tuple[str, str]]


def models() -> Choices:
    """All models, ours first and newer ones before older ones, with what it takes to have them."""
    ordered = sorted(available_models(), key=lambda model: (model.hub_id is not None, model.name.startswith("sam2-")))
    return [(f"{model.name} · {_availability(model)}", model.name) for model in ordered]


def formats(video: Video | None = None) -> Choices:
    """The export formats that suit a clip, or all."""
    return [(export.title, export.name) for export in (exports_for(video) if video else EXPORTS.values())]


def _availability(model: AvailableModel) -> str:
    if model.hub_id is None:
        return "included"
    return "downloaded" if model.on_disk else f"{model.download_bytes / 1e6:.0f} MB download"
