"""A tracking result as a folder, which is what the command line leaves behind and what the page offers for download.

::

    masks/00000.png    for every frame a palette PNG at the input's size; a pixel's value is the object's id, 0 is none,
                       and where objects overlap the smallest id wins
    scores.csv         frame,object_id,predicted_iou,object_score
    overlay.mp4        the masks over the video, scaled down to 4096 pixels a side where it is larger
    overlay.png        the masks over the picture, where the input is one
    logits/00000.npz   on request: object id -> float32 low-resolution mask logits
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_core.errors import Sam2Error
from sam2_core.formats.annotation import Annotation, Progress, silent
from sam2_core.formats.overlay import write_overlay, write_overlay_picture
from sam2_core.media import Video, label_map, save_palette_png
from sam2_core.results import FrameResult
from sam2_core.rle import Rle

_COLUMNS = ("frame", "object_id", "predicted_iou", "object_score")
_NUMBERED = re.compile(r"[0-9]{5,}")


class ResultsFolder:
    """A folder that holds one tracking result, and perhaps other things that are left alone.

    An earlier result in it is replaced, down to its last file. Files that only share a result's names are not touched:
    somebody's own ``masks`` are worth more than a new result.

    Args:
        path: the folder; it is made when something is written.

    Raises:
        Sam2Error: there is a file of that name, or the folder has files of a result's names but is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scores = path / "scores.csv"
        self._video = path / "overlay.mp4"
        self._picture = path / "overlay.png"
        self._masks = path / "masks"
        self._logits = path / "logits"
        if path.exists() and not path.is_dir():
            raise Sam2Error(f"the results need a folder, and {path.name!r} is a file; choose another name.")
        taken = [entry.name for entry in self._entries if entry.exists()]
        if taken and not self.holds_results:
            raise Sam2Error(
                f"the folder {path.name!r} already has {' and '.join(taken)} which this program did not write; "
                "choose another folder for the results, or remove them."
            )

    @property
    def holds_results(self) -> bool:
        """Whether an earlier result is here, complete or not."""
        if not self._scores.is_file():
            return False
        with self._scores.open("rb") as file:
            return file.readline(100).decode("utf-8", "replace").strip() == ",".join(_COLUMNS)

    @property
    def mask_count(self) -> int:
        """Frames whose masks are here."""
        return sum(1 for _ in _numbered(self._masks, ".png"))

    def replaces(self, path: Path) -> bool:
        """Whether ``path`` is, or lies in, something that :meth:`write` replaces."""
        entries = [entry.resolve() for entry in self._entries]
        return any(place in entries for place in (path.resolve(), path.resolve().parent))

    def write(self, video: Video, results: Iterable[FrameResult], progress: Progress = silent) -> None:
        """Write a whole result.

        Masks are written as their frames come. Scores follow when no more frames come, even if that is because
        ``results`` raised; then masks of frames that never came, which are empty, and the overlay.

        Args:
            video: what was tracked.
            results: in any order; of several for the same frame the last one counts.
            progress: told of the overlay's frames.

        Raises:
            PromptError: an object id is above 255.
            Sam2Error: something cannot be written.
        """
        latest: dict[int, FrameResult] = {}
        with self._writable():
            self._begin()
            try:
                for result in results:
                    latest[result.frame_index] = result
                    self._write_mask(video, result.frame_index, _masks_by_id(result))
            finally:
                self._write_scores(latest)
            for frame_index in range(len(video)):
                if frame_index not in latest:
                    self._write_mask(video, frame_index, {})
            annotation = Annotation.of_results(video, latest.values())
            write_overlay(annotation, self._video, progress)
            if video.is_image:
                write_overlay_picture(annotation, self._picture, silent)

    def write_logits(self, frame_index: int, logits: Mapping[int, npt.NDArray[np.float32]]) -> None:
        """Add logits ``[h, w]`` by object id to those of a frame; for use while ``results`` are being written.

        Raises:
            Sam2Error: they cannot be written.
        """
        path = self._logits / f"{frame_index:05d}.npz"
        named: dict[str, Any] = {str(object_id): array for object_id, array in logits.items()}
        with self._writable():
            self._logits.mkdir(parents=True, exist_ok=True)
            if path.exists():  # another sweep was here, with other objects
                with np.load(path) as earlier:
                    named = {**earlier, **named}
            np.savez(path, **named)

    @property
    def _entries(self) -> tuple[Path, ...]:
        return self._masks, self._logits, self._scores, self._video, self._picture

    def _begin(self) -> None:
        """Take the folder: it is recognised as a result from here on, whatever happens next."""
        self._masks.mkdir(parents=True, exist_ok=True)
        self._write_scores({})
        for path in (*_numbered(self._masks, ".png"), *_numbered(self._logits, ".npz"), self._video, self._picture):
            path.unlink(missing_ok=True)

    def _write_mask(self, video: Video, frame_index: int, masks: Mapping[int, Rle]) -> None:
        labels = label_map(masks, video.height, video.width)
        save_palette_png(self._masks / f"{frame_index:05d}.png", labels)

    def _write_scores(self, results: Mapping[int, FrameResult]) -> None:
        with self._scores.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            for frame_index in sorted(results):
                for found in sorted(results[frame_index].objects, key=lambda found: found.object_id):
                    scores = f"{found.predicted_iou:.6f}", f"{found.object_score:.6f}"
                    writer.writerow((frame_index, found.object_id, *scores))

    @contextlib.contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise Sam2Error(f"the results cannot be written to {self.path.name!r}: {reason}.") from error


def _masks_by_id(result: FrameResult) -> dict[int, Rle]:
    return {found.object_id: found.mask for found in result.objects}


def _numbered(folder: Path, suffix: str) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.glob(f"*{suffix}") if _NUMBERED.fullmatch(path.stem))
