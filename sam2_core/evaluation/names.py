"""Which sequences and pictures are meant: names from the command line, and the lists that data sets come with."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from sam2_core.errors import Sam2Error
from sam2_core.media import PICTURE_SUFFIXES

_COMMENT = re.compile(r"(^|\s)#.*")


def read_list(path: Path) -> list[str]:
    """The names in a text file, one on each line, without what follows a ``#``.

    DAVIS 2016's lists, which have a picture and its mask on each line, name the folder of the pictures.

    Raises:
        Sam2Error: the file cannot be read, or there is no name in it.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise Sam2Error(f"the list {path.name!r} cannot be read: a text file of names is expected.") from error
    names = [_name(line) for line in (_COMMENT.sub("", line).strip() for line in lines) if line]
    if not names:
        raise Sam2Error(f"the list {path.name!r} has no names: one on each line is expected.")
    return list(dict.fromkeys(names))


def _name(line: str) -> str:
    frame = PurePosixPath(line.split()[0])
    return frame.parent.name if "JPEGImages" in frame.parts else line


def plain(name: str) -> str:
    """A name without what people and shells add to it: a last slash, or a picture's suffix."""
    name = name.rstrip("/\\")
    return next((name[: -len(suffix)] for suffix in PICTURE_SUFFIXES if name.lower().endswith(suffix)), name)
