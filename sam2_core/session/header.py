"""What a session on disk is about, and which of its files are in force."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sam2_core.errors import ProjectError
from sam2_core.media import Video
from sam2_core.media.source import DEFAULT_FPS

_LONGEST_NAMES = 1_000_000
"""Characters of all pictures' names together; a clip whose names have more keeps none of them."""
FORMAT = "masklet-session-1"
HEADER = "session.json"
_UNSAFE = re.compile(r"[\x00-\x1f/\\]")  # in the name of a file


@dataclass(frozen=True, slots=True)
class Header:
    """What a session is about.

    Attributes:
        name: of the clip, for people to read.
        frames: of the clip.
        height: of the clip, in pixels.
        width: of the clip, in pixels.
        media: path of a clip that stays where it is; ``None`` where the session has a copy, or where it is in memory.
        frame_names: of the pictures that the clip is made of, for people to read; empty where it is made of none.
        fps: of the clip, which one in memory does not say by itself.
        generation: number in the names of the two files in force.
        format: of the session on disk.
    """

    name: str
    frames: int
    height: int
    width: int
    media: str | None = None
    frame_names: tuple[str, ...] = ()
    fps: float = DEFAULT_FPS
    generation: int = 0
    format: str = FORMAT

    @property
    def commands_file(self) -> str:
        """Name of the log."""
        return f"commands-{self.generation}.jsonl"

    @property
    def masks_file(self) -> str:
        """Name of the records."""
        return f"masks-{self.generation}.bin"

    @classmethod
    def parse(cls, text: str) -> Header:
        """Read a header that may have come from anywhere.

        Raises:
            ProjectError: it is none.
        """
        try:
            found = cls(**json.loads(text))
            found = replace(found, frame_names=tuple(found.frame_names))
            numbers = (found.frames, found.height, found.width, found.generation)
            texts = (found.name, "" if found.media is None else found.media)
            sound = all(type(n) is int for n in numbers) and all(type(t) is str and len(t) < 5000 for t in texts)
            if (
                not sound
                or not found._names_fit
                or type(found.fps) not in (int, float)
                or not 0 < found.fps < math.inf
                or found.format != FORMAT
                or min(numbers[:3]) < 1
                or found.generation < 0
            ):
                raise ValueError
        except (ValueError, TypeError, RecursionError) as error:
            raise ProjectError(f"this is not a session of this program: its {HEADER} is not as expected.") from error
        return found

    @property
    def _names_fit(self) -> bool:
        names = self.frame_names
        sound = all(type(name) is str and name and not _UNSAFE.search(name) for name in names)
        return sound and len(names) in (0, self.frames) and sum(map(len, names)) <= _LONGEST_NAMES

    @classmethod
    def of(cls, video: Video, folder: Path, media: Path | None = None) -> Header:
        """The header in a folder, or a new one where there is none yet.

        Raises:
            ProjectError: what is there is about another clip.
        """
        if not (folder / HEADER).exists():
            place = None if media is None else str(media)
            new = cls(video.name, len(video), video.height, video.width, place, video.frame_names, video.fps)
            (new if new._names_fit else replace(new, frame_names=())).write(folder)
        found = cls.read(folder)
        if (found.frames, found.height, found.width) != (len(video), video.height, video.width):
            raise ProjectError(
                f"this session is about {found.frames} frames of {found.width} x {found.height} pixels, and the clip "
                f"has {len(video)} of {video.width} x {video.height}; open it with its own clip, {found.name!r}."
            )
        return found

    @classmethod
    def read(cls, folder: Path) -> Header:
        """The header in a folder; raises as :meth:`parse` does."""
        return cls.parse((folder / HEADER).read_text(encoding="utf-8", errors="replace"))

    def to_json(self) -> str:
        """As it lies on the disk."""
        return json.dumps(asdict(self))

    def write(self, folder: Path) -> None:
        """Put it in force, whole or not at all."""
        draft = folder / f"{HEADER}.new"
        with draft.open("w", encoding="utf-8") as file:
            file.write(self.to_json())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / HEADER)
