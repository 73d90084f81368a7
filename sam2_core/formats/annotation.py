"""What is exported: a video, its named objects, and their masklets."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sam2_core.errors import PromptError
from sam2_core.formats.frame_names import frame_stems
from sam2_core.media import Video, object_colour
from sam2_core.media.render import Colour
from sam2_core.results import FrameResult, Masklet, ObjectMask
from sam2_core.rle import Rle

Progress = Callable[[int, int], None]
"""Told how many frames are done, of how many. What it raises ends the work, and nothing of it is left."""

_LONGEST_STEM = 120  # bytes: file systems take 255, and more is to be added


def silent(_done: int, _total: int) -> None:
    """Progress that nobody wants to know."""


@dataclass(frozen=True, slots=True)
class AnnotatedObject:
    """Someone's idea of an object.

    Attributes:
        object_id: 1 and up; a palette PNG has room for 255.
        name: what it is. Objects of the same name are of one class, where a format has classes.
        colour: in which it is painted.
        prompted_frames: on which something was said about it.
    """

    object_id: int
    name: str
    colour: Colour
    prompted_frames: tuple[int, ...] = ()

    @property
    def class_name(self) -> str:
        """The name on one line, without what text files cannot hold; never empty."""
        printable = "".join(character if character.isprintable() else " " for character in self.name)
        return " ".join(printable.split()) or f"object {self.object_id}"


@dataclass(frozen=True, slots=True)
class Annotation:
    """A video with its masklets, as far as they are finished.

    Attributes:
        video: open; some formats hold its frames.
        objects: those to export, in the order in which they are listed.
        masklets: object id -> frame -> mask of the video's size.
    """

    video: Video
    objects: tuple[AnnotatedObject, ...]
    masklets: Mapping[int, Masklet]

    @classmethod
    def of_masklets(cls, video: Video, masklets: Mapping[int, Masklet]) -> Annotation:
        """All masklets, with names and colours as objects have them before anybody chooses others."""
        objects = (AnnotatedObject(each, f"object {each}", object_colour(each)) for each in sorted(masklets))
        return cls(video, tuple(objects), masklets)

    @classmethod
    def of_results(cls, video: Video, results: Iterable[FrameResult]) -> Annotation:
        """The same, of results by frame; of several for one frame the last one counts."""
        masklets: dict[int, Masklet] = {}
        for result in {result.frame_index: result for result in results}.values():
            for found in result.objects:
                masklets.setdefault(found.object_id, {})[result.frame_index] = found
        return cls.of_masklets(video, masklets)

    @property
    def stem(self) -> str:
        """The clip's name as the beginning of a file's, on every system."""
        name = unicodedata.normalize("NFC", re.sub(r"\.\w{1,5}$", "", self.video.name))
        stem = re.sub(r"[^\w-]+", "_", name).encode()[:_LONGEST_STEM].decode(errors="ignore")
        return stem.strip("_-") or "clip"

    @property
    def frame_stems(self) -> tuple[str, ...]:
        """What files about a frame are called, without a suffix; see :func:`frame_stems`."""
        return frame_stems(self.video)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The objects' different names, in the objects' order."""
        return tuple(dict.fromkeys(each.class_name for each in self.objects))

    @property
    def colours(self) -> dict[int, Colour]:
        """By object id."""
        return {each.object_id: each.colour for each in self.objects}

    def objects_csv(self) -> str:
        """A table of the objects, for formats that know nothing of them but their numbers."""
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(("object_id", "name", "colour"))
        for each in self.objects:
            red, green, blue = each.colour
            rows.writerow((each.object_id, each.class_name, f"#{red:02x}{green:02x}{blue:02x}"))
        return table.getvalue()

    def visible(self, frame_index: int) -> list[tuple[AnnotatedObject, ObjectMask]]:
        """The objects that have a mask of at least one pixel on a frame."""
        masks = ((each, self.masklets.get(each.object_id, {}).get(frame_index)) for each in self.objects)
        return [(each, found) for each, found in masks if found is not None and found.mask.area]

    def masks(self, frame_index: int) -> dict[int, Rle]:
        """Their masks by object id."""
        return {each.object_id: found.mask for each, found in self.visible(frame_index)}

    def check(self) -> None:
        """Refuse what no format can hold.

        Raises:
            PromptError: there is no mask, or one is of another size or frame than the video.
        """
        count, size = len(self.video), (self.video.height, self.video.width)
        chosen = [self.masklets.get(each.object_id, {}) for each in self.objects]
        if not any(chosen):
            raise PromptError("there is no mask to export yet; click an object first.")
        for frame_index, found in ((place, found) for masklet in chosen for place, found in masklet.items()):
            if not 0 <= frame_index < count or (found.mask.height, found.mask.width) != size:
                raise PromptError(
                    f"masks are {size[1]} x {size[0]} pixels on frames 0 to {count - 1}; the one of object "
                    f"{found.object_id} on frame {frame_index} is {found.mask.width} x {found.mask.height}."
                )
