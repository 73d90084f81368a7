"""The page as a visitor meets it: the real server, a real browser, a real clip, the shipped model.

Nothing here depends on how good the model is.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from sam2_core.media import open_video
from tests.browser.studio import ROOT, Studio, browsing, serving

CLIP = next((ROOT / "examples" / "clips").glob("*.mp4"))
ON_IT = (0.3, 0.62)
"""Where the object is, as fractions of the frame."""
Open = Callable[[], Studio]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing(chromium) as opened:
        yield opened


@pytest.fixture
def studio(browser: Browser, url: str) -> Iterator[Open]:
    """Opens tabs."""
    tabs: list[Studio] = []

    def make() -> Studio:
        tabs.append(Studio(browser.new_page(viewport={"width": 1280, "height": 900}), url))
        return tabs[-1]

    yield make
    for tab in tabs:
        tab.page.close()
    assert [tab.errors for tab in tabs] == [[]] * len(tabs)


def test_a_clip_from_the_first_click_to_the_download(studio: Open, tmp_path: Path) -> None:
    tab = studio()
    page = tab.page
    assert "not SAM 2.1" in page.locator("#banner").inner_text()
    tab.open_example(0)
    with open_video(CLIP) as video:
        count, size, seconds = len(video), (video.width, video.height), len(video) / video.fps
    assert page.locator("#slider input[type=range]").get_attribute("max") == str(count - 1)

    # A click: its dot is where it was made, and there are three candidates of which one is taken.
    before = tab.picture()
    tab.click(*ON_IT)
    after = tab.picture()
    assert (np.abs(after - before).max(axis=2) > 40).any()
    x, y = round(ON_IT[0] * after.shape[1]), round(ON_IT[1] * after.shape[0])
    red, green, _ = after[y - 7, x - 4]
    assert green > red + 60
    assert tab.cards.count() == 3
    scores = page.locator("#objects small").inner_text()
    assert "visible" in scores or "hidden" in scores
    assert page.locator("#candidates [aria-pressed=true]").count() == 1

    # Another candidate.
    other = page.locator("#candidates [aria-pressed=false]").first.get_attribute("data-pick")
    page.locator(f"#candidates [data-pick='{other}']").click()
    page.wait_for_selector(f"#candidates [data-pick='{other}'][aria-pressed=true]")

    # Tracking shows how far it is, and fills the ribbon.
    page.locator("#track").click()
    tab.wait_for_status("Tracking · frame")
    assert page.locator("#cancel").is_visible()
    tab.wait_for_status(f"Tracked {count} frames")
    page.wait_for_selector("#track", state="visible")
    assert tab.tracked_frames() == count

    # Another frame, by key; then playback.
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function("document.querySelector('#slider input[type=number]').value === '10'")
    page.locator("#play").click()
    page.wait_for_selector("#overlay video")
    if page.evaluate("document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.42E01E\"')"):
        page.wait_for_function("document.querySelector('#overlay video').currentTime > 0.2")
        assert page.evaluate("document.querySelector('#overlay video').duration") == pytest.approx(seconds, abs=0.1)
    page.keyboard.press("p")
    page.wait_for_selector("#frame img", state="visible")

    # All of it, to take home.
    with page.expect_download() as download:
        page.locator("#download").click()
    path = tmp_path / "masklets.zip"
    download.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        masks = [f"masks/{index:05d}.png" for index in range(count)]
        assert sorted(archive.namelist()) == sorted([*masks, "overlay.mp4", "scores.csv"])
        image = Image.open(io.BytesIO(archive.read(masks[-1])))
        assert (image.mode, image.size) == ("P", size)
        rows = list(csv.DictReader(io.StringIO(archive.read("scores.csv").decode())))
        assert [int(row["frame"]) for row in rows] == list(range(count))
        archive.extract("overlay.mp4", tmp_path)
    with open_video(tmp_path / "overlay.mp4") as overlay:
        assert (len(overlay), overlay.width, overlay.height) == (count, *size)


def test_right_click_shift_click_and_switch_are_negative_and_all_is_undone(studio: Open) -> None:
    tab = studio()
    tab.open_example(1)
    untouched = tab.picture()
    assert not tab.page.locator("#timeline").is_visible()  # it is a picture
    tab.click(0.5, 0.4)
    tab.click(0.1, 0.1, button="right")
    tab.page.keyboard.down("Shift")
    tab.click(0.9, 0.1)
    tab.page.keyboard.up("Shift")
    tab.page.keyboard.press("m")
    tab.click(0.9, 0.9)
    shown = tab.picture()
    for x, y in ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9)):
        red, green, _ = shown[round(y * shown.shape[0]) - 7, round(x * shown.shape[1]) - 4]
        assert red > green + 60
    tab.page.keyboard.press("n")
    tab.page.wait_for_selector("#objects [data-pick='2'][aria-pressed=true]")
    tab.drag(0.2, 0.2, 0.6, 0.8)
    assert tab.page.locator("#objects .object").count() == 2
    for _ in range(5):
        before = tab.address()
        tab.page.locator("#undo").click()
        tab.page.wait_for_function("before => document.querySelector('#frame img').src !== before", arg=before)
    assert tab.page.locator("#undo").is_disabled()
    assert np.array_equal(tab.picture(), untouched)


def test_cancel_keeps_what_is_finished_and_another_tab_sees_nothing_of_it(studio: Open) -> None:
    tab = studio()
    tab.open_example(0)
    tab.click(*ON_IT)
    tab.page.locator("#track").click()
    tab.wait_for_status("Tracking · frame")
    other = studio()
    assert other.page.locator("#start").is_visible()
    assert not other.page.locator("#frame img").is_visible()
    other.open_example(0)
    assert other.tracked_frames() == 0
    assert other.page.locator("#objects small").inner_text() == "no mask here yet"
    tab.page.locator("#cancel").click()
    tab.wait_for_status("Cancelled")
    finished = tab.tracked_frames()
    assert 1 <= finished < 132
    tab.page.wait_for_selector("#track", state="visible")
    assert tab.tracked_frames() == finished
    assert other.tracked_frames() == 0


def test_a_model_that_cannot_be_had_is_one_sentence_and_the_menu_goes_back(studio: Open) -> None:
    tab = studio()  # the server may not use the network
    tab.open_example(1)
    tab.click(0.5, 0.4)
    shown = tab.address()
    menu = tab.page.locator("#model input")
    menu.click()
    tab.page.get_by_role("option", name="sam2.1-hiera-tiny").click()
    tab.page.locator(".toast-body").wait_for()
    tab.page.wait_for_function("document.querySelector('#model input').value.startsWith('pocket')")
    tab.page.wait_for_timeout(1000)  # for a second message, if there were one
    assert tab.page.get_by_text("HF_HUB_OFFLINE forbids its download").count() == 1
    assert "small model of our own" in tab.page.locator("#banner").inner_text()
    assert tab.address() == shown


def test_a_broken_upload_is_one_sentence_and_a_good_one_opens(studio: Open, tmp_path: Path) -> None:
    tab = studio()
    broken = tmp_path / "holiday.mp4"
    broken.write_bytes(b"this is no video")
    tab.page.locator("#start input[type=file]").set_input_files(broken)
    message = tab.page.locator(".toast-body")
    message.wait_for()
    assert "'holiday.mp4' is neither a video" in message.inner_text()
    assert tab.page.locator("#start").is_visible()
    tab.page.locator("#start input[type=file]").set_input_files(CLIP)
    tab.page.wait_for_selector("#frame img[src^=data]")
    tab.page.locator("#leave").click()
    tab.page.wait_for_selector("#start", state="visible")
