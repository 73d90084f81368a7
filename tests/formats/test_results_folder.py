"""A result on disk, to the pixel and the row; what is replaced and what is never touched."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_core.errors import PromptError, Sam2Error
from sam2_core.formats import ResultsFolder
from sam2_core.media import PALETTE, Video, open_video, video_from_array
from sam2_core.results import FrameResult, ObjectMask
from sam2_core.rle import Rle

FRAMES, H, W = 4, 45, 67


@pytest.fixture
def video() -> Video:
    return video_from_array(np.full((FRAMES, H, W, 3), 100, np.uint8), fps=5)


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path / "new" / "results")


def square(object_id: int, left: int, iou: float = 0.5, score: float = 3.25) -> ObjectMask:
    """Rows 10 to 19 and ten columns."""
    mask = np.zeros((H, W), bool)
    mask[10:20, left : left + 10] = True
    return ObjectMask(object_id, Rle.encode(mask), iou, score)


def labels(folder: ResultsFolder, frame_index: int) -> np.ndarray:
    with Image.open(folder.path / "masks" / f"{frame_index:05d}.png") as image:
        assert image.mode == "P"
        assert image.size == (W, H)
        assert image.getpalette() == PALETTE.ravel().tolist()
        return np.asarray(image)


def rows(folder: ResultsFolder) -> list[list[str]]:
    with (folder.path / "scores.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_every_frame_gets_a_mask(folder: ResultsFolder, video: Video) -> None:
    folder.write(video, [FrameResult(2, (square(200, 5), square(3, 10)))])
    assert sorted(path.name for path in (folder.path / "masks").iterdir()) == [f"0000{i}.png" for i in range(FRAMES)]
    assert [labels(folder, i).any() for i in range(FRAMES)] == [False, False, True, False]
    assert folder.mask_count == FRAMES
    # They overlap in columns 10 to 14, which go to the smaller id.
    assert labels(folder, 2)[10, 4:21].tolist() == [0] + [200] * 5 + [3] * 10 + [0]
    assert not labels(folder, 2)[9].any()
    assert not labels(folder, 2)[20].any()


def test_scores_are_in_order(folder: ResultsFolder, video: Video) -> None:
    folder.write(video, [FrameResult(3, (square(2, 0, 0.25, -1.5), square(1, 9))), FrameResult(0, (square(1, 9),))])
    assert rows(folder) == [
        ["frame", "object_id", "predicted_iou", "object_score"],
        ["0", "1", "0.500000", "3.250000"],
        ["3", "1", "0.500000", "3.250000"],
        ["3", "2", "0.250000", "-1.500000"],
    ]


def test_the_last_result_of_a_frame_counts(folder: ResultsFolder, video: Video) -> None:
    folder.write(video, [FrameResult(1, (square(1, 0),)), FrameResult(1, (square(2, 30, 0.75),))])
    assert set(np.unique(labels(folder, 1))) == {0, 2}
    assert rows(folder)[1:] == [["1", "2", "0.750000", "3.250000"]]


def test_the_overlay_is_the_video_with_tints(folder: ResultsFolder, video: Video) -> None:
    told: list[tuple[int, int]] = []
    folder.write(video, [FrameResult(1, (square(1, 20),))], lambda done, total: told.append((done, total)))
    assert told == [(i + 1, FRAMES) for i in range(FRAMES)]
    with open_video(folder.path / "overlay.mp4") as written:
        # H.264 counts pixels in pairs.
        assert (len(written), written.height, written.width, written.fps) == (FRAMES, H + 1, W + 1, 5.0)
        change = np.abs(written[1].astype(int) - 100).max(axis=2)
        assert change[12:18, 22:28].min() > 30
        assert change[25:, :].max() < 20
        assert np.abs(written[0].astype(int) - 100).max() < 20
    assert not (folder.path / "overlay.png").exists()


def test_a_picture_also_gets_a_picture(folder: ResultsFolder) -> None:
    wide = video_from_array(np.full((30, 4100, 3), 100, np.uint8))
    mask = np.zeros((30, 4100), bool)
    mask[:, :2000] = True
    folder.write(wide, [FrameResult(0, (ObjectMask(1, Rle.encode(mask), 1.0, 1.0),))])
    with Image.open(folder.path / "overlay.png") as image:
        assert image.size == (4100, 30)
        assert image.getpixel((4000, 15)) == (100, 100, 100)
        assert image.getpixel((1000, 15)) != (100, 100, 100)
    with open_video(folder.path / "overlay.mp4") as written:
        assert (len(written), written.width) == (1, 4096)


def test_logits_of_several_sweeps_are_joined(folder: ResultsFolder, video: Video) -> None:
    def results() -> Iterator[FrameResult]:
        folder.write_logits(1, {1: np.full((2, 2), 1, np.float32), 12: np.full((2, 2), 2, np.float32)})
        folder.write_logits(1, {12: np.full((2, 2), 3, np.float32)})
        yield FrameResult(1, ())

    folder.write(video, results())
    with np.load(folder.path / "logits" / "00001.npz", allow_pickle=False) as found:
        assert {name: (array.dtype, array.max()) for name, array in found.items()} == {
            "1": (np.float32, 1),
            "12": (np.float32, 3),
        }


def test_an_earlier_result_is_replaced_and_nothing_else(folder: ResultsFolder, video: Video) -> None:
    longer = video_from_array(np.zeros((FRAMES + 2, H, W, 3), np.uint8))
    folder.write(longer, [FrameResult(0, (square(1, 0),))])
    folder.write_logits(5, {1: np.zeros((2, 2), np.float32)})
    for name in ("notes.txt", "masks/mine.png", "logits/mine.npz"):
        (folder.path / name).write_text("mine")

    again = ResultsFolder(folder.path)
    assert again.holds_results
    again.write(video, [])
    assert sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*.*")) == sorted(
        ["logits/mine.npz", "masks/mine.png", "notes.txt", "overlay.mp4", "scores.csv"]
        + [f"masks/0000{i}.png" for i in range(FRAMES)]
    )
    assert rows(folder) == [["frame", "object_id", "predicted_iou", "object_score"]]


@pytest.mark.parametrize("scores", [None, "frame,score\n0,1\n"])
def test_somebodys_masks_are_refused(tmp_path: Path, scores: str | None) -> None:
    (tmp_path / "masks").mkdir()
    if scores is not None:
        (tmp_path / "scores.csv").write_text(scores)
    with pytest.raises(Sam2Error, match=r"already has masks.* which this program did not write; choose another"):
        ResultsFolder(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(Sam2Error, match="'results' is a file"):
        ResultsFolder(tmp_path / "results")


def test_an_unwritable_folder(tmp_path: Path, video: Video) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Sam2Error, match=r"cannot be written to 'results': Not a directory"):
        ResultsFolder(tmp_path / "file" / "results").write(video, [])


def test_what_would_be_replaced_is_known(folder: ResultsFolder, video: Video) -> None:
    folder.write(video, [])
    inside = [folder.path / name for name in ("masks", "masks/00000.png", "overlay.mp4")]
    assert [folder.replaces(path) for path in inside] == [True] * 3
    outside = [folder.path, folder.path / "clip.mp4", folder.path / "frames" / "0.jpg", folder.path.parent]
    assert [folder.replaces(path) for path in outside] == [False] * 4


def test_what_was_finished_before_a_failure_is_kept(folder: ResultsFolder, video: Video) -> None:
    def results() -> Iterator[FrameResult]:
        yield FrameResult(2, (square(1, 0),))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.write(video, results())
    assert folder.mask_count == 1
    assert labels(folder, 2)[10, 0] == 1
    assert rows(folder)[1:] == [["2", "1", "0.500000", "3.250000"]]
    assert ResultsFolder(folder.path).holds_results


def test_an_id_must_fit_into_a_byte(folder: ResultsFolder, video: Video) -> None:
    with pytest.raises(PromptError, match="objects 1 to 255"):
        folder.write(video, [FrameResult(0, (square(256, 0),))])
