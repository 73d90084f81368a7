"""Imported masks: new objects, one step, as if tracked; the model learns of them when it has to."""

from pathlib import Path

import numpy as np
import pytest

from sam2_core.errors import ProjectError, PromptError, SessionLimit
from sam2_core.prompts import Point
from sam2_core.rle import Rle
from sam2_core.session.command_json import from_json, to_json
from sam2_core.session.commands import AddPoint, ClearFrame, ImportMasks, SetMask, Undo
from sam2_core.session.limits import Limits
from tests.fakes import HEIGHT, WIDTH, fake_model
from tests.session.working import HERE, THERE, session_in, tracked


def disc(left: int, height: int = HEIGHT) -> Rle:
    pixels = np.zeros((height, WIDTH), bool)
    pixels[8:16, left : left + 8] = True
    return Rle.encode(pixels)


GIVEN = {7: {frame: disc(frame) for frame in (3, 4, 5, 9)}, 200: {0: disc(2)}}


def test_an_import_makes_new_objects_in_one_step(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    session.do(AddPoint(1, 0, HERE))
    session.do(ImportMasks.of(GIVEN, session.document.next_object_id))
    found = session.document.objects
    assert list(found) == [1, 2, 3]
    assert {frame: mask.mask for frame, mask in found[2].masklet.items()} == GIVEN[7]
    assert {mask.predicted_iou for mask in found[2].masklet.values()} == {1.0}
    assert list(found[2].prompts) == [3, 9]  # the first of each stretch
    session.do(Undo())
    assert list(session.document.objects) == [1]


def test_tracking_goes_on_around_imported_masks(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    session.do(ImportMasks.of({1: GIVEN[7]}, 1))
    assert session.track().wait().done == 14 + 1 + 3  # 6 to 19, 8 where it meets them, 2 to 0
    masks = session.document.masklets()[1]
    assert sorted(masks) == list(range(20))
    assert {frame: masks[frame].mask for frame in GIVEN[7]} == GIVEN[7]


def test_a_correction_spreads_into_imported_masks(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    given = {frame: disc(frame) for frame in range(20)}
    session.do(ImportMasks.of({1: given}, 1))
    session.do(AddPoint(1, 10, THERE))
    masks = tracked(session)[1]
    assert masks[0].mask == given[0]  # what a person gave
    assert masks[11].mask != given[11]


def test_clearing_the_first_frame_leaves_the_others(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    session.do(ImportMasks.of({1: {3: disc(3), 4: disc(4)}}, 1))
    session.do(ClearFrame(1, 3))
    assert sorted(session.document.masklets()[1]) == [4]


def test_whoever_takes_back_the_first_mask_of_a_stretch_keeps_the_others_and_can_track(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    session.do(ImportMasks.of({1: GIVEN[7]}, 1))
    session.do(ClearFrame(1, 3))
    assert {frame: mask.mask for frame, mask in session.document.masklets()[1].items()} == {
        frame: GIVEN[7][frame] for frame in (4, 5, 9)
    }
    assert list(session.document.objects[1].prompts) == [9, 4]
    masks = tracked(session)[1]
    assert sorted(masks) == list(range(20))
    assert {frame: masks[frame].mask for frame in (4, 5, 9)} == {frame: GIVEN[7][frame] for frame in (4, 5, 9)}
    session.close()
    again = session_in(tmp_path)
    assert again.document.masklets()[1] == masks
    again.do(AddPoint(1, 15, THERE))
    again.use("other", fake_model())
    assert list(again.document.objects[1].prompts) == [4, 9, 15]


def test_an_import_of_which_all_is_taken_back_has_no_masks_and_can_be_prompted(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    session.do(ImportMasks.of({1: {3: disc(3), 4: disc(4)}}, 1))
    tracked(session)
    session.do(ClearFrame(1, 3))
    session.do(ClearFrame(1, 4))
    assert session.document.masklets() == {1: {}}
    with pytest.raises(PromptError, match="nothing to track yet"):
        session.track()
    session.do(AddPoint(1, 0, HERE))
    assert sorted(tracked(session)[1]) == list(range(20))


def test_masks_that_rest_on_a_taken_back_correction_go_and_imported_ones_stay(tmp_path: Path) -> None:
    source, session = session_in(tmp_path / "source", 60), session_in(tmp_path / "it", 60)
    source.do(AddPoint(1, 0, HERE))
    given = {frame: mask.mask for frame, mask in tracked(source)[1].items()}
    session.do(ImportMasks.of({1: given}, 1))
    session.do(AddPoint(1, 3, Point(0.1, 0.1)))
    changed = {frame for frame, mask in tracked(session)[1].items() if mask.mask != given[frame]}
    assert {1, 3, 4} <= changed < set(range(1, 30))
    session.do(ClearFrame(1, 0))
    session.do(ClearFrame(1, 3))
    state = session.document.objects[1]
    assert {frame: mask.mask for frame, mask in state.masklet.items()} == {
        frame: mask for frame, mask in given.items() if frame not in changed | {0}
    }
    assert sorted(tracked(session)[1]) == list(range(60))


def test_an_import_survives_a_restart_and_another_model(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    session.do(ImportMasks.of(GIVEN, 1))
    before = tracked(session)
    session.close()
    again = session_in(tmp_path)
    assert again.document.masklets() == before
    again.use("other", fake_model())
    masks = {key: {frame: m.mask for frame, m in own.items()} for key, own in again.document.masklets().items()}
    assert masks == {1: GIVEN[7], 2: GIVEN[200]}


def test_the_commands_json_holds_the_masks() -> None:
    command = ImportMasks.of(GIVEN, 1)
    assert from_json(to_json(command)) == command
    with pytest.raises(ProjectError):
        from_json('{"do": "import_masks", "masks": [[1, 0]]}')


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ((SetMask(1, 20, disc(3)),), "frames 0 to 19"),
        ((SetMask(1, 0, disc(3, HEIGHT + 1)),), "the clip's size"),
    ],
)
def test_an_import_that_does_not_fit_changes_nothing(tmp_path: Path, masks: tuple[SetMask], message: str) -> None:
    session = session_in(tmp_path)
    with pytest.raises(PromptError, match=message):
        session.do(ImportMasks(masks))
    assert session.document.objects == {}
    assert not session.can_undo


def test_an_import_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="1 to 255"):
        ImportMasks.of(GIVEN, 255)
    with pytest.raises(PromptError, match="two"):
        ImportMasks((SetMask(1, 0, disc(3)), SetMask(1, 0, disc(4))))
    with pytest.raises(SessionLimit, match="2 objects"):
        session_in(tmp_path, limits=Limits(objects=2)).do(ImportMasks.of(GIVEN | {8: GIVEN[7]}, 1))
