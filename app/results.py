"""What a visitor takes home: the results folder, zipped, and the overlay to play."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sam2_core.errors import Sam2Error
from sam2_core.formats import Annotation, ResultsFolder
from sam2_core.formats.annotation import Progress
from sam2_core.session import Session


@dataclass(frozen=True, slots=True)
class Results:
    """Files of one state of a session.

    Attributes:
        folder: of all of them.
        stem: of the archive's name, after the clip's.
    """

    folder: Path
    stem: str

    @property
    def masklets(self) -> Path:
        """Masks, scores and overlay."""
        return self.folder / "masklets"

    @property
    def overlay(self) -> Path:
        """The masks over the video."""
        return self.masklets / "overlay.mp4"

    @property
    def archive(self) -> Path:
        """All of it in one file."""
        return self.folder / f"{self.stem}-masklets.zip"


def write_results(session: Session, progress: Progress) -> Results:
    """Masks, scores and overlay as they are now; what was written for this state before is used again.

    Raises:
        Sam2Error: something cannot be written.
    """
    results = Results(session.folder / f"results-{session.revision}", Annotation(session.video, (), {}).stem)
    try:
        if not results.folder.exists():
            _forget_earlier(session.folder)
            _write(session, results, progress)
    except OSError as error:
        raise Sam2Error(f"the results cannot be written: {error.strerror or error}; try again later.") from error
    return results


def _write(session: Session, results: Results, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(dir=session.folder, ignore_cleanup_errors=True) as place:
        draft = Results(Path(place) / "draft", results.stem)
        ResultsFolder(draft.masklets).write(session.video, session.results(), progress)
        _zip(draft)
        try:
            draft.folder.rename(results.folder)
        except OSError:
            if not results.folder.exists():  # otherwise two buttons were pressed at once, and the other one was first
                raise


def _zip(results: Results) -> None:
    # Everything in it is compressed already.
    with zipfile.ZipFile(results.archive, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(results.masklets.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(results.masklets))


def _forget_earlier(folder: Path) -> None:
    for path in folder.glob("results-*"):
        shutil.rmtree(path, ignore_errors=True)
