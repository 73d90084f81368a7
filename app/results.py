"""What a visitor takes home: the results folder, zipped, and the overlay to play."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sam2_core.formats import ResultsFolder
from sam2_core.formats.results_folder import Progress
from sam2_core.session import Session


@dataclass(frozen=True, slots=True)
class Results:
    """Files of one state of a session."""

    folder: Path

    @property
    def overlay(self) -> Path:
        """The masks over the video."""
        return self.folder / "overlay.mp4"

    @property
    def archive(self) -> Path:
        """All of it in one file."""
        return self.folder.with_suffix(".zip")


def write_results(session: Session, progress: Progress) -> Results:
    """Masks, scores and overlay as they are now; what was written for this state before is used again.

    Raises:
        Sam2Error: something cannot be written.
    """
    results = Results(session.folder / f"masklets-{session.revision}")
    if not results.archive.exists():
        _forget_earlier(session.folder)
        with tempfile.TemporaryDirectory(dir=session.folder) as place:
            draft = Results(Path(place) / "masklets")
            ResultsFolder(draft.folder).write(session.video, session.results(), progress)
            _zip(draft)
            with contextlib.suppress(OSError):  # two buttons were pressed at once, and the other one was first
                draft.folder.rename(results.folder)
            draft.archive.replace(results.archive)
    return results


def _zip(results: Results) -> None:
    # Everything in it is compressed already.
    with zipfile.ZipFile(results.archive, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(results.folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(results.folder))


def _forget_earlier(folder: Path) -> None:
    for path in folder.glob("masklets-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
