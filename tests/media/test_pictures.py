"""Still pictures, folders of them, and animated pictures, made by Pillow on the spot."""

import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_core.errors import VideoError
from sam2_core.media import MediaLimits, open_video
from tests.media.makers import number_of, numbered, numbered_frame, numbers_of, write_video


def photograph(height: int = 30, width: int = 40) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 8, columns * 6, rows * 2 + columns * 2], axis=2).astype(np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def save_frames(folder: Path, names: list[str]) -> Path:
    """A folder whose pictures hold the numbers of their places in ``names``."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        save(folder / name, numbered_frame(number))
    return folder


def save_animation(path: Path, frames: list[np.ndarray], milliseconds: int = 50, **options: object) -> Path:
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(path, save_all=True, append_images=others, duration=milliseconds, **options)
    return path


# --- stills -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_a_picture_is_a_video_of_one_frame(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    with open_video(save(tmp_path / f"photo.{suffix}", photograph(), **options)) as video:
        assert (len(video), video.height, video.width, video.fps, video.is_image) == (1, 30, 40, 1.0, True)
        assert video.name == f"photo.{suffix}"
        assert np.array_equal(video[0], photograph())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "photo.png", photograph(), exif=exif)
    upright = {
        1: photograph(),
        2: photograph()[:, ::-1],
        3: photograph()[::-1, ::-1],
        4: photograph()[::-1],
        5: photograph().swapaxes(0, 1),
        6: np.rot90(photograph(), -1),
        7: photograph()[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(photograph()),
    }[orientation]
    with open_video(path) as video:
        assert (video.height, video.width) == upright.shape[:2]
        assert np.array_equal(video[0], upright)
    folder = tmp_path / "frames"
    folder.mkdir()
    path.rename(folder / "0.png")
    with open_video(folder) as video:
        assert (video.height, video.width) == upright.shape[:2]
        assert np.array_equal(video[0], upright)


def test_sixteen_bit_grey_keeps_its_full_range(tmp_path: Path) -> None:
    grey = np.array([[0, 255, 256, 32768], [65535, 65280, 4096, 513]], np.uint16)
    with open_video(save(tmp_path / "scan.png", grey)) as video:
        assert video[0].shape == (2, 4, 3)
        assert video[0][:, :, 1].tolist() == [[0, 0, 1, 128], [255, 255, 16, 2]]


def test_sixteen_bit_colour(tmp_path: Path) -> None:
    deep = (photograph().astype(np.uint16) << 8) | 7
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    header = struct.pack(">IIBBBBB", 40, 30, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(png_of(("IHDR", header), ("IDAT", zlib.compress(rows)), ("IEND", b"")))
    with open_video(path) as video:
        assert np.array_equal(video[0], photograph())


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[0, :, 0] = 200
    pixels[0, :, 3] = (255, 0, 128)
    with open_video(save(tmp_path / "logo.png", pixels)) as video:
        assert video[0][0].tolist() == [[200, 0, 0], [255, 255, 255], [227, 127, 127]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.full((4, 5), 255, np.uint8)).convert(mode)
    grey.save(tmp_path / "photo.tiff")
    with open_video(tmp_path / "photo.tiff") as video:
        assert np.array_equal(video[0], np.full((4, 5, 3), 255))


def test_thirty_two_bit_pixels_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "depth.tiff", np.ones((3, 4), np.float32))
    with pytest.raises(VideoError, match=r"'depth\.tiff'.*32-bit numbers.*8 or 16 bits"):
        open_video(path)


def test_a_picture_cut_off(tmp_path: Path) -> None:
    path = save(tmp_path / "photo.jpg", photograph(300, 400))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(VideoError, match=r"the picture 'photo\.jpg' is damaged or cut off"):
        open_video(path)


def png_of(*chunks: tuple[str, bytes]) -> bytes:
    body = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        tagged = kind.encode() + data
        body += struct.pack(">I", len(data)) + tagged + struct.pack(">I", zlib.crc32(tagged))
    return body


@pytest.mark.parametrize("side", [4097, 9_000, 60_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_claims_to_be_huge_is_refused_unread(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(png_of(("IHDR", header), ("IDAT", zlib.compress(bytes(1000))), ("IEND", b"")))
    with pytest.raises(VideoError, match=r"'bomb\.png'.*scale it down"):
        open_video(path)


def test_limits_are_the_callers_choice(tmp_path: Path) -> None:
    path = save(tmp_path / "photo.png", photograph(30, 40))
    assert len(open_video(path, limits=MediaLimits(pixels=1200))) == 1
    with pytest.raises(VideoError, match="40 x 30 pixels; a frame may have 1,199 pixels at most"):
        open_video(path, limits=MediaLimits(pixels=1199))


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ["0.png", "2.png", "10.png"],
        ["00000.png", "00001.png", "00002.png"],
        ["0007.png", "8.PNG", "00009.bmp"],
        ["shot2.png", "shot10.png", "shot10b.png"],
        ["1a.png", "2.png", "10.png", "a.png", "B.png"],
    ],
)
def test_frames_follow_the_numbers_in_their_names(tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, name in random.sample(list(enumerate(names)), len(names)):
        save(folder / name, numbered_frame(number))
    with open_video(folder) as video:
        assert numbers_of(video) == list(range(len(names)))
        assert (video.name, video.fps, video.is_image) == ("frames", 24.0, False)


def test_what_is_not_a_frame_is_left_alone(tmp_path: Path) -> None:
    folder = save_frames(tmp_path / "frames", ["1.png", "2.png"])
    (folder / "notes.txt").write_text("two frames")
    (folder / "._1.png").write_bytes(b"left behind by another system")
    (folder / "3.png").mkdir()
    with open_video(folder) as video:
        assert numbers_of(video) == [0, 1]


def test_one_picture_in_a_folder_is_a_video(tmp_path: Path) -> None:
    with open_video(save_frames(tmp_path / "frames", ["1.png"])) as video:
        assert (len(video), video.is_image) == (1, False)


def test_sizes_that_differ_name_the_odd_file(tmp_path: Path) -> None:
    folder = save_frames(tmp_path / "frames", ["1.png", "2.png", "3.png"])
    save(folder / "2.png", numbered_frame(1, 50, 64))
    with pytest.raises(VideoError, match=r"'1\.png' is 64 x 48 and '2\.png' is 64 x 50"):
        open_video(folder)


def test_two_frames_with_one_number_are_named(tmp_path: Path) -> None:
    folder = save_frames(tmp_path / "frames", ["1.png", "2.png", "02.bmp"])
    with pytest.raises(VideoError, match=r"'02\.bmp' and '2\.png' are the same frame number"):
        open_video(folder)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="holds no pictures"):
        open_video(tmp_path)


def test_a_folder_with_a_false_picture(tmp_path: Path) -> None:
    folder = save_frames(tmp_path / "frames", ["1.png", "2.png"])
    (folder / "3.png").write_text("not a picture")
    with pytest.raises(VideoError, match=r"'3\.png' is not a picture"):
        open_video(folder)


def test_a_frame_that_changes_or_vanishes_after_opening(tmp_path: Path) -> None:
    folder = save_frames(tmp_path / "frames", ["1.png", "2.png", "3.png"])
    with open_video(folder) as video:
        save(folder / "2.png", numbered_frame(1, 20, 20))
        with pytest.raises(VideoError, match=r"'2\.png' is 20 x 20"):
            _ = video[1]
        (folder / "3.png").unlink()
        with pytest.raises(VideoError, match=r"'3\.png' .*No such file") as caught:
            _ = video[2]
        assert str(tmp_path) not in str(caught.value)
        assert number_of(video[0]) == 0


def test_a_folder_with_too_many_frames(tmp_path: Path) -> None:
    folder = save_frames(tmp_path / "frames", ["1.png", "2.png", "3.png"])
    with pytest.raises(VideoError, match="'frames' has more than 2 frames"):
        open_video(folder, limits=MediaLimits(frames=2))


# --- animated pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animated_picture_is_a_video(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    path = save_animation(tmp_path / f"moving.{suffix}", numbered(12), **options)
    with open_video(path, limits=MediaLimits(window_bytes=3 * 48 * 64 * 3)) as video:
        assert (len(video), video.height, video.width, video.is_image) == (12, 48, 64, False)
        assert video.fps == pytest.approx(20.0)
        forward = list(video)
        assert all(np.array_equal(shown, frame) for shown, frame in zip(forward, numbered(12), strict=True))
        assert all(np.array_equal(video[index], forward[index]) for index in reversed(range(12)))


def test_a_picture_of_an_animated_kind_that_stands_still(tmp_path: Path) -> None:
    with open_video(save(tmp_path / "still.gif", numbered_frame(5))) as video:
        assert (len(video), video.is_image) == (1, True)


def test_a_gif_with_transparency(tmp_path: Path) -> None:
    """Each frame draws one bar and lets the earlier ones shine through; what was never drawn is white."""
    frames = []
    for bar in range(4):
        pixels = np.zeros((8, 40, 4), np.uint8)
        pixels[:, 10 * bar : 10 * bar + 5] = (255, 0, 0, 255)
        frames.append(pixels)
    path = save_animation(tmp_path / "bars.gif", frames, disposal=1)
    with open_video(path) as video:
        assert len(video) == 4
        for number, frame in enumerate(video):
            expected = np.full((8, 40, 3), 255, np.uint8)
            for bar in range(number + 1):
                expected[:, 10 * bar : 10 * bar + 5] = (255, 0, 0)
            assert np.array_equal(frame, expected)


def test_the_picture_before_an_animation_is_not_part_of_it(tmp_path: Path) -> None:
    path = save_animation(tmp_path / "moving.png", numbered(5), default_image=True)
    with open_video(path) as video:
        assert numbers_of(video) == [1, 2, 3, 4]


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_an_animation_cut_off_gives_the_frames_that_are_there_and_says_so(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (10, 48, 64, 3), dtype=np.uint8)
    path = save_animation(tmp_path / f"moving.{suffix}", list(noise))
    with open_video(path) as video:
        assert (len(video), video.notice) == (10, "")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_video(path) as video:
        assert 4 <= len(video) <= 5
        assert len(list(video)) == len(video)
        assert video.notice.startswith(f"only {len(video)} frames can be read: the file seems cut off")


def test_a_frame_outside_its_canvas_ends_the_animation(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (5, 48, 64, 3), dtype=np.uint8)
    path = save_animation(tmp_path / "moving.gif", list(noise))
    at_the_corner = b"\x2c" + struct.pack("<HHHH", 0, 0, 64, 48)
    before, last = path.read_bytes().rsplit(at_the_corner, 1)
    path.write_bytes(before + b"\x2c" + struct.pack("<HHHH", 5000, 0, 64, 48) + last)
    with open_video(path) as video:
        assert (len(video), video.height, video.width) == (4, 48, 64)


def test_an_animation_with_too_many_frames(tmp_path: Path) -> None:
    path = save_animation(tmp_path / "moving.gif", numbered(12))
    with pytest.raises(VideoError, match=r"'moving\.gif' has more than 11 frames"):
        open_video(path, limits=MediaLimits(frames=11))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks about a damaged TIFF
def test_random_damage_never_breaks_anything_but_the_picture(tmp_path: Path) -> None:
    outcomes = []
    for suffix in ("gif", "png", "webp", "jpg", "tiff"):
        path = tmp_path / f"picture.{suffix}"
        if suffix in ("jpg", "tiff"):
            save(path, photograph())
        else:
            save_animation(path, numbered(4))
        whole = path.read_bytes()
        for _ in range(40):
            data = bytearray(whole[: random.choice([len(whole), random.randrange(1, len(whole))])])
            for _ in range(random.choice([0, 1, 10, 100])):
                data[random.randrange(len(data))] = random.randrange(256)
            path.write_bytes(data)
            try:
                with open_video(path) as video:
                    outcomes.append({frame.shape for frame in video} == {(video.height, video.width, 3)})
            except VideoError as error:
                outcomes.append(str(tmp_path) not in str(error))
    assert len(outcomes) == 200
    assert all(outcomes)


def test_the_bytes_decide_and_not_the_name(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", numbered(5)).rename(tmp_path / "clip.jpg")
    save(tmp_path / "photo.png", photograph()).rename(tmp_path / "photo.mp4")
    assert len(open_video(tmp_path / "clip.jpg")) == 5
    assert open_video(tmp_path / "photo.mp4").is_image
