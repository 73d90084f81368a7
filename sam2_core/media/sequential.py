"""Random access to frames that can only be decoded one after the other.

Compressed video is a chain: a frame needs its predecessors back to a keyframe, and many clips have one keyframe at
their very beginning. Two things make that bearable. A *window* keeps the frames decoded last, so that walking backward
decodes one stretch per window and not one per frame. Two *cursors* stay where they are in the file, so that tracking
forward and looking around elsewhere do not interrupt each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from sam2_core.errors import VideoError

CURSORS = 2
"""Places in the file that are kept open: one for the tracker and one for the person who looks around meanwhile."""

F = TypeVar("F")


class Decoder(Protocol[F]):
    """Decodes a file forward, from the places where it can be entered."""

    name: str

    def starts(self, index: int, /) -> Sequence[int]:
        """Frames at which decoding can begin to reach ``index``: the nearest first, frame 0 last."""
        ...

    def frames_from(self, start: int, /) -> Generator[F, None, None]:
        """Frames ``start``, ``start + 1``, ... without a gap; nothing at all if the file cannot be entered there."""
        ...

    def nbytes(self, frame: F, /) -> int:
        """Memory that ``frame`` holds."""
        ...


class _Cursor(Generic[F]):
    """A place in the file, and the decoder's state there."""

    def __init__(self, frames: Generator[F, None, None], start: int) -> None:
        self._frames = frames
        self.next_index = start

    def advance(self) -> F | None:
        frame = next(self._frames, None)
        self.next_index += 1
        return frame

    def close(self) -> None:
        self._frames.close()


class SequentialReader(Generic[F]):
    """Frames of a :class:`Decoder` in any order.

    Args:
        decoder: where the frames come from.
        window_bytes: the frames decoded last are kept up to this size, and at least one of them.
    """

    def __init__(self, decoder: Decoder[F], window_bytes: int) -> None:
        self._decoder = decoder
        self._window_bytes = window_bytes
        self._window: OrderedDict[int, F] = OrderedDict()
        self._held = 0
        self._cursors: list[_Cursor[F]] = []  # the one used last stands last

    def read(self, index: int) -> F:
        """Frame ``index``.

        Raises:
            VideoError: the file no longer gives this frame, for instance because it changed on disk.
        """
        if index in self._window:
            self._window.move_to_end(index)
            return self._window[index]
        for cursor in self._ways_to(index):
            frame = self._advance(cursor, index)
            if frame is not None:
                return frame
            self._drop(cursor)
        raise VideoError(
            f"frame {index} of {self._decoder.name!r} could be decoded before and now cannot; open the file again."
        )

    def close(self) -> None:
        """Close the file and forget all frames."""
        for cursor in tuple(self._cursors):
            self._drop(cursor)
        self._window.clear()
        self._held = 0

    def _ways_to(self, index: int) -> Iterator[_Cursor[F]]:
        """Cursors from which ``index`` lies ahead, the cheapest first; a cursor that fails is followed by the next."""
        starts = self._decoder.starts(index)
        on_the_way = [cursor for cursor in self._cursors if starts[0] <= cursor.next_index <= index]
        if on_the_way:
            cursor = max(on_the_way, key=lambda candidate: candidate.next_index)
            self._cursors.remove(cursor)
            self._cursors.append(cursor)
            yield cursor
        for start in starts:
            if len(self._cursors) == CURSORS:
                self._drop(self._cursors[0])
            self._cursors.append(_Cursor(self._decoder.frames_from(start), start))
            yield self._cursors[-1]

    def _advance(self, cursor: _Cursor[F], index: int) -> F | None:
        while True:
            position = cursor.next_index
            frame = cursor.advance()
            if frame is None:
                return None
            self._keep(position, frame)
            if position == index:
                return frame

    def _drop(self, cursor: _Cursor[F]) -> None:
        cursor.close()
        self._cursors.remove(cursor)

    def _keep(self, index: int, frame: F) -> None:
        replaced = self._window.pop(index, None)
        if replaced is not None:
            self._held -= self._decoder.nbytes(replaced)
        self._window[index] = frame
        self._held += self._decoder.nbytes(frame)
        while self._held > self._window_bytes and len(self._window) > 1:
            _, oldest = self._window.popitem(last=False)
            self._held -= self._decoder.nbytes(oldest)
