"""Random access over a decoder that only goes forward, counted frame by frame."""

from collections.abc import Generator

import pytest

from sam2_core.errors import VideoError
from sam2_core.media.sequential import CURSORS, SequentialReader

FRAME_BYTES = 100


class CountingDecoder:
    """Frames are their own numbers; every one that is decoded is written down."""

    name = "counting"

    def __init__(self, count: int, keyframes: tuple[int, ...] = (0,), broken: frozenset[int] = frozenset()) -> None:
        self.count = count
        self.keyframes = keyframes
        self.broken = broken
        self.decoded: list[int] = []
        self.open_files = 0

    def starts(self, index: int, /) -> list[int]:
        return sorted({0, *(keyframe for keyframe in self.keyframes if keyframe <= index)}, reverse=True)

    def frames_from(self, start: int, /) -> Generator[int, None, None]:
        self.open_files += 1
        try:
            for number in range(start, self.count):
                if start in self.broken:
                    return
                self.decoded.append(number)
                yield number
        finally:
            self.open_files -= 1

    def nbytes(self, _frame: int, /) -> int:
        return FRAME_BYTES


def reader_of(decoder: CountingDecoder, frames_kept: int) -> SequentialReader[int]:
    return SequentialReader(decoder, frames_kept * FRAME_BYTES)


def test_reading_forward_decodes_every_frame_once() -> None:
    decoder = CountingDecoder(300, keyframes=tuple(range(0, 300, 12)))
    reader = reader_of(decoder, 8)
    assert [reader.read(index) for index in range(300)] == list(range(300))
    assert decoder.decoded == list(range(300))


def test_walking_backward_decodes_one_stretch_per_window() -> None:
    decoder = CountingDecoder(320)
    reader = reader_of(decoder, 32)
    assert [reader.read(index) for index in reversed(range(320))] == list(reversed(range(320)))
    # Ten windows, from 320 frames down to 32: 320 + 288 + ... + 32; one frame at a time would be 51,360.
    assert len(decoder.decoded) == sum(range(32, 321, 32))


def test_walking_backward_over_keyframes_is_linear() -> None:
    decoder = CountingDecoder(300, keyframes=tuple(range(0, 300, 10)))
    reader = reader_of(decoder, 10)
    for index in reversed(range(300)):
        assert reader.read(index) == index
    assert len(decoder.decoded) == 300


def test_jumping_ahead_enters_at_the_nearest_keyframe() -> None:
    decoder = CountingDecoder(300, keyframes=tuple(range(0, 300, 10)))
    reader = reader_of(decoder, 4)
    assert [reader.read(index) for index in (3, 8, 95, 97)] == [3, 8, 95, 97]
    assert decoder.decoded == [*range(9), *range(90, 98)]


def test_a_frame_that_is_looked_at_again_stays() -> None:
    decoder = CountingDecoder(100)
    reader = reader_of(decoder, 4)
    for index in range(50):
        assert (reader.read(index), reader.read(0)) == (index, 0)
    assert decoder.decoded == list(range(50))


def test_two_readers_do_not_interrupt_each_other() -> None:
    decoder = CountingDecoder(200)
    reader = reader_of(decoder, 4)
    for step in range(50):
        assert reader.read(100 + step) == 100 + step
        assert reader.read(step) == step
    assert len(decoder.decoded) == 150 + 50
    assert decoder.open_files == CURSORS


def test_a_jump_that_lands_nowhere_falls_back_to_an_earlier_start() -> None:
    decoder = CountingDecoder(60, keyframes=(0, 20, 40), broken=frozenset({40}))
    assert reader_of(decoder, 4).read(45) == 45
    assert decoder.decoded == list(range(20, 46))


def test_a_frame_that_is_gone_is_a_clear_error() -> None:
    decoder = CountingDecoder(10)
    with pytest.raises(VideoError, match="frame 12 of 'counting'"):
        reader_of(decoder, 4).read(12)
    assert decoder.open_files == 0


@pytest.mark.parametrize("frames_kept", [0, 1, 5])
def test_the_window_is_bounded_and_holds_at_least_one_frame(frames_kept: int) -> None:
    decoder = CountingDecoder(50)
    reader = reader_of(decoder, frames_kept)
    for index in range(50):
        reader.read(index)
    decoder.decoded.clear()
    for index in reversed(range(50 - max(frames_kept, 1), 50)):
        assert reader.read(index) == index
    assert decoder.decoded == []
    reader.read(49 - max(frames_kept, 1))
    assert decoder.decoded != []


def test_closing_closes_every_file() -> None:
    decoder = CountingDecoder(50)
    reader = reader_of(decoder, 4)
    reader.read(30)
    reader.read(3)
    assert decoder.open_files == 2
    reader.close()
    assert decoder.open_files == 0
