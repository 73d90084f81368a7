"""Official checkpoints: from the Hub into its cache, verified, with one clear error for all that can go wrong."""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import (
    HfFileMetadata,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm import tqdm

from sam2_core.config import ModelConfig
from sam2_core.errors import CheckpointError, Sam2Error

Progress = Callable[[int, int], None]
"""Told of a download's (done, total) bytes as they arrive, perhaps on another thread; raises Cancelled to stop it."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BYTES_PER_PARAMETER = 4
_PUBLIC_HUB = "https://huggingface.co"


def hub_id(config: ModelConfig) -> str:
    """The repository of an official model."""
    return f"facebook/{config.name}"


def file_name(config: ModelConfig) -> str:
    """The checkpoint's file in that repository."""
    return config.name.replace("-", "_") + ".pt"


def download_bytes(config: ModelConfig) -> int:
    """The checkpoint's size, up to a few hundredths of a percent."""
    return config.parameters * _BYTES_PER_PARAMETER


def cached_file(config: ModelConfig) -> Path | None:
    """The checkpoint in the Hub's cache, if it is there; never touches the network."""
    found = try_to_load_from_cache(hub_id(config), file_name(config))
    return Path(found) if isinstance(found, str) else None


def fetch(config: ModelConfig, progress: Progress | None = None) -> Path:
    """The checkpoint in the Hub's cache, downloaded first where it is not there yet.

    Raises:
        CheckpointError: the Hub cannot be reached, is forbidden (``HF_HUB_OFFLINE``) or has no such file, the disk is
            full, or what arrived is not what the Hub announced (it is then removed from the cache).
    """
    cached = cached_file(config)
    if cached is not None:
        return cached
    try:
        # Asked for apart from the download: it fails at once where the download would try again for half a minute, and
        # it tells what the file must be.
        announced = get_hf_file_metadata(hf_hub_url(hub_id(config), file_name(config)))
        total = announced.size or download_bytes(config)
        _require_space(total)
        bar = None if progress is None else _progress_bar(progress, total)
        path = Path(hf_hub_download(hub_id(config), file_name(config), tqdm_class=bar))
    except Sam2Error:
        raise
    except Exception as error:  # the Hub's client may be requests, httpx or httpx2, whose errors share no other base
        raise CheckpointError(_explain(error, config)) from error
    _verify(path, announced, config)
    return path


def discard(path: Path) -> None:
    """Remove a file from the cache, so that the next try downloads it again.

    Raises:
        CheckpointError: the cache may not be changed.
    """
    try:
        path.resolve().unlink(missing_ok=True)  # the cache holds a link to the real file
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"{path} is damaged and could not be removed; remove it by hand") from error


def _verify(path: Path, announced: HfFileMetadata, config: ModelConfig) -> None:
    """Compare with the announced size and SHA-256; the Hub's client compares the size of what it received alone."""
    fault = None
    if announced.size is not None and path.stat().st_size != announced.size:
        fault = f"{path.stat().st_size} bytes came, {announced.size} were announced"
    elif announced.etag is not None and _SHA256.fullmatch(announced.etag) and _sha256(path) != announced.etag:
        fault = "its SHA-256 is not the announced one"
    if fault is not None:
        discard(path)
        raise CheckpointError(
            f"the download of {file_name(config)} is damaged ({fault}) and was removed; try again, {_detour(config)}"
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _require_space(size: int) -> None:
    cache = Path(constants.HF_HUB_CACHE).absolute()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise CheckpointError(
            f"the disk is too full for the download: {size / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free in {cache}; "
            "make room, or set HF_HOME to a folder on another disk"
        )


def _explain(error: Exception, config: ModelConfig) -> str:
    """One message for an error of the Hub's client: what happened and what to do."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        size = f"{download_bytes(config) / 1e6:.0f} MB"
        return f"the disk is full: {file_name(config)} needs {size}; make room and try again"
    if isinstance(error, OfflineModeIsEnabled):
        return f"{config.name} is not in the cache and HF_HUB_OFFLINE forbids its download; unset it, {_detour(config)}"
    if isinstance(error, (RepositoryNotFoundError, RevisionNotFoundError, RemoteEntryNotFoundError)):
        return f"the Hub at {constants.ENDPOINT} has no {hub_id(config)}/{file_name(config)}; {_detour(config)}"
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return f"{config.name} could not be downloaded from {constants.ENDPOINT} ({reason}); try again, {_detour(config)}"


def _detour(config: ModelConfig) -> str:
    url = hf_hub_url(hub_id(config), file_name(config), endpoint=_PUBLIC_HUB)
    return (
        f"set HF_ENDPOINT to a mirror, or get {url} by hand and pass its path as the model, "
        "or use pocket, which needs no download"
    )


def _progress_bar(progress: Progress, total: int) -> type[tqdm[Any]]:
    """A bar that is not drawn but tells ``progress``; without one the Hub's client draws its own in the terminal."""
    furthest = 0

    class ReportingBar(tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})
            self.done: float = self.n

        def update(self, n: float | None = 1) -> None:
            nonlocal furthest
            self.done += n or 0
            if self.done > furthest:  # Xet has two bars, of bytes received and bytes written: the further one counts
                furthest = int(self.done)
                progress(min(furthest, total), total)

    return ReportingBar
