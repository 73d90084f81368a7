"""What a result was made from, as a fingerprint: when it changes, the result is made again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

from sam2_core.evaluation.jobs import Job


def job_fingerprint(job: Job, predictions: Path | None) -> str:
    """Tells a job from the same one on other files or with other values.

    Files count by name, size and time of change, as for ``make``: to read every frame would take as long as to score
    it. A file that is only copied makes the job run again, which costs time and is never wrong.

    Args:
        job: with the files of its sequence or picture.
        predictions: the folder of masks that are scored, where they are not a model's.
    """
    digest = hashlib.sha256()
    for part in _parts((job, predictions and predictions / job.case.name)):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def _parts(value: object) -> Iterator[str]:
    """Everything that a job or something in it says; where a path leads to, rather than the path."""
    if isinstance(value, Path):
        yield from _files(value)
    elif isinstance(value, tuple):
        for each in value:
            yield from _parts(each)
    elif is_dataclass(value):
        yield type(value).__name__
        for each in fields(value):
            yield each.name
            yield from _parts(getattr(value, each.name))
    else:
        yield repr(value)


def _files(place: Path) -> Iterator[str]:
    """A file, or all in a folder and its folders, by name: no layout is deeper, and links may lead in circles."""
    if not place.is_dir():
        yield _file(place.name, place)
        return
    for path in sorted((*place.glob("*"), *place.glob("*/*"))):
        if not path.name.startswith(".") and path.is_file():
            yield _file(path.relative_to(place).as_posix(), path)


def _file(name: str, path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return f"{name!r} is not there"
    return f"{name!r} {found.st_size} {found.st_mtime_ns}"
