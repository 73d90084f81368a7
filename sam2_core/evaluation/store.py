"""A folder in which an evaluation can stop at any time and go on later.

::

    settings.json                     what is evaluated, on what, by which numbers
    results/mask/camel-1f2e3d4c.json  one result, which is there in whole or not at all
    scores.csv summary.json           every number, and the tables
    report.html                       the same for people
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydantic

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.jobs import Job
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.results import Protocol, Result, from_json, to_json
from sam2_core.media import replacing


@dataclass(frozen=True, slots=True)
class Settings:
    """What must be the same for results to be of one evaluation.

    Attributes:
        subject: the model's name and how it computes, or whose masks these are.
        fingerprint: of the model's weights.
        data: where sequences and pictures come from.
        options: the protocols' numbers.
    """

    subject: str
    fingerprint: str
    data: str
    options: Options


_SETTINGS = pydantic.TypeAdapter(Settings)


class ResultStore:
    """Results of one evaluation on disk.

    Args:
        folder: a new one, or one of an earlier start with the same settings.
        settings: of this evaluation.

    Raises:
        Sam2Error: the folder holds something else, or cannot be written.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        with self.writable():
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / "settings.json"
            if file.exists():
                self._check(file.read_bytes(), settings)
            elif any(folder.iterdir()):
                raise Sam2Error(
                    f"{folder.name!r} holds other files; an evaluation needs a new folder, or one of an evaluation."
                )
            with replacing(file) as partial:
                partial.write_bytes(_SETTINGS.dump_json(settings, indent=1))

    def get(self, job: Job) -> Result | None:
        """The result of a job that was done before."""
        path = self._path(job.protocol, job.case.name)
        return from_json(path.read_bytes()) if path.is_file() else None

    def put(self, result: Result) -> None:
        """Keep a result."""
        path = self._path(result.protocol, result.name)
        with self.writable():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_bytes(to_json(result))

    @contextmanager
    def writable(self) -> Iterator[None]:
        """What the system says against writing becomes one sentence."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise Sam2Error(f"the results cannot be written to {self.folder.name!r}: {reason}.") from error

    def _path(self, protocol: Protocol, name: str) -> Path:
        # A name may come from a stranger's JSON: its readable part is for people, its digest tells it from others.
        readable = re.sub(r"[^\w-]+", "_", name)[:60].strip("_") or "case"
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return self.folder / "results" / protocol.value / f"{readable}-{digest}.json"

    def _check(self, data: bytes, settings: Settings) -> None:
        try:
            earlier = _SETTINGS.validate_json(data)
        except pydantic.ValidationError as error:
            raise Sam2Error(
                f"settings.json in {self.folder.name!r} is damaged; choose another folder with --out."
            ) from error
        if earlier != settings:
            names = [
                name for name in Settings.__dataclass_fields__ if getattr(earlier, name) != getattr(settings, name)
            ]
            raise Sam2Error(
                f"{self.folder.name!r} holds results with other settings ({', '.join(names)} of {earlier.subject!r} "
                f"on {earlier.data!r}); choose another folder with --out, or remove it."
            )
