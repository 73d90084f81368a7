"""From a recipe's ``[[data]]`` to what is drawn from."""

from __future__ import annotations

from pathlib import Path

from sam2_core.config import PRESETS
from sam2_core.errors import Sam2Error
from sam2_core.training.data import Material, PictureSource, VideoSource
from sam2_core.training.picture_data import SceneCache, coco_pictures, label_pictures
from sam2_core.training.recipe import Kind, Recipe
from sam2_core.training.video_data import davis_videos, sav_videos

_SHARPNESS = 1.5
"""Pictures are kept at so many times the side that the model sees, so that crops stay sharp."""
_PICTURES = {Kind.IMAGES: label_pictures, Kind.COCO: coco_pictures}
_VIDEOS = {Kind.DAVIS: davis_videos, Kind.SAV: sav_videos}


def open_material(recipe: Recipe, root: Path) -> Material:
    """All data sets of a recipe; only names are looked at.

    Raises:
        Sam2Error: one of them is not there, or not as it should be.
    """
    if not root.is_dir():
        raise Sam2Error(f"there is no folder {str(root)!r}; --data names the one that holds the data sets.")
    long_side = round(_SHARPNESS * (recipe.image_size or PRESETS[recipe.model].image_size))
    cache = SceneCache(recipe.cache * 2**20)
    pictures: list[PictureSource] = []
    videos: list[VideoSource] = []
    for source in recipe.data:
        if source.kind in _PICTURES:
            pictures.append(_PICTURES[source.kind](root, source, long_side, cache))
        else:
            videos.append(_VIDEOS[source.kind](root, source, long_side))
    return Material(tuple(pictures), tuple(videos))
