"""Masks that were made elsewhere, or exported here before; the file tells which format it is in."""

from __future__ import annotations

import zipfile
from pathlib import Path

from sam2_core.errors import PromptError
from sam2_core.formats.annotation import Progress, silent
from sam2_core.formats.archive import open_members
from sam2_core.formats.coco import read_coco
from sam2_core.formats.collection import MaskCollection
from sam2_core.formats.davis import read_davis
from sam2_core.formats.json_file import read_json
from sam2_core.formats.object_png import is_object_png, read_object_png
from sam2_core.formats.sav import read_sav
from sam2_core.formats.yolo import is_yolo, read_yolo
from sam2_core.media import Video
from sam2_core.rle import Rle


def import_masks(path: Path, video: Video, progress: Progress = silent) -> dict[int, dict[int, Rle]]:
    """Read masks of a video, as object id -> frame -> mask; only masks with at least one pixel.

    What is read: COCO and SA-V JSON; zips and folders of palette PNGs, of a PNG per object and frame, or of YOLO-seg
    labels. Ids are the file's own; where it counts objects from 0 they are one higher.

    Args:
        path: a file or folder from anyone.
        video: that the masks are for; sizes and frames must fit it.
        progress: told how much is done, of how much; what it raises ends the work.

    Raises:
        PromptError: it is in none of these formats, damaged, too large, or of another video.
    """
    masks = MaskCollection(video)
    if not path.exists():
        raise PromptError(f"there is no file or folder {path.name!r}; check the path.")
    if path.is_dir() or zipfile.is_zipfile(path):
        with open_members(path) as members:
            if any(map(is_yolo, members)):
                read_yolo(members, masks, progress)
            elif any(map(is_object_png, members)):
                read_object_png(members, masks, progress)
            else:
                read_davis(members, masks, progress)
    else:
        document = read_json(path)
        if "masklet" in document:
            read_sav(document, masks, progress)
        else:
            read_coco(document, masks, progress)
    return masks.masklets()
