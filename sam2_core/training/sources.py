"""From a recipe's ``[[data]]`` to what is drawn from."""

from __future__ import annotations

from pathlib import Path

from sam2_core.config import PRESETS
from sam2_core.errors import Sam2Error
from sam2_core.training.data import Material, PictureSource, VideoSource
from sam2_core.training.picture_data import SceneCache, coco_pictures, label_pictures
from sam2_core.training.recipe import Kind, Recipe, Show, Stage
from sam2_core.training.video_data import davis_videos, sav_videos

_SHARPNESS = 1.5
"""Pictures are kept at so many times the side that the model sees, so that crops stay sharp."""
_PICTURES = {Kind.IMAGES: label_pictures, Kind.COCO: coco_pictures}
_VIDEOS = {Kind.DAVIS: davis_videos, Kind.SAV: sav_videos}


def open_material(recipe: Recipe, root: Path) -> Material:
    """The data sets of a recipe that its stages draw from; only names are looked at.

    Raises:
        Sam2Error: one of them is not there, or not as it should be.
    """
    if not root.is_dir():
        raise Sam2Error(f"there is no folder {str(root)!r}; --data names the one that holds the data sets.")
    long_side = round(_SHARPNESS * (recipe.image_size or PRESETS[recipe.model].image_size))
    cache = SceneCache(recipe.cache * 2**20)
    pictures: list[PictureSource] = []
    videos: list[VideoSource] = []
    drawn = frozenset[Kind]().union(*(_drawn_from(stage) for stage in recipe.stages))
    for source in recipe.data:
        if source.kind not in drawn:
            continue
        if source.kind in _PICTURES:
            pictures.append(_PICTURES[source.kind](root, source, long_side, cache))
        else:
            videos.append(_VIDEOS[source.kind](root, source, long_side))
    return Material(tuple(pictures), tuple(videos))


def _drawn_from(stage: Stage) -> frozenset[Kind]:
    """Kinds of data that a stage shows. Beside real footage, pictures are what is pasted into it or cut to."""
    video, clips = stage.video, Show.VIDEO in stage.show
    beside = video.augment.cut > 0 or any(video.augment.paste[1:])
    pictures = Show.IMAGE in stage.show or (clips and (video.real < 1 or beside))
    videos = clips and video.real > 0
    return frozenset((*(_PICTURES if pictures else ()), *(_VIDEOS if videos else ())))
