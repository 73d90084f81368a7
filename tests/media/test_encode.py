"""Videos that are written and read back."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import av
import numpy as np
import pytest
from PIL import Image

from sam2_core.errors import VideoError
from sam2_core.media import VideoWriter, encode_jpeg, open_video
from sam2_core.media.encode import ANIMATION_ALPHA
from tests.media.makers import numbered, numbers_of, psnr


def moving_scene(count: int, height: int, width: int) -> list[np.ndarray]:
    """Smooth colours that drift, with a disc that moves over them."""
    rows, columns = np.mgrid[:height, :width]
    frames = []
    for step in range(count):
        colours = [np.sin((rows + step) / 17), np.cos((columns - step) / 23), np.sin((rows + columns) / 31)]
        frame = (np.stack(colours, axis=2) * 90 + 128).astype(np.uint8)
        frame[(rows - height / 2) ** 2 + (columns - 10 - 3 * step) ** 2 < 64] = (230, 60, 40)
        frames.append(frame)
    return frames


def write(path: Path, frames: Iterable[np.ndarray], fps: float = 25) -> Path:
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.mark.parametrize(("height", "width"), [(120, 160), (121, 163)])
def test_a_round_trip_keeps_the_picture(tmp_path: Path, height: int, width: int) -> None:
    frames = moving_scene(30, height, width)
    with open_video(write(tmp_path / "out.mp4", frames)) as video:
        assert (len(video), video.fps) == (30, 25.0)
        # Odd sides grow by one pixel, at the far end.
        assert (video.height, video.width) == (height + height % 2, width + width % 2)
        assert min(psnr(shown[:height, :width], frame) for shown, frame in zip(video, frames, strict=True)) > 33


def test_what_can_have_odd_sides_has_them(tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (121, 163, 4), np.uint8)
    with VideoWriter(tmp_path / "out.mov", 25, ANIMATION_ALPHA) as writer:
        writer.write(frame)
    with av.open(str(tmp_path / "out.mov")) as container:
        (shown,) = container.decode(video=0)
    assert (shown.to_ndarray(format="rgba") == frame).all()


def test_frames_stay_in_order(tmp_path: Path) -> None:
    with open_video(write(tmp_path / "out.mp4", numbered(100))) as video:
        assert numbers_of(video) == list(range(100))


def test_the_file_plays_everywhere(tmp_path: Path) -> None:
    path = write(tmp_path / "out.mp4", moving_scene(60, 90, 120), fps=30)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (stream.codec.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 30)
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert [index for index, packet in enumerate(packets) if packet.is_keyframe] == [0, 30]
        assert all(packet.pts == packet.dts for packet in packets)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_pure_colours_come_back(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255), (0, 0, 0)]
    frame = np.repeat(np.array(colours, np.uint8), 32, axis=0)[None].repeat(64, axis=0)
    with open_video(write(tmp_path / "out.mp4", [frame] * 3)) as video:
        shown = video[1][32, 16::32].astype(int)
    assert np.abs(shown - colours).max() <= 3


@pytest.mark.parametrize(
    ("fps", "exact"), [(23.976, Fraction(24000, 1001)), (30000 / 1001, Fraction(30000, 1001)), (12.5, Fraction(25, 2))]
)
def test_film_and_television_rates_are_exact(tmp_path: Path, fps: float, exact: Fraction) -> None:
    path = write(tmp_path / "out.mp4", numbered(24), fps)
    with av.open(str(path)) as container:
        assert abs(float(container.streams.video[0].average_rate - exact)) < 2e-4


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 100_000])
def test_rates_that_are_none(tmp_path: Path, fps: float) -> None:
    with pytest.raises(VideoError, match=r"0\.01 to 1000 frames per second; got"):
        VideoWriter(tmp_path / "out.mp4", fps)


def test_a_frame_of_another_size(tmp_path: Path) -> None:
    frames = [np.zeros((48, 64, 3), np.uint8), np.zeros((48, 32, 3), np.uint8)]
    with pytest.raises(VideoError, match="got 32 x 48 pixels after 64 x 48"):
        write(tmp_path / "out.mp4", frames)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frame", [np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3), np.float32)])
def test_an_array_that_is_no_frame(tmp_path: Path, frame: np.ndarray) -> None:
    with pytest.raises(VideoError, match=r"a frame is a uint8 array \[H, W, 3\]; got"):
        write(tmp_path / "out.mp4", [frame])


def test_a_video_without_frames(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no frame was written to 'out\.mp4'"):
        write(tmp_path / "out.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_work_that_is_broken_off_leaves_the_old_file(tmp_path: Path) -> None:
    def frames_until_interrupted() -> Iterator[np.ndarray]:
        yield numbered(1)[0]
        raise KeyboardInterrupt

    path = write(tmp_path / "out.mp4", numbered(5))
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write(path, frames_until_interrupted())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"'out\.mp4' cannot be written: No such file or directory"):
        write(tmp_path / "missing" / "out.mp4", numbered(2))
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(VideoError, match=r"'folder\.mp4' cannot be written: Is a directory"):
        write(tmp_path / "folder.mp4", numbered(2))
    assert list(tmp_path.iterdir()) == [tmp_path / "folder.mp4"]


def test_a_writer_that_cannot_begin_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    VideoWriter(tmp_path / "never_entered.mp4", 25)
    monkeypatch.setattr(av, "open", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(VideoError, match=r"^'out\.mp4' cannot be written: No space left on device\.$"):
        write(tmp_path / "out.mp4", numbered(2))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_encoder_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VideoWriter, "_add_stream", lambda self, *_size: self._container.add_stream("no_such_encoder"))
    with pytest.raises(VideoError, match=r"'out\.mp4' cannot be written: .*no_such_encoder"):
        write(tmp_path / "out.mp4", numbered(1))
    assert list(tmp_path.iterdir()) == []


def test_jpeg(tmp_path: Path) -> None:
    frame = moving_scene(1, 120, 160)[0]
    data = encode_jpeg(frame)
    (tmp_path / "frame.jpg").write_bytes(data)
    with Image.open(tmp_path / "frame.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (160, 120))
        assert psnr(np.asarray(image), frame) > 33
    assert len(encode_jpeg(frame, quality=30)) < len(data)
