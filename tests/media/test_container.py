"""Video files, good and bad, made by PyAV on the spot."""

import random
import re
from array import array
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from sam2_core.errors import VideoError
from sam2_core.media import MediaLimits, open_video
from sam2_core.media import container as container_module
from sam2_core.media.container import ContainerSource
from tests.media.makers import (
    number_of,
    numbered,
    numbered_frame,
    numbers_of,
    packet_places,
    turn,
    write_sound,
    write_video,
)

FORMATS = [
    pytest.param("clip.mp4", "libx264", 2, {}, id="mp4-h264-b-frames"),
    pytest.param("clip.mp4", "libx264", 2, {"x264-params": "open-gop=1"}, id="mp4-h264-open-gop"),
    pytest.param("clip.mov", "libx264", 0, {}, id="mov-h264"),
    pytest.param("clip.mkv", "libx265", 2, {"x265-params": "log-level=none"}, id="mkv-hevc"),
    pytest.param("clip.webm", "libvpx-vp9", 0, {"deadline": "realtime", "cpu-used": "8"}, id="webm-vp9"),
    pytest.param("clip.avi", "mpeg4", 0, {}, id="avi-mpeg4"),
    pytest.param("clip.avi", "libx264", 2, {}, id="avi-h264-without-times"),
    pytest.param("clip.avi", "mjpeg", 0, {}, id="avi-mjpeg"),
]
SMALL_WINDOW = MediaLimits(window_bytes=30_000)
"""Room for a few of the test frames."""
STEADY = {"sc_threshold": "0"}
"""x264 options: keyframes at the asked distance only, not at cuts too."""


def count_decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every frame that is decoded from here on adds an entry."""
    decoded: list[int] = []
    real = container_module.decode

    def counting(*arguments):
        for frame in real(*arguments):
            decoded.append(1)
            yield frame

    monkeypatch.setattr(container_module, "decode", counting)
    return decoded


@pytest.mark.parametrize(("name", "codec", "b_frames", "options"), FORMATS)
def test_any_order_gives_the_frames_of_reading_forward(
    tmp_path: Path, name: str, codec: str, b_frames: int, options: dict[str, str]
) -> None:
    path = write_video(tmp_path / name, numbered(60), codec=codec, b_frames=b_frames, options=options)
    with open_video(path, limits=SMALL_WINDOW) as video:
        assert (len(video), video.height, video.width, video.is_image) == (60, 48, 64, False)
        assert video.fps == pytest.approx(25, rel=0.02)
        forward = list(video)
        assert numbers_of(forward) == list(range(60))
        order = [*reversed(range(60)), *random.sample(range(60), 60)]
        assert all(np.array_equal(video[index], forward[index]) for index in order)


@pytest.mark.parametrize(("name", "codec", "b_frames", "options"), FORMATS[:-2])
def test_every_keyframe_is_an_entrance(
    tmp_path: Path, name: str, codec: str, b_frames: int, options: dict[str, str]
) -> None:
    path = write_video(tmp_path / name, numbered(60), codec=codec, b_frames=b_frames, options=options)
    decoder = ContainerSource(path, SMALL_WINDOW)._reader._decoder
    assert len(decoder._index.keyframes) >= 5
    for keyframe in decoder._index.keyframes:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(decoder.frames_from(keyframe), 5)]
        assert numbers_of(frames) == list(range(60))[keyframe : keyframe + 5]


def test_a_jump_that_lands_elsewhere_gives_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(48), options=STEADY)
    decoder = ContainerSource(path, SMALL_WINDOW)._reader._decoder
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert list(decoder._consecutive(iter(frames), 12)) == frames[12:]
    assert list(decoder._consecutive(iter(frames[13:]), 12)) == []
    assert list(decoder._consecutive(iter([*frames[:20], *frames[22:]]), 12)) == frames[12:20]


def test_a_jump_that_fails_gives_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", numbered(48), codec="mpeg4")
    path.write_bytes(path.read_bytes().partition(b"idx1")[0])  # without its index FFmpeg can jump nowhere yet
    source = ContainerSource(path, SMALL_WINDOW)
    decoder = source._reader._decoder
    decoder._index.stamps[12] = -(2**62)
    assert list(decoder.frames_from(12)) == []
    assert number_of(source.read(14)) == 14


def test_reading_forward_is_one_decode_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(60), b_frames=2)
    with open_video(path, limits=SMALL_WINDOW) as video:
        decoded = count_decoded(monkeypatch)
        assert numbers_of(video) == list(range(60))
        assert len(decoded) == 60


def kept_frames(source: ContainerSource) -> dict[int, av.VideoFrame]:
    """The decoded frames that a source holds."""
    return dict(source._reader._window)


def test_the_window_keeps_the_last_frames_within_its_bytes(tmp_path: Path) -> None:
    source = ContainerSource(write_video(tmp_path / "clip.mp4", numbered(120)), SMALL_WINDOW)
    for index in range(120):
        source.read(index)
    held = kept_frames(source)
    assert list(held) == list(range(120 - len(held), 120))
    one = sum(plane.buffer_size for plane in held[119].planes)
    assert len(held) == SMALL_WINDOW.window_bytes // one >= 3


def test_walking_backward_decodes_each_group_of_pictures_once_per_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(120), gop=12, options=STEADY)
    source = ContainerSource(path, SMALL_WINDOW)
    source.read(0)
    source.read(60)
    window = len(kept_frames(source))
    decoded = count_decoded(monkeypatch)
    assert numbers_of(source.read(index) for index in reversed(range(120))) == list(reversed(range(120)))
    per_group = sum(range(12, 0, -window))
    assert 12 < per_group < 12 * 13 / 2
    assert len(decoded) <= 10 * per_group


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_rotation_is_applied(tmp_path: Path, quarter_turns: int, mirrored: bool) -> None:
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:24, :32] = (250, 40, 40)
    stored[24:, 32:] = (40, 40, 250)
    path = write_video(tmp_path / "clip.mp4", [stored] * 3, options={"qp": "0"})
    turn(path, quarter_turns, mirrored=mirrored)
    with av.open(str(path)) as container:
        raw = next(container.decode(video=0)).to_ndarray(format="rgb24")
    shown = np.rot90(raw, quarter_turns)
    shown = shown[:, ::-1] if mirrored else shown
    with open_video(path) as video:
        assert (video.height, video.width) == shown.shape[:2]
        assert np.array_equal(video[1], shown)


def test_frames_of_uneven_length_each_count_once(tmp_path: Path) -> None:
    ticks = [0, 1, 2, 50, 51, 120, 200, 203, 300, 400]
    path = write_video(tmp_path / "clip.mp4", numbered(10), ticks=ticks, b_frames=2)
    with open_video(path) as video:
        assert numbers_of(video) == list(range(10))
        assert video.fps == pytest.approx(9 / 4.0)


@pytest.mark.parametrize(("height", "width"), [(47, 63), (1, 1), (33, 16)])
def test_odd_sizes(tmp_path: Path, height: int, width: int) -> None:
    frames = [np.full((height, width, 3), 40 * index, np.uint8) for index in range(4)]
    with av.open(str(tmp_path / "odd.avi"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    with open_video(tmp_path / "odd.avi") as video:
        assert all(np.array_equal(shown, frame) for shown, frame in zip(video, frames, strict=True))


def test_one_frame(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "one.mp4", numbered(1))) as video:
        assert (len(video), video.is_image, video.fps) == (1, False, 24.0)
        assert number_of(video[0]) == 0


@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.9])
def test_a_file_cut_off_gives_the_frames_that_are_there(tmp_path: Path, fraction: float) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(60), gop=6)
    places = packet_places(path)
    whole = int(len(places) * fraction)
    end, size = places[whole]
    path.write_bytes(path.read_bytes()[: end + size // 2])
    with open_video(path, limits=SMALL_WINDOW) as video:
        forward = list(video)
        assert len(video) == len(forward)
        assert whole <= len(video) <= whole + 1  # half a packet may still make a frame
        assert numbers_of(forward[:whole]) == list(range(whole))
        assert numbers_of(video[index] for index in reversed(range(whole))) == list(reversed(range(whole)))


@pytest.mark.parametrize(
    ("name", "codec", "notice"),
    [
        ("clip.mp4", "libx264", r"\d+ of about 60 frames can be read: the file seems cut off; .+\."),
        ("clip.avi", "mpeg4", r"\d+ of about 60 frames can be read: the file seems cut off; .+\."),
        ("clip.mkv", "libx264", r"only \d+ frames can be read: the file seems cut off; .+\."),
        ("clip.webm", "libvpx-vp9", r"only \d+ frames can be read: the file seems cut off; .+\."),
    ],
)
def test_a_file_cut_off_says_so_and_a_whole_one_does_not(tmp_path: Path, name: str, codec: str, notice: str) -> None:
    path = write_video(tmp_path / name, numbered(60), codec=codec)
    with open_video(path) as video:
        assert (len(video), video.notice) == (60, "")
    path.write_bytes(path.read_bytes() + b"what others append")
    with open_video(path) as video:
        assert (len(video), video.notice) == (60, "")
    start, size = packet_places(path)[30]
    path.write_bytes(path.read_bytes()[: start + size // 2])
    with open_video(path) as video:
        assert 25 < len(video) < 35
        assert re.fullmatch(notice, video.notice)


def test_damage_is_not_taken_for_a_cut(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", numbered(30), codec="mjpeg")
    data = bytearray(path.read_bytes())
    start, size = packet_places(path)[7]
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    with open_video(path) as video:
        assert (len(video), video.notice) == (29, "")


@pytest.mark.parametrize(("name", "codec"), [("clip.mov", "libx264"), ("clip.webm", "libvpx-vp9")])
def test_a_file_cut_off_before_it_can_be_played_is_no_unknown_kind(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, numbered(60), codec=codec)
    path.write_bytes(path.read_bytes()[: 40 if path.suffix == ".webm" else -100])
    with pytest.raises(VideoError, match=r"'clip\.\w+' is a video that is cut off or damaged: .*copy or upload it"):
        open_video(path)


def test_garbage_packets_are_skipped(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", numbered(30), codec="mjpeg")
    data = bytearray(path.read_bytes())
    for packet in (7, 8, 21):
        start, size = packet_places(path)[packet]
        data[start : start + size] = bytes(size)
    path.write_bytes(data)
    expected = [number for number in range(30) if number not in (7, 8, 21)]
    with open_video(path, limits=SMALL_WINDOW) as video:
        assert len(video) == 27
        assert numbers_of(video) == expected
        assert numbers_of(video[index] for index in reversed(range(27))) == list(reversed(expected))


def decode_alone(path: Path) -> list[np.ndarray]:
    """What one thread makes of a damaged file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def test_damage_looks_the_same_each_time(tmp_path: Path) -> None:
    texture = np.random.default_rng(0).integers(0, 255, (60, 120, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    path = write_video(
        tmp_path / "clip.mp4", [texture[index : index + 96, 2 * index : 2 * index + 128] for index in range(60)]
    )
    data = bytearray(path.read_bytes())
    start, size = packet_places(path)[24]
    for place in range(start + size // 3, start + size, 50):
        data[place] ^= 0xFF
    path.write_bytes(data)
    with open_video(path, limits=SMALL_WINDOW) as video:
        forward = list(video)
        assert len(video) == 60
        assert all(
            np.array_equal(frame, concealed) for frame, concealed in zip(forward, decode_alone(path), strict=True)
        )
        assert all(np.array_equal(video[index], forward[index]) for index in reversed(range(60)))


def test_keyframes_behind_the_first_damage_are_not_entered(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(48), gop=12, options=STEADY)
    assert container_module._FrameIndex.of(path, MediaLimits()).keyframes == array("q", [0, 12, 24, 36])
    start, size = packet_places(path)[30]
    data = bytearray(path.read_bytes())
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    assert container_module._FrameIndex.of(path, MediaLimits()).keyframes == array("q", [0, 12, 24])


def test_random_damage_never_breaks_anything_but_the_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(30), b_frames=2)
    whole = path.read_bytes()
    outcomes = []
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(random.choice([1, 10, 100])):
            data[random.randrange(len(data))] = random.randrange(256)
        path.write_bytes(data)
        try:
            with open_video(path) as video:
                outcomes.append({frame.shape for frame in video} == {(video.height, video.width, 3)})
        except VideoError as error:
            outcomes.append(str(tmp_path) not in str(error))
    assert all(outcomes)


def test_an_empty_packet_is_no_damage(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mov", numbered(20), codec="mjpeg")
    sizes = [size for _, size in packet_places(path)]
    data = path.read_bytes()
    table = b"".join(size.to_bytes(4, "big") for size in sizes)
    assert data.count(table) == 1
    sizes[7:9] = [sizes[7] + sizes[8], 0]  # frame 8 becomes bytes that nobody reads behind frame 7
    path.write_bytes(data.replace(table, b"".join(size.to_bytes(4, "big") for size in sizes)))
    with open_video(path) as video:
        assert numbers_of(video) == [number for number in range(20) if number != 8]
    assert len(container_module._FrameIndex.of(path, MediaLimits()).keyframes) == 19


def test_frames_that_change_their_size_are_scaled_and_hostile_ones_left_out(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    sizes = [(48, 64), (96, 128), (640, 480), (48, 64)]
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number, (height, width) in enumerate(sizes):
            single = write_video(tmp_path / "single.avi", [numbered_frame(number, height, width)], codec="mjpeg")
            with av.open(str(single)) as source:
                packet = next(source.demux(video=0))
                packet.stream, packet.pts, packet.dts = stream, number, number
                target.mux(packet)
    with open_video(path, limits=MediaLimits(pixels=128 * 96)) as video:
        assert numbers_of(video) == [0, 1, 3]
        assert {frame.shape for frame in video} == {(48, 64, 3)}


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"'song\.mp4' holds no moving pictures"):
        open_video(write_sound(tmp_path / "song.mp4"))


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    song = write_sound(tmp_path / "song.mp4")
    cover = write_video(tmp_path / "cover.avi", numbered(1), codec="mjpeg")
    with av.open(str(tmp_path / "album.mp4"), "w") as target, av.open(str(song)) as sound, av.open(str(cover)) as art:
        for source in (sound, art):
            stream = target.add_stream_from_template(source.streams[0])
            if source is art:
                stream.disposition = av.stream.Disposition.attached_pic.value
        for source, stream in zip((sound, art), target.streams, strict=True):
            for packet in source.demux(source.streams[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    with pytest.raises(VideoError, match=r"'album\.mp4' holds no moving pictures"):
        open_video(tmp_path / "album.mp4")


def test_no_frame_at_all(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", numbered(5), codec="mjpeg")
    data = bytearray(path.read_bytes())
    for start, size in packet_places(path):
        data[start : start + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"no frame of 'clip\.avi' can be decoded"):
        open_video(path)


def test_an_unknown_codec(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(5))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(VideoError, match=r"'clip\.mp4' uses a codec that is not known here"):
        open_video(path)


def test_frames_too_large(tmp_path: Path) -> None:
    path = write_video(tmp_path / "large.avi", [np.zeros((4112, 4096, 3), np.uint8)], codec="mpeg4")
    with pytest.raises(VideoError, match=r"'large\.avi' are 4096 x 4112 pixels; a frame may have 16,777,216 pixels"):
        open_video(path)


def test_too_many_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", numbered(30))
    with pytest.raises(VideoError, match=r"'long\.mp4' has more than 29 frames"):
        open_video(path, limits=MediaLimits(frames=29))
    assert len(open_video(path, limits=MediaLimits(frames=30))) == 30


@pytest.mark.parametrize(
    "script",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{victim}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {victim}\n",
    ],
    ids=["playlist", "concat"],
)
def test_a_script_cannot_reach_other_files(tmp_path: Path, script: str) -> None:
    victim = write_video(tmp_path / "victim.mp4", numbered(3))
    path = tmp_path / "clip.mp4"
    path.write_text(script.format(victim=victim.name))
    with pytest.raises(VideoError, match=r"'clip\.mp4' is neither a video"):
        open_video(path)


def test_a_file_that_vanishes_is_a_clear_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(30))
    with open_video(path) as video:
        path.unlink()
        with pytest.raises(VideoError, match=r"'clip\.mp4' cannot be read: No such file"):
            _ = video[3]


def test_the_shared_clips(shared: Path) -> None:
    clips = sorted((shared / "data" / "clips").glob("*.mp4"))
    if not clips:
        pytest.skip("no clips in ../shared/data/clips")
    for clip in clips:
        with open_video(clip) as video, av.open(str(clip)) as reference:
            plain = list(reference.decode(video=0))
            assert (len(video), video.height, video.width, video.fps) == (len(plain), 480, 854, 24.0)
            for index in (len(plain) - 1, len(plain) // 2):
                assert np.array_equal(video[index], plain[index].to_ndarray(format="rgb24"))


def test_the_example_clip() -> None:
    clip = Path(__file__).resolve().parents[2] / "examples" / "clips" / "big-buck-bunny.mp4"
    with open_video(clip) as video:
        assert (len(video), video.height, video.width, video.fps) == (132, 480, 854, 25.0)
