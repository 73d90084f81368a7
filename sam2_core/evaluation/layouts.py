"""What is in a folder: the layouts in which data sets are published are recognised by their folders' names."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.datasets import coco_objects, split_names
from sam2_core.evaluation.names import plain
from sam2_core.evaluation.pictures import CocoPicture, LabelledPicture, Picture
from sam2_core.evaluation.procedural import procedural_clips
from sam2_core.evaluation.sequences import (
    LabelledSequence,
    ObjectFolderSequence,
    SavSequence,
    VideoSequence,
    mask_files,
    object_folders,
)
from sam2_core.media import PICTURE_SUFFIXES, pictures_in

PROCEDURAL = "procedural"
"""Instead of a folder: clips that are drawn on the spot."""

EXPECTED = """\
procedural                       clips with disappearances, drawn from a fixed seed
splits.json, images/, vos/       the data of pocket's model card, with lists of what to use
JPEGImages*/, Annotations*/      DAVIS (palette PNGs), or SA-V's val and test (a folder for each object)
frames/, masks/                  one sequence, or a folder of such folders
NAME.mp4, NAME_manual.json       SA-V's training videos; NAME/ may hold the frames instead
images/, annotations.json        COCO, also the JSON file alone beside images/
images/, masks/                  pictures, and PNGs of the same names whose values are objects' ids"""
"""The layouts, for people to read."""

_VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".avi")
_RESOLUTION = re.compile(r"[0-9]{3,4}p|Full-Resolution")
_Case = TypeVar("_Case", VideoSequence, Picture)


@dataclass(frozen=True, slots=True)
class DataSet:
    """What there is to evaluate on."""

    sequences: tuple[VideoSequence, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def only(self, names: Collection[str]) -> DataSet:
        """The part with these names; pictures' with and without a suffix are the same.

        Raises:
            Sam2Error: a name is not there.
        """
        wanted = {plain(name): name for name in names}
        missing = wanted.keys() - {plain(each.name) for each in self.sequences}
        missing -= {plain(each.name) for each in self.pictures}
        if missing:
            raise Sam2Error(f"the data have no sequence or picture {wanted[min(missing)]!r}; check the names.")
        return DataSet(_named(self.sequences, wanted), _named(self.pictures, wanted))


def _named(cases: tuple[_Case, ...], names: Collection[str]) -> tuple[_Case, ...]:
    return tuple(case for case in cases if plain(case.name) in names)


def find_data(root: Path, ignored: int | None = None) -> DataSet:
    """The sequences and pictures of a folder, of COCO's JSON, or :data:`PROCEDURAL` clips.

    Args:
        root: in one of the layouts of :data:`EXPECTED`.
        ignored: a mask's value that is no object; in pictures such pixels count for nothing.

    Raises:
        Sam2Error: there is no such folder, or nothing in it is known.
    """
    if str(root) == PROCEDURAL:
        return DataSet(sequences=procedural_clips())
    if not root.exists():
        raise Sam2Error(f"there is no folder {str(root)!r}; give another --data.")
    for layout in _LAYOUTS:
        found = layout(root, ignored)
        if found.sequences or found.pictures:
            return found
    raise Sam2Error(
        f"{root.name!r} is in no layout that is known: DAVIS, SA-V, COCO, frames/ and masks/, images/ and masks/, or "
        f"the word {PROCEDURAL} for clips that need no data; --help shows the folders of each."
    )


def _studio(root: Path, ignored: int | None) -> DataSet:
    """The data of pocket's model card: what ``splits.json`` says is for evaluation, sequences with one object each."""
    if not (root / "splits.json").is_file():
        return DataSet()
    folder, videos = root / "images" / "coco_subset", root / "vos" / "davis"
    wanted = split_names(root, "images/coco_subset", "eval") if folder.is_dir() else []
    names = split_names(root, "vos/davis", "single_object") if videos.is_dir() else []
    pictures = {Path(each.name).stem: each for each in _coco(folder, ignored).pictures} if wanted else {}
    absent = [name for name in wanted if name not in pictures] + [n for n in names if not (videos / n).is_dir()]
    if absent:
        raise Sam2Error(f"splits.json lists {absent[0]!r}, which is not in {root.name!r}; correct the list or add it.")
    sequences = (_frames_and_masks(videos / name, ignored) for name in names)
    return DataSet(tuple(each for each in sequences if each), tuple(pictures[name] for name in wanted))


def _davis(root: Path, ignored: int | None) -> DataSet:
    """``JPEGImages/480p/NAME`` and ``Annotations/480p/NAME``; SA-V has no resolutions but frame rates in the names."""
    frames, masks = _one(root, "JPEGImages*"), _one(root, "Annotations*")
    if frames is None or masks is None:
        return DataSet()
    frames, masks = _resolution(frames), _resolution(masks)
    return DataSet(tuple(_sequence(frames / each.name, each, ignored) for each in _folders(masks)))


def _sequence(frames: Path, masks: Path, ignored: int | None) -> VideoSequence:
    if object_folders(masks):
        return ObjectFolderSequence(masks.name, frames, masks)
    return LabelledSequence(masks.name, frames, masks, ignored)


def _one(root: Path, pattern: str) -> Path | None:
    found = sorted(each for each in root.glob(pattern) if each.is_dir())
    return found[0] if found else None


def _resolution(folder: Path) -> Path:
    """DAVIS has a folder for each resolution, of which 480p is the one that counts."""
    sizes = [each for each in _folders(folder) if _RESOLUTION.fullmatch(each.name)]
    return next((each for each in sizes if each.name == "480p"), sizes[0]) if sizes else folder


def _folders(root: Path) -> list[Path]:
    return sorted(each for each in root.iterdir() if each.is_dir() and not each.name.startswith("."))


def _sequence_folders(root: Path, ignored: int | None) -> DataSet:
    """``frames`` and ``masks`` in the folder itself, or in its folders."""
    candidates = (_frames_and_masks(each, ignored) for each in (root, *(_folders(root) if root.is_dir() else ())))
    return DataSet(tuple(each for each in candidates if each))


def _frames_and_masks(folder: Path, ignored: int | None) -> VideoSequence | None:
    frames, masks = folder / "frames", folder / "masks"
    if not (frames.is_dir() and masks.is_dir()):
        return None
    return LabelledSequence(folder.name, frames, masks, ignored)


def _sav(root: Path, _ignored: int | None) -> DataSet:
    return DataSet(tuple(_sav_sequences(root)) if root.is_dir() else ())


def _sav_sequences(root: Path) -> Iterator[VideoSequence]:
    for masks in sorted(root.glob("*.json")):
        name = masks.stem.removesuffix("_manual")
        if name.endswith("_auto"):
            continue  # made by a model
        media = next((m for m in (root / f"{name}{s}" for s in (*_VIDEO_SUFFIXES, "")) if m.exists()), None)
        if media:
            yield SavSequence(name, media, masks)


def _coco(root: Path, _ignored: int | None) -> DataSet:
    """``annotations.json``, or another name if the file itself is given, beside ``images``."""
    document = root if root.is_file() else root / "annotations.json"
    images = document.parent / "images"
    if not document.is_file() or not images.is_dir():
        return DataSet()
    # Names come from a file that anyone may have written, so they are looked up and never opened.
    files = {each.relative_to(images).as_posix(): each for each in images.rglob("*")}
    pictures = []
    for name, objects in coco_objects(document).items():
        path = files.get(name) or files.get(Path(name).name)
        if path is not None and objects:
            pictures.append(CocoPicture(name, path, tuple(objects)))
    return DataSet(pictures=tuple(pictures))


def _labelled_pictures(root: Path, ignored: int | None) -> DataSet:
    """Masks of a picture have its name, or begin with it and an underscore."""
    images, masks = root / "images", root / "masks"
    if not (images.is_dir() and masks.is_dir()):
        return DataSet()
    by_stem: dict[str, list[Path]] = {}
    stems = {path.stem: path for path in pictures_in(images)}
    for mask in mask_files(masks):
        stem = mask.stem if mask.stem in stems else mask.stem.rpartition("_")[0]
        by_stem.setdefault(stem, []).append(mask)
    return DataSet(
        pictures=tuple(
            LabelledPicture(stem, path, tuple(by_stem[stem]), ignored)
            for stem, path in stems.items()
            if stem in by_stem and path.suffix.lower() in PICTURE_SUFFIXES
        )
    )


_LAYOUTS: tuple[Callable[[Path, int | None], DataSet], ...] = (
    _studio, _davis, _sequence_folders, _sav, _coco, _labelled_pictures,
)  # fmt: skip
