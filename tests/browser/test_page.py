"""The page as an annotator meets it: the real server, a real browser, a real clip, the shipped model.

Nothing here depends on how good the model is.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from pycocotools.coco import COCO

from sam2_core.media import open_video
from sam2_core.rle import Rle
from tests.app.uploads import UPLOADS
from tests.browser.conftest import Open
from tests.browser.studio import CLIP, Server, Studio

ON_IT, ALSO_ON_IT = (0.3, 0.62), (0.36, 0.5)
"""On the first object, as fractions of the frame."""
AROUND_ANOTHER = ((0.55, 0.3), (0.9, 0.85))
STROKE = ((0.1, 0.1), (0.2, 0.1))
FIRST, MIDDLE, LAST = 2, 6, 10
"""Frames of the range that is tracked; the prompts are in its middle."""
Masks = dict[int, dict[int, Rle]]


def shown(tab: Studio) -> Masks:
    """What the canvas shows in the range, by frame and object."""
    return {frame: tab.masks(frame) for frame in range(FIRST, LAST + 1)}


def exported(tab: Studio, folder: Path) -> Masks:
    """The same, of the COCO file that the page offers, as pycocotools reads it."""
    tab.choose("#format", "COCO JSON")
    path = folder / "coco.json"
    tab.download("#export").save_as(path)
    coco, masks = COCO(path), Masks()
    for annotation in coco.loadAnns(coco.getAnnIds()):
        frame = coco.loadImgs(annotation["image_id"])[0]["frame_index"]
        masks.setdefault(frame, {})[annotation["track_id"]] = Rle.encode(coco.annToMask(annotation))
    return masks


@pytest.mark.filterwarnings("ignore:.*copy keyword:DeprecationWarning:pycocotools")
def test_an_annotation_from_the_first_click_to_the_export(studio: Open, tmp_path: Path) -> None:
    tab = studio()
    expect(tab.page.locator("#banner")).to_contain_text("not SAM 2.1")
    tab.open_example()
    with open_video(CLIP) as video:
        assert tab.known("clip") == {
            "name": CLIP.name, "width": video.width, "height": video.height,
            "frames": len(video), "rate": video.fps, "still": False, "notice": "",
        }  # fmt: skip
    tab.go_to(MIDDLE)

    # A click paints a mask, one of three candidates.
    bare = tab.picture()
    tab.click(ON_IT)
    cards = tab.page.locator(".card[aria-label^=Candidate]")
    expect(cards).to_have_count(3)
    for card in cards.all():
        assert re.search(r"[01]\.\d\d\s*predicted IoU", card.inner_text())
    mask = tab.masks(MIDDLE)[1]
    changed = np.abs(tab.picture() - bare).max(axis=2) > 12
    assert changed[mask.decode()].mean() > 0.9
    assert changed[~mask.decode()].mean() < 0.1

    # Another candidate.
    other = [card.get_attribute("aria-pressed") for card in cards.all()].index("false")
    cards.nth(other).click()
    tab.settle()
    expect(cards.nth(other)).to_have_attribute("aria-pressed", "true")
    assert tab.masks(MIDDLE)[1] == tab.candidates(1, MIDDLE)[other] != mask

    # A box on a second object, a brush on a third.
    tab.press("n")
    tab.drag(*AROUND_ANOTHER)
    tab.press("n", "b")
    tab.drag(*STROKE)
    tab.press("c")
    assert tab.masks(MIDDLE).keys() == {1, 2, 3}
    width, height = tab.size
    painted = tab.masks(MIDDLE)[3].decode()
    assert painted[round(0.1 * height), round(0.1 * width) : round(0.2 * width)].all()
    assert painted.mean() < 0.02

    # Track both ways, in a range.
    tab.set_range(FIRST, LAST)
    tab.go_to(MIDDLE)
    prompted = tab.masks(MIDDLE)
    tab.page.keyboard.press("t")
    expect(tab.page.locator(".progress")).to_contain_text("of")
    tab.finish_tracking()
    tracked = shown(tab)
    assert [masks.keys() for masks in tracked.values()] == [{1, 2, 3}] * (LAST - FIRST + 1)
    assert tracked[MIDDLE] == prompted
    assert tab.masks(FIRST - 1) == tab.masks(LAST + 1) == {}

    # Correct a frame and track again: the frame stays as corrected.
    tab.go_to(LAST - 1)
    tab.press("ArrowUp", "ArrowUp")
    tab.click(ALSO_ON_IT)
    corrected = tab.masks(LAST - 1)
    assert corrected[1] != tracked[LAST - 1][1]
    before = shown(tab)
    tab.track()
    after = shown(tab)
    assert after[LAST - 1] == corrected

    # There and back.
    tab.press("Control+z")
    assert shown(tab) == before
    tab.press("Control+Shift+Z")
    assert shown(tab) == after

    # The next problem; it is locked, and what is tracked now leaves it alone.
    problem = next(iter(tab.known("problems()")), None)
    tab.press("j")
    if problem is None:
        expect(tab.message).to_contain_text("No problem is left")
    else:
        tab.wait(f"window.painted === {problem['frame']}")
        expect(tab.message).to_contain_text(f"frame {problem['frame']}: {problem['why']}")
    tab.press("l")
    ((locked_object, locked_frame),) = tab.known("lockedFrames")
    assert problem is None or (problem["obj"], problem["frame"]) == (locked_object, locked_frame)
    kept = tab.masks(locked_frame)[locked_object]
    tab.go_to(FIRST if locked_frame != FIRST else LAST)
    tab.click(ALSO_ON_IT)
    tab.track()
    assert tab.masks(locked_frame)[locked_object] == kept

    # What is taken home is what is shown; and all of it outlives a reload.
    final = shown(tab)
    visible = {frame: {obj: mask for obj, mask in masks.items() if mask.area} for frame, masks in final.items()}
    assert exported(tab, tmp_path) == visible
    said = tab.said()
    tab.load()
    tab.wait_for_clip()
    assert tab.said() == said
    expect(tab.page.locator("#format input")).to_have_value("COCO JSON")
    assert shown(tab) == final
    tab.button("Undo").click()
    tab.settle()
    assert shown(tab) != final


def test_cancelled_tracking_keeps_what_is_finished_and_another_tab_sees_nothing_of_it(studio: Open) -> None:
    tab = studio()
    tab.open_example()
    tab.click(ON_IT)
    tab.page.keyboard.press("t")
    tab.wait("session.job?.done >= 3")
    other = studio()
    expect(other.start).to_be_visible()
    other.open_example()
    assert other.known("objects") == []
    assert other.known("token") != tab.known("token")
    tab.button("Cancel tracking").click()
    tab.finish_tracking()
    expect(tab.message).to_contain_text("Cancelled")
    finished = tab.known("masks.size")
    assert 3 < finished < tab.known("clip.frames")
    assert tab.masks(3)[1].area
    assert other.known("objects") == []


def test_a_killed_server_has_lost_nothing(studio: Open, server: Server) -> None:
    tab = studio()
    tab.open_example()
    tab.click(ON_IT)
    tab.press("n")
    tab.drag(*AROUND_ANOTHER)
    tab.page.keyboard.press(".")
    tab.wait("session.job?.done > 8")
    said, masks = tab.said(), {frame: tab.masks(frame) for frame in range(8)}
    server.kill()
    tab.page.goto("about:blank")  # once the server is back, Gradio's page may load itself anew, just as we do
    server.start()
    tab.load()
    tab.wait_for_clip()
    tab.errors.clear()  # requests that the dead server could not answer
    assert tab.said() == said
    assert {frame: tab.masks(frame) for frame in range(8)} == masks
    tab.set_range(0, 30)
    tab.track(".")
    assert tab.masks(30).keys() == {1, 2}


def test_a_project_goes_on_in_another_browser(studio: Open, tmp_path: Path) -> None:
    tab = studio()
    tab.open_example(1)
    expect(tab.page.locator(".timeline")).to_be_hidden()  # it is a picture
    tab.click((0.5, 0.4))
    tab.press("F2")
    tab.page.keyboard.type("a <b>cup</b>")
    tab.press("Enter")
    project = tmp_path / "project.zip"
    tab.download("#save").save_as(project)
    other = studio()
    other.upload(project, button="#open-project")
    other.wait_for_clip()
    assert other.known("objects")[0]["name"] == "a <b>cup</b>"
    assert other.said() == tab.said()
    assert other.masks(0) == tab.masks(0)
    expect(tab.page.locator("#file-status p")).to_contain_text("1 object in 1 frame")
    expect(tab.page.locator("#file-status [data-old]")).to_have_count(0)
    tab.button("Hide").click()
    expect(tab.page.locator("#file-status [data-old]")).to_have_count(1)


def test_a_model_that_cannot_be_had_is_one_sentence_and_the_menu_goes_back(studio: Open) -> None:
    tab = studio()  # the server may not use the network
    tab.open_example(1)
    tab.click((0.5, 0.4))
    before = tab.masks(0)
    tab.choose("#model", "sam2.1-hiera-tiny")
    expect(tab.toast).to_have_count(1)
    expect(tab.toast).to_contain_text("cannot be had right now; choose pocket, which needs no download")
    tab.wait("document.querySelector('#model input').value.startsWith('pocket')")
    expect(tab.page.locator("#banner")).to_contain_text("small model of our own")
    assert tab.masks(0) == before


def test_uploads_that_cannot_be_used_are_one_sentence_each_and_good_ones_open(studio: Open, tmp_path: Path) -> None:
    tab = studio()
    for kind, words in (("a text", "'holiday.mp4' is neither a video"), ("sound alone", "holds no moving pictures")):
        upload = UPLOADS[kind]
        upload.make(tmp_path / upload.name)
        tab.upload(tmp_path / upload.name)
        expect(tab.toast).to_contain_text(words)
    expect(tab.start).to_be_visible()
    for kind in ("a clip cut off in the middle", "a GIF with transparency"):
        upload = UPLOADS[kind]
        upload.make(tmp_path / upload.name)
        tab.upload(tmp_path / upload.name)
        tab.wait_for_clip()
        tab.click((0.5, 0.5))
        assert tab.masks(0).keys() == {1}
        tab.leave()
        expect(tab.start).to_be_visible()
