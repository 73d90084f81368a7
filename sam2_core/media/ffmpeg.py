"""What we ask of FFmpeg, through PyAV: open a file that may be hostile, and decode all of it that can be decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from sam2_core.errors import VideoError
from sam2_core.media.extent import declared_bytes
from sam2_core.media.source import MediaLimits

# FFmpeg would also read play lists and scripts, which name other files and hosts: a hostile upload must not be one.
_CONTAINER_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi",
    "protocol_whitelist": "file",
}


@contextlib.contextmanager
def open_stream(
    path: Path, limits: MediaLimits, codec_options: Mapping[str, str]
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file and find its moving pictures.

    Args:
        path: an existing file.
        limits: on the size of frames; it holds for frames that change their size in mid-stream too.
        codec_options: FFmpeg's, for the decoder.

    Raises:
        VideoError: the file is no video, holds none, or one that is too large or of an unknown kind.
    """
    name = path.name
    try:
        container = av.open(str(path.absolute()), options=_CONTAINER_OPTIONS, metadata_errors="replace")
    except OSError as error:
        raise VideoError(f"{name!r} cannot be read: {error.strerror or error}.") from error
    except av.FFmpegError as error:
        if declared_bytes(path) is not None:
            raise VideoError(
                f"{name!r} is a video that is cut off or damaged: what is needed to play it is not all there; copy or "
                "upload it again."
            ) from error
        raise VideoError(
            f"{name!r} is neither a video (mp4, mov, webm, mkv, avi) nor a picture (jpg, png, webp, gif, bmp, tiff) "
            f"that can be read; convert it to one of these."
        ) from error
    with container:
        # Cover art of a song counts as a video stream too.
        streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
        if not streams:
            raise VideoError(f"{name!r} holds no moving pictures, only sound or data; choose a video.")
        stream = streams[0]
        if stream.codec_context is None:
            raise VideoError(f"{name!r} uses a codec that is not known here; convert it to H.264 in an mp4 file.")
        limits.check_size(name, stream.height, stream.width)
        stream.codec_context.options = {**codec_options, "max_pixels": str(limits.pixels)}
        # One thread conceals damage from the frames before, and always alike; several leave holes with chance content.
        stream.codec_context.thread_count = 1
        yield container, stream


def decode(container: InputContainer, stream: VideoStream, damage: Literal["skip", "raise"]) -> Iterator[av.VideoFrame]:
    """All frames from here on, in the order of presentation.

    Args:
        container: the open file.
        stream: one of its streams.
        damage: whether packets that do not decode are left out, as players do, or reported.

    Raises:
        av.FFmpegError: there is damage, and it is not to be skipped.
    """
    tolerated = contextlib.suppress(av.FFmpegError) if damage == "skip" else contextlib.nullcontext()
    packets = container.demux(stream)
    while True:
        packet = None
        with tolerated:
            packet = next(packets, None)
        if packet is not None and not packet.size:
            continue  # the last one says that there are no more; others stand for frames left out, and are no damage
        with tolerated:
            yield from stream.decode(packet)
        if packet is None:  # the end, or where the file breaks off; the decoder has given all it held
            return
