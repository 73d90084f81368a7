"""The one type behind which all media stand."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sam2_core.errors import VideoError
from sam2_core.media import encode_jpeg, open_video, video_from_array
from tests.media.makers import number_of, numbered, numbers_of, write_video


@pytest.mark.parametrize("index", [-1, 10, 10**9])
def test_a_frame_that_is_not_there(index: int) -> None:
    video = video_from_array(np.stack(numbered(10)), name="ten")
    with pytest.raises(VideoError, match=rf"'ten' has frames 0 to 9; there is no frame {index}"):
        _ = video[index]


def test_any_kind_of_integer_is_an_index() -> None:
    video = video_from_array(np.stack(numbered(10)))
    assert number_of(video[np.int64(7)]) == 7
    with pytest.raises(TypeError):
        _ = video[1.5]


def test_arrays() -> None:
    frames = np.stack(numbered(6))
    video = video_from_array(frames, fps=12.5)
    assert (len(video), video.height, video.width, video.fps, video.is_image) == (6, 48, 64, 12.5, False)
    assert numbers_of(video) == list(range(6))
    still = video_from_array(frames[3])
    assert (len(still), still.height, still.width, still.fps, still.is_image) == (1, 48, 64, 1.0, True)
    assert number_of(still[0]) == 3


def test_drawing_on_a_frame_does_not_change_the_video(tmp_path: Path) -> None:
    frames = np.stack(numbered(3))
    for video in (video_from_array(frames), open_video(write_video(tmp_path / "clip.mp4", numbered(3)))):
        before = video[1].copy()
        video[1][:] = 77
        assert np.array_equal(video[1], before)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((4, 8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((1, 2, 8, 8, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_video(frames: np.ndarray) -> None:
    with pytest.raises(VideoError, match=r"uint8 arrays \[T, H, W, 3\] or \[H, W, 3\].*got"):
        video_from_array(frames)


def test_a_closed_video_gives_no_frames(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "clip.mp4", numbered(3))) as video:
        pass
    video.close()
    with pytest.raises(VideoError, match=r"'clip\.mp4' is closed"):
        _ = video[0]


def test_many_threads_may_read_at_once(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "clip.mp4", numbered(60), b_frames=2)) as video:
        order = np.random.default_rng(0).integers(0, 60, 400).tolist()
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda index: number_of(video[index]), order)) == order


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"there is no file or folder 'clip\.mp4'; check the path\.$"):
        open_video(tmp_path / "clip.mp4")


def test_a_device_is_not_a_file() -> None:
    with pytest.raises(VideoError, match="there is no file or folder 'zero'"):
        open_video("/dev/zero")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(VideoError, match=r"'clip\.mp4' is empty \(0 bytes\)"):
        open_video(tmp_path / "clip.mp4")


def test_text_with_the_name_of_a_video(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("no video at all\n" * 1000)
    with pytest.raises(VideoError, match=r"'clip\.mp4' is neither a video .* nor a picture"):
        open_video(tmp_path / "clip.mp4")


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0byte", "http://example.org/clip.mp4", "concat:a.mp4|b.mp4"])
def test_names_that_are_no_path(name: str) -> None:
    with pytest.raises(VideoError):
        open_video(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(2))
    path.chmod(0)
    with pytest.raises(VideoError, match="Permission denied"):
        open_video(path)


def test_a_name_is_shown_without_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "clip\x1b[31m\n.mp4"
    path.touch()
    with pytest.raises(VideoError, match=r"'clip\\x1b\[31m\\n\.mp4' is empty"):
        open_video(path)


def test_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(encode_jpeg(numbered(1)[0]))
    monkeypatch.chdir(folder)
    video = open_video(".")
    monkeypatch.chdir(tmp_path)
    assert (video.name, number_of(video[0])) == ("frames", 0)


def test_a_video_describes_itself() -> None:
    assert repr(video_from_array(np.stack(numbered(6)), name="six")) == "<Video 'six': 6 frames, 64 x 48, 24 fps>"
