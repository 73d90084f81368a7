"""From whatever a notebook calls a clip to a session on it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_core.cli.progress import progress
from sam2_core.config import POCKET, PRESETS
from sam2_core.errors import CheckpointError, ProjectError, VideoError
from sam2_core.media import Video, open_video, video_from_array
from sam2_core.media.pictures import to_rgb
from sam2_core.media.source import DEFAULT_FPS
from sam2_core.model import SAM2
from sam2_core.results import LARGEST_OBJECT_ID
from sam2_core.session import ModelPool, Session
from sam2_core.session.header import HEADER, Header
from sam2_core.session.limits import UNSHARED
from sam2_core.session.project import MEDIA, ProjectLimits, unpack_project
from sam2_core.session.scheduler import Turns
from sam2_core.session.store import Store, model_of
from sam2_core.weights import load_model
from widgets.arguments import path_of

Clip: TypeAlias = str | os.PathLike[str] | npt.NDArray[np.uint8] | Image.Image
"""A path or ``file://`` address of a video, a picture or a folder of frames; frames ``[T, H, W, 3]`` or one picture
``[H, W, 3]``, RGB, uint8; or a picture of Pillow's."""
Model: TypeAlias = str | os.PathLike[str] | SAM2
"""A model's name, the path of a checkpoint, or a model that is loaded."""

_KEPT: weakref.WeakValueDictionary[Path, Session] = weakref.WeakValueDictionary()  # in folders, by where these are
_MODELS = ModelPool()  # widgets share models,
_TURNS = Turns()  # and with them the device
_LIMITS = replace(UNSHARED, objects=LARGEST_OBJECT_ID)  # one's own kernel
_PROJECT_LIMITS = ProjectLimits(media_bytes=20 * 10**9)


def open_session(
    clip: Clip | Session,
    model: Model | None = None,
    folder: str | os.PathLike[str] | None = None,
    fps: float | None = None,
) -> Session:
    """A session on a clip, or the one that is kept in ``folder``.

    Args:
        clip: what to work on; a session is taken as it is.
        model: ``pocket`` where it is not given, or the model of the session that is kept in ``folder``.
        folder: where the session is kept; ``None`` keeps it until it is closed.
        fps: frames per second of an array; where it is not given, those of the session that is kept, or 24.

    Raises:
        VideoError: the clip cannot be used.
        CheckpointError: the model cannot be had.
        ProjectError: what is kept in ``folder`` is about another clip, or was made with another model, or nothing can
            be kept there.
        TypeError: a session cannot be given another model, folder or frame rate.
    """
    if isinstance(clip, Session):
        if (model, folder, fps) != (None, None, None):
            raise TypeError("a session has its model, its folder and its frame rate; leave them out.")
        return clip
    place = None if folder is None else path_of(folder, "the folder of a session", ProjectError)
    video, media = _open_clip(clip, fps, _header_in(place))
    return _begin(video, media, model, place)


def open_project(path: str | os.PathLike[str], clip: Clip | None = None, model: Model | None = None) -> Session:
    """A session that goes on with a project file, which stays as it is.

    Args:
        path: of the project.
        clip: for a project that has no clip in it, such as that of an array.
        model: for a project that was made with a model of one's own, which has to be the same one.

    Raises:
        ProjectError: it is not a project file, is damaged, or has no clip in it and none was given.
        VideoError: the clip cannot be used.
        CheckpointError: its model cannot be had.
    """
    file = path_of(path, "a project", ProjectError)
    if not file.is_file():
        raise ProjectError(f"there is no project file {file.name!r}; check the path.")
    folder = Path(tempfile.mkdtemp(prefix="masklet-"))
    with ExitStack() as failed:
        failed.callback(shutil.rmtree, folder, ignore_errors=True)
        header = unpack_project(file, folder, _PROJECT_LIMITS)
        if clip is None and not (folder / MEDIA).exists():
            raise ProjectError(f"this project has no clip in it; open it with clip=, which is {header.name!r}.")
        video, media = _open_clip(folder / MEDIA if clip is None else clip, None, header)
        video.name, video.frame_names = header.name, header.frame_names
        session = _begin(video, media if clip is not None else None, model, folder)
        failed.pop_all()
    weakref.finalize(session, shutil.rmtree, folder, ignore_errors=True)
    return session


def loaded(model: Model) -> tuple[str, SAM2]:
    """A model and its name; whoever asks for the same name gets the same model.

    Raises:
        CheckpointError: the weights cannot be found, fetched or fitted.
    """
    if isinstance(model, SAM2):
        return model.config.name, model
    if not isinstance(model, (str, os.PathLike)):
        raise CheckpointError(
            f"a model is a name such as 'pocket', the path of a checkpoint, or a loaded SAM2; got {model!r:.60}."
        )
    name = str(model).removeprefix("facebook/")
    if name not in PRESETS:
        found = load_model(path_of(model, "a model", CheckpointError))
        return found.config.name, found
    with progress(f"downloading {name}", "B") as report:
        return name, _MODELS.get(name, report)


def _begin(video: Video, media: Path | None, model: Model | None, folder: Path | None) -> Session:
    with ExitStack() as failed:
        failed.callback(video.close)
        kept = _model_in(folder)
        name, weights = loaded(model if model is not None else kept or POCKET.name)
        if kept not in ("", name):
            raise ProjectError(f"this session was made with {kept}, not {name}; open it so, then call use({name!r}).")
        _take_back(folder)
        session = Session.alone(video, name, weights, folder, media=media, turns=_TURNS, limits=_LIMITS)
        failed.pop_all()
    if folder is not None:
        _KEPT[folder.resolve()] = session
    return session


def _take_back(folder: Path | None) -> None:
    """End the session in a folder, if this kernel has it: a cell that makes a widget may be run again."""
    if folder is not None and (earlier := _KEPT.pop(folder.resolve(), None)) is not None:
        earlier.close()


def _header_in(folder: Path | None) -> Header | None:
    """What the session in a folder is about, if there is one."""
    return None if folder is None or not (folder / HEADER).is_file() else Header.read(folder)


def _model_in(folder: Path | None) -> str:
    """The name of the model that answers in a session on the disk; empty where there is none."""
    header = _header_in(folder)
    if folder is None or header is None:
        return ""
    store = Store(folder, header)
    try:
        return model_of(store.commands)
    finally:
        store.close()


def _open_clip(clip: Clip, fps: float | None, kept: Header | None) -> tuple[Video, Path | None]:
    """The clip, and where it is unless it is in memory; what is kept of an array has its frame rate."""
    if isinstance(clip, np.ndarray):
        known = kept.fps if kept else DEFAULT_FPS
        return video_from_array(clip, fps=known if fps is None else fps), None
    if fps is not None:
        raise VideoError("fps says how fast the frames of an array follow one another; files say it themselves.")
    if isinstance(clip, Image.Image):
        return _video_of_picture(clip), None
    if not isinstance(clip, (str, os.PathLike)):
        raise VideoError(
            f"a clip is a path, a uint8 array [T, H, W, 3] or a picture of Pillow's; got {type(clip).__name__}."
        )
    path = _path(clip)
    return open_video(path), path


def _video_of_picture(picture: Image.Image) -> Video:
    name = Path(getattr(picture, "filename", "")).name or "picture"
    try:
        pixels = to_rgb(picture)
    except (ValueError, OSError) as error:  # the latter of a file that Pillow reads only now
        raise VideoError(f"the picture {name!r} cannot be used: {error}.") from error
    return video_from_array(pixels, name=name)


def _path(clip: str | os.PathLike[str]) -> Path:
    path = path_of(clip, "a clip", VideoError)
    address = urlsplit(os.fspath(clip)) if "://" in os.fspath(clip) else None
    if address is None:
        return path.absolute()
    if address.scheme != "file" or address.netloc not in ("", "localhost"):
        raise VideoError(f"a clip is a file of this computer; download what {address.scheme}:// leads to first.")
    return Path(url2pathname(address.path))
