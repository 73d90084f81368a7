"""A folder in which an evaluation can stop at any time and go on later.

::

    settings.json                     what is evaluated, on what, by which numbers
    results/mask/camel-1f2e3d4c.json  one result, which is there in whole or not at all
    scores.csv frames.csv             every number: by object, and by object and frame
    summary.json report.html          the tables, and all of it for people
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydantic

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.inputs import job_fingerprint
from sam2_core.evaluation.jobs import Job
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.results import Protocol, Result, from_json, to_json
from sam2_core.media import replacing


@dataclass(frozen=True, slots=True)
class Settings:
    """What must be the same for results to be of one evaluation; each has a fingerprint of its own files besides.

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
        predictions: folder of the masks that are scored, where they are not a model's.

    Raises:
        Sam2Error: the folder holds something else, or cannot be written.
    """

    def __init__(self, folder: Path, settings: Settings, predictions: Path | None = None) -> None:
        self.folder = folder
        self._predictions = predictions
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

    def inputs(self, job: Job) -> str:
        """The fingerprint of what a job's result is made from, at this moment."""
        return job_fingerprint(job, self._predictions)

    def get(self, job: Job, inputs: str) -> Result | None:
        """The result of a job that was done before, with the same inputs."""
        path = self._path(job.protocol, job.case.name)
        return from_json(path.read_bytes(), inputs) if path.is_file() else None

    def all_of(self, jobs: Sequence[Job]) -> tuple[Result, ...]:
        """The results of those jobs that were ever done, with inputs that are still the same."""
        kept = (job for job in jobs if self._path(job.protocol, job.case.name).is_file())
        found = (self.get(job, self.inputs(job)) for job in kept)
        return tuple(each for each in found if each is not None)

    def put(self, result: Result, inputs: str) -> None:
        """Keep a result, with the fingerprint of its inputs as they were before it was made."""
        path = self._path(result.protocol, result.name)
        with self.writable():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_bytes(to_json(result, inputs))

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
