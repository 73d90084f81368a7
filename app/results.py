"""What people take home: files in a folder of the session, of which only the last one is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sam2_core.errors import Sam2Error, SessionLimit
from sam2_core.session import Session

Progress = Callable[[int, int], None]
_BEING_WRITTEN = (".partial", ".new")


def make_file(session: Session, name: str, write: Callable[[Path], object]) -> Path:
    """A file for the visitor in place of the one before.

    Args:
        session: whose folder it goes to.
        name: safe on every system, as :attr:`Annotation.stem` is.
        write: writes it, whole or not at all.

    Raises:
        Sam2Error: it cannot be written.
    """
    folder = _folder(session)
    try:
        folder.mkdir(exist_ok=True)
        write(folder / name)
    except OSError as error:
        raise Sam2Error(f"{name!r} cannot be written: {error.strerror or error}.") from error
    for other in folder.iterdir():
        if other.name != name and other.suffix not in _BEING_WRITTEN:
            other.unlink(missing_ok=True)
    return folder / name


def find_file(session: Session, name: str) -> Path | None:
    """The file of this name, which a browser says and which becomes no path, if it is there."""
    return next((path for path in _folder(session).glob("*") if path.name == name), None)


def bounded(progress: Progress, session: Session, most_bytes: int) -> Progress:
    """Progress that ends the work where its files have become too large: with transparency, video is not small."""

    def tell(done: int, total: int) -> None:
        if sum(path.stat().st_size for path in _folder(session).iterdir()) > most_bytes:
            raise SessionLimit(f"this export would have more than {most_bytes / 1e9:.0f} GB; choose another format.")
        progress(done, total)

    return tell


def _folder(session: Session) -> Path:
    return session.folder / "exports"
