"""The canvas as a user meets it, in a real browser, with a pretended host that answers as docs/protocol.md says."""

import base64
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Browser, expect

from sam2_core.rle import BoolMask, Rle
from tests.browser.canvas_tab import PATIENCE
from tests.browser.studio import browsing
from tests.canvas.canvas_page import AROUND_BLUE, RED_BALL, SKY, YELLOW_BALL, CanvasPage, serving

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE * 1000)
Open = Callable[..., CanvasPage]
BESIDE_THE_DOT = (RED_BALL[0] + 0.03, RED_BALL[1] + 0.03)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing(chromium) as opened:
        yield opened


@pytest.fixture
def canvas(browser: Browser, url: str) -> Iterator[Open]:
    """Opens pages."""
    pages: list[CanvasPage] = []

    def make(query: str = "", **context: Any) -> CanvasPage:
        pages.append(CanvasPage(browser, url, query, **context))
        return pages[-1]

    yield make
    for page in pages:
        page.page.close()
    assert [page.errors for page in pages] == [[]] * len(pages)


def decoded(message: dict[str, Any]) -> BoolMask:
    """The mask of a message, ``[720, 1280]``."""
    return Rle(720, 1280, base64.b64decode(message["rle"])).decode()


def test_pure_helpers_pass_their_own_tests() -> None:
    node, _ = compute_driver_executable()  # Playwright brings one, so that nobody needs to have it
    tests = Path(__file__).with_name("helpers.test.mjs")
    finished = subprocess.run([node, "--test", str(tests)], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout


def test_a_double_click_is_one_click(canvas: Open) -> None:
    tab = canvas()
    tab.page.mouse.dblclick(*tab.at(RED_BALL))
    tab.settle()
    assert len(tab.said("click")) == 1


def test_a_click_is_seen_at_once_and_then_answered_by_a_mask_with_candidates(canvas: Open) -> None:
    tab = canvas()
    before = tab.pixel(BESIDE_THE_DOT)
    tab.page.evaluate("host.hold()")
    tab.page.mouse.click(*tab.at(RED_BALL))
    tab.page.evaluate("() => new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)))")
    assert tab.pixel((RED_BALL[0], RED_BALL[1] + 0.007), layer=1)[3] > 100  # the dot, before any answer
    assert tab.said("click") == []  # the object comes first
    tab.page.evaluate("host.release()")
    click = tab.wait_for("click")
    assert (click["x"], click["y"]) == pytest.approx(RED_BALL, abs=0.002)
    assert (click["frame"], click["obj"], click["positive"]) == (0, 1, True)
    expect(tab.page.locator(".card")).to_have_count(3)
    assert np.abs(np.subtract(tab.pixel(BESIDE_THE_DOT), before)).max() > 30
    tab.press("2")
    assert tab.wait_for("choose")["candidate"] == 2
    expect(tab.page.locator(".card").nth(1)).to_have_attribute("aria-pressed", "true")


def test_right_button_shift_and_the_switch_make_negative_clicks(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    tab.click(SKY, button="right")
    tab.page.keyboard.down("Shift")
    tab.click((0.2, 0.1))
    tab.page.keyboard.up("Shift")
    tab.press("x")
    tab.click((0.3, 0.1))
    assert [click["positive"] for click in tab.said("click")] == [True, False, False, False]
    expect(tab.page.locator(".chip")).to_have_count(4)


def test_on_a_touch_screen_the_switch_makes_negative_clicks(canvas: Open) -> None:
    tab = canvas(has_touch=True)
    tab.page.touchscreen.tap(*tab.at(RED_BALL))
    tab.wait_for("click")
    tab.settle()
    tab.button("Clicks take away").tap()
    tab.page.touchscreen.tap(*tab.at(SKY))
    tab.wait_for("click", 2)
    assert [click["positive"] for click in tab.said("click")] == [True, False]


def test_a_drag_draws_a_box(canvas: Open) -> None:
    tab = canvas()
    tab.drag(*AROUND_BLUE)
    box = tab.wait_for("box")
    assert [box[name] for name in ("x0", "y0", "x1", "y1")] == pytest.approx([0.75, 0.62, 0.89, 0.86], abs=0.003)
    assert tab.said("click") == []


def test_brush_and_eraser_send_the_whole_mask_once(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    tab.press("b")
    tab.drag((0.16, 0.5), (0.4, 0.5))
    painted = decoded(tab.wait_for("mask"))
    assert len(tab.said("mask")) == 1
    assert painted[360, 300]  # the stroke
    assert painted[round(0.68 * 720), round(0.16 * 1280)]  # what was there before
    assert not painted[100, 100]
    tab.press("e")
    tab.drag((0.3, 0.4), (0.3, 0.6))
    erased = decoded(tab.wait_for("mask", 2))
    assert not erased[360, round(0.3 * 1280)]
    assert erased[360, round(0.2 * 1280)]
    assert (~painted & erased).sum() == 0


def test_a_stroke_that_changes_no_pixel_leaves_everything_as_it_is(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    before = tab.page.evaluate("host.state.prompts")
    tab.press("b", "[", "[", "[")
    tab.click(SKY, button="right")  # erases where nothing is
    tab.click(RED_BALL)  # paints where all is painted
    tab.press("n")
    tab.click(SKY, button="right")
    assert tab.said("mask") == []
    assert tab.page.evaluate("host.state.prompts") == before
    expect(tab.page.locator(".message")).to_be_hidden()


def test_each_prompt_can_be_deleted(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    tab.click(BESIDE_THE_DOT)
    tab.drag((0.06, 0.5), (0.26, 0.86))
    tab.point(RED_BALL)
    x, y = tab.at(RED_BALL)
    tab.page.mouse.click(x + 13, y - 13)  # the cross beside the dot
    assert tab.wait_for("remove_prompt") | {"kind": "point", "index": 0} == tab.said("remove_prompt")[0]
    tab.settle()
    tab.click((0.26, 0.7))  # the line of the box
    tab.press("Delete")
    assert tab.wait_for("remove_prompt", 2)["kind"] == "box"
    tab.page.get_by_label("Delete click 1").click()
    assert tab.wait_for("remove_prompt", 3)["kind"] == "point"
    tab.settle()
    expect(tab.page.locator(".chip")).to_have_count(0)
    assert len(tab.said("click")) == 2  # choosing a prompt is no click


def test_hovering_asks_one_question_at_a_time_and_shows_the_newest_answer(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    tab.page.evaluate("host.hold()")
    asked = len(tab.said("hover"))
    for step in range(20):
        tab.point((0.3 + step * 0.004, 0.32))
    tab.page.evaluate("host.release()")
    tab.wait("host.received.at(-1).op === 'hover' && Math.abs(host.received.at(-1).x - 0.376) < 0.002")
    assert len(tab.said("hover")) - asked < 10
    tab.wait_for_ink(YELLOW_BALL, there=True)
    tab.point((0.5, 0.5))
    tab.wait_for_ink(YELLOW_BALL, there=False)


def test_tracking_pauses_resumes_cancels_and_finishes(canvas: Open) -> None:
    tab = canvas("?step=30")
    tab.click(RED_BALL)
    tab.press("t")
    tab.wait("host.job?.done > 3")
    progress = tab.page.locator(".progress")
    expect(progress).to_contain_text("of 120")
    tab.press("k")
    expect(progress).to_contain_text("paused")
    tab.press("k")
    tab.wait_for("resume")
    tab.button("Cancel").click()
    expect(tab.page.locator(".message")).to_contain_text("Cancelled")
    kept = tab.page.evaluate("host.state.masks.size")
    assert 3 < kept < 120
    tab.press("Home", "Escape")
    tab.page.evaluate("host.step = 0")
    tab.track()
    assert tab.said("track")[-1]["direction"] == "both"
    assert tab.page.evaluate("host.state.masks.size") == 120
    expect(tab.page.locator(".message")).to_contain_text("Tracked 120 frames")
    assert tab.frame() == 0  # back where it began


def test_escape_leaves_what_was_begun_and_ends_no_work(canvas: Open) -> None:
    tab = canvas("?step=30")
    tab.click(RED_BALL)
    tab.press("b", "Escape")
    expect(tab.button("Click, or drag")).to_have_attribute("aria-pressed", "true")
    tab.press("t", "Escape", "Escape")
    message = tab.page.locator(".message")
    assert tab.said("cancel") == []
    tab.press("Escape")
    expect(message).to_contain_text("Tracking goes on")
    tab.page.mouse.click(*tab.at(YELLOW_BALL))
    expect(message).to_contain_text("cannot be changed while tracking runs")
    assert len(tab.said("click")) == 1
    message.get_by_text("Cancel tracking").click()
    expect(message).to_contain_text("Cancelled")


def test_locked_objects_are_left_alone_and_that_is_said(canvas: Open) -> None:
    tab = canvas("?step=0&frames=20")
    tab.press("t")
    message = tab.page.locator(".message")
    expect(message).to_contain_text("Click an object first")
    tab.add_three_objects()
    tab.button("Lock Object 1").click()
    tab.track()
    assert "Locked, so left as they are: Object 1." in tab.page.evaluate("window.heard")
    tab.button("Lock Object 2").click()
    tab.button("Lock Object 3").click()
    tab.settle()
    tab.press("t")
    expect(message).to_contain_text("Nothing to track: Object 1, Object 2, Object 3 locked.")
    message.get_by_text("Unlock").click()
    tab.settle()
    assert [each["locked"] for each in tab.page.evaluate("host.state.objects")] == [False] * 3


def test_painting_says_what_it_replaces_and_takes_it_back(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    tab.press("b")
    tab.drag((0.16, 0.5), (0.4, 0.5))
    expect(tab.page.locator(".message")).to_contain_text("replaces 1 click on this frame")
    tab.page.locator(".message").get_by_text("Undo").click()
    tab.settle()
    assert tab.page.evaluate("host.state.prompts")[0]["mask"] is False


def test_a_click_on_a_painting_says_that_the_model_draws_anew(canvas: Open) -> None:
    tab = canvas()
    tab.press("b")
    tab.drag((0.16, 0.5), (0.4, 0.5))
    tab.settle()
    chips = tab.page.locator(".chip")
    expect(chips).to_have_text(["Painted"])
    tab.press("c")
    tab.click(RED_BALL)
    message = tab.page.locator(".message")
    expect(message).to_contain_text("The model draws the mask anew from your painting and this click.")
    expect(chips).to_have_text(["+ 1", "From painting"])
    message.get_by_text("Undo").click()
    tab.settle()
    expect(chips).to_have_text(["Painted"])


def test_a_press_goes_through_a_message_and_news_gives_way_to_it(canvas: Open) -> None:
    tab = canvas("?step=0&frames=20")
    tab.press("t")
    message = tab.page.locator(".message")
    expect(message).to_contain_text("Click an object first")
    bounds = message.bounding_box()
    assert bounds
    x, y = bounds["x"] + 40, bounds["y"] + bounds["height"] / 2
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    expect(message).to_be_hidden()
    tab.page.mouse.move(*tab.at((0.99, 0.99)), steps=4)
    tab.page.mouse.up()
    tab.wait_for("box")


def test_a_press_goes_through_a_remedy_which_stays(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    tab.press("b")
    tab.drag((0.16, 0.5), (0.4, 0.5))
    message = tab.page.locator(".message")
    expect(message).to_contain_text("What you paint is the whole mask")
    bounds = message.bounding_box()
    assert bounds
    tab.page.mouse.click(bounds["x"] + 40, bounds["y"] + bounds["height"] / 2)
    tab.wait_for("mask", 2)
    message.get_by_text("Undo").click()
    assert len(tab.wait_for("undo")) > 0
    assert len(tab.said("mask")) == 2  # its button is no place to paint


def test_undo_and_redo_select_the_object_they_are_about(canvas: Open) -> None:
    tab = canvas()
    tab.press("b")
    tab.drag((0.1, 0.5), (0.2, 0.5))
    tab.settle()
    tab.press("n")
    tab.drag((0.3, 0.5), (0.4, 0.5))
    tab.settle()
    tab.press("z", "z", "y", "y")
    tab.drag((0.5, 0.5), (0.6, 0.5))
    assert tab.wait_for("mask", 3)["obj"] == 2
    tab.settle()
    tab.press("ArrowUp", "Shift+L", "ArrowDown")
    tab.button("Remove Object 2").click()
    tab.settle()
    expect(tab.page.locator(".object.current")).to_have_count(0)  # the other one is locked


def test_nothing_is_taken_away_from_nothing(canvas: Open) -> None:
    tab = canvas()
    tab.click(SKY, button="right")
    expect(tab.page.locator(".message")).to_contain_text("Click what belongs to it first")
    assert tab.said("click") == tab.said("add_object") == []


def test_whoever_comes_back_to_the_tab_sees_the_truth(canvas: Open) -> None:
    tab = canvas()
    tab.page.evaluate("() => { host.do_add_object(); host.rev += 1; window.dispatchEvent(new Event('focus')); }")
    tab.wait_for("sync")
    expect(tab.page.locator(".object")).to_have_count(1)


def test_a_lost_connection_is_said_and_nothing_can_be_done_until_it_is_back(canvas: Open) -> None:
    tab = canvas("?objects=1")
    tab.page.evaluate("() => { host.hold(); host.isAlive = false; }")
    tab.page.mouse.click(*tab.at(RED_BALL))
    message = tab.page.locator(".message")
    expect(message).to_contain_text("Connection lost, trying again")
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("n")
    expect(message).to_contain_text("Connection lost, trying again")
    assert tab.said("add_object") == []
    tab.page.evaluate("() => { host.held = null; host.isAlive = true; }")
    tab.wait_for("sync")
    expect(message).to_be_hidden()
    tab.page.keyboard.press("n")
    tab.wait_for("add_object")


def test_on_a_phone_everything_is_within_reach(canvas: Open) -> None:
    tab = canvas("?step=0&frames=20", width=420, has_touch=True)
    tab.click(RED_BALL)
    tab.track()
    for bounds in [button.bounding_box() for button in tab.page.locator("button:visible").all()]:
        assert bounds
        assert bounds["x"] >= 0
        assert bounds["x"] + bounds["width"] <= 420
    stage = tab.page.locator(".stage").bounding_box()
    assert stage
    assert stage["width"] > 380


def test_frame_and_range_take_what_was_meant(canvas: Open) -> None:
    tab = canvas("?objects=1")
    tab.press("End")
    frame = tab.page.get_by_label("Frame", exact=True)
    frame.fill("-5")
    frame.press("Enter")
    assert tab.frame() == 0
    tab.press("Shift+ArrowRight", "i", "Home", "o", "t")
    tab.click(RED_BALL)
    tab.press("t")
    track = tab.wait_for("track")
    assert (track["first"], track["last"]) == (0, 10)


def test_the_picture_stays_in_its_place(canvas: Open) -> None:
    tab = canvas("?step=5")
    before = tab.page.locator(".stage").bounding_box()
    tab.add_three_objects()  # lanes, candidates
    tab.press("n", "n", "n", "b", "t")
    tab.wait("host.job?.done > 3")
    tab.press("Shift+K")
    expect(tab.page.locator(".message")).to_be_visible()
    assert tab.page.locator(".stage").bounding_box() == before


def test_the_selected_object_lies_on_top(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    tab.press("n", "b")
    tab.drag((0.1, 0.72), (0.22, 0.72))
    place = (0.2, 0.72)  # of both objects
    second = tab.pixel(place)
    tab.press("ArrowUp")
    first = tab.pixel(place)
    assert first != second
    tab.press("ArrowDown")
    assert tab.pixel(place) == second


def test_the_keys_place_clicks(canvas: Open) -> None:
    tab = canvas()
    tab.press("p")
    for _ in range(9):
        tab.press("Shift+ArrowLeft")
    tab.press("Shift+ArrowDown", "Shift+ArrowDown", "ArrowDown")
    spoken = tab.page.locator(".studio > [role=status]")
    expect(spoken).to_have_text(re.compile(r"^1\d % across, 6\d % down$"))
    tab.press("Enter")
    click = tab.said("click")[0]
    assert (click["x"], click["y"], click["positive"]) == (
        pytest.approx(RED_BALL[0], abs=0.04), pytest.approx(RED_BALL[1], abs=0.1), True,
    )  # fmt: skip
    tab.press("ArrowLeft")
    expect(spoken).to_contain_text("on Object 1")
    tab.press("Shift+Enter")
    assert tab.wait_for("click", 2)["positive"] is False
    tab.press("Escape", "ArrowRight")
    assert tab.frame() == 1  # the arrows are for the frames again


def test_a_reload_brings_back_where_one_was(canvas: Open) -> None:
    tab = canvas("?objects=3&step=0")
    tab.press("End", "ArrowLeft", "ArrowUp", "e", "m", "x", "i", "+")
    read = """() => ({
        frame: canvas.shadowRoot.querySelector('[aria-label=Frame]').value,
        zoom: canvas.shadowRoot.querySelector('.zoom').textContent,
        selected: canvas.shadowRoot.querySelector('.object.current .name').textContent,
        pressed: [...canvas.shadowRoot.querySelectorAll('.toolbar [aria-pressed=true]')].map((one) => one.ariaLabel),
    })""".replace("canvas.", "document.querySelector('#canvas').")
    before = tab.page.evaluate(read)
    assert (before["frame"], before["selected"]) == ("118", "Object 2")
    tab.page.reload()
    tab.wait("window.painted?.at(-1)?.[0] === 118")
    tab.settle()
    assert tab.page.evaluate(read) == before


def test_a_guide_goes_with_the_first_steps_and_never_comes_back(canvas: Open) -> None:
    tab = canvas("?step=0&frames=20")
    guide = tab.page.locator(".guide")
    step = guide.locator("[aria-current=step]")
    expect(step).to_contain_text("Click")
    tab.click(RED_BALL)
    expect(step).to_contain_text("Choose")
    tab.press("2")
    expect(step).to_contain_text("Track")
    tab.track()
    expect(guide).to_be_hidden()
    tab.page.reload()
    tab.wait("window.painted?.length > 0")
    expect(guide).to_be_hidden()
    expect(tab.page.locator(".hint")).to_contain_text("Click the thing you want")


def test_two_fingers_zoom_and_move_and_click_nothing(canvas: Open) -> None:
    tab = canvas(has_touch=True)
    fingers = tab.page.context.new_cdp_session(tab.page)
    x, y = tab.at((0.5, 0.5))

    def touch(kind: str, *apart: float) -> None:
        points = [{"x": x + side * half, "y": y, "id": index} for half in apart for index, side in enumerate((-1, 1))]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    zoom = tab.page.locator(".zoom")
    before = int(zoom.inner_text().rstrip("%"))
    touch("touchStart", 50)
    for apart in (60, 80, 100):
        touch("touchMove", apart)
    touch("touchEnd")
    expect(zoom).to_have_text(f"{2 * before}%")
    x += 80
    touch("touchStart", 100)
    x -= 40
    touch("touchMove", 100)
    touch("touchEnd")
    tab.settle()
    assert tab.said("click") == tab.said("box") == []
    place = tab.at((0.5, 0.5))
    tab.page.touchscreen.tap(place[0] - 40, place[1])  # the middle of the frame went with the fingers
    click = tab.wait_for("click")
    assert (click["x"], click["y"]) == pytest.approx((0.5, 0.5), abs=0.01)


def test_range_and_selected_object_limit_tracking(canvas: Open) -> None:
    tab = canvas("?step=0")
    tab.add_three_objects()
    tab.press("Shift+ArrowRight", "o", "Home", "i")
    tab.page.locator(".time-bar").get_by_label("Track the selected object only").click()
    tab.press(".")
    track = tab.wait_for("track")
    assert {name: track[name] for name in ("direction", "first", "last", "objects")} == {
        "direction": "forward", "first": 0, "last": 10, "objects": [3],
    }  # fmt: skip
    ruler = tab.page.locator(".ruler").bounding_box()
    assert ruler
    end_of_range = (ruler["x"] + ruler["width"] * 11 / 120, ruler["y"] + 6)
    tab.page.mouse.move(*end_of_range)
    tab.page.mouse.down()
    tab.page.mouse.move(ruler["x"] + ruler["width"] * 60.5 / 120, ruler["y"] + 6, steps=3)
    tab.page.mouse.up()
    tab.wait("!host.job")
    tab.press("t")
    assert tab.wait_for("track", 2)["last"] == 60


def test_after_tracking_problems_are_found_locked_and_undone(canvas: Open) -> None:
    tab = canvas("?step=0")
    tab.click(RED_BALL)
    tab.track()
    tab.press("j")
    vanished = tab.frame()
    assert 70 < vanished < 80  # behind the pillar
    message = tab.page.locator(".message")
    expect(message).to_contain_text(f"Object 1, frame {vanished}: lost from sight. 1 more.")
    tab.press("j")
    weak = tab.frame()
    assert 36 <= weak < 44  # the weak stretch
    expect(message).to_contain_text(f"Object 1, frame {weak}: suddenly less sure. The last one.")
    tab.press("j")
    expect(message).to_contain_text("No problem is left")
    tab.press("Shift+J")
    assert tab.frame() == vanished
    tab.press("Shift+J")
    expect(message).to_contain_text("no problem before this one")
    tab.press("j")
    assert tab.frame() == weak
    tab.press("l")
    assert tab.wait_for("lock_frame")["locked"] is True
    tab.press("Control+z", "Control+z")
    assert tab.page.evaluate("host.state.masks.size") == 1
    tab.press("Control+Shift+Z")
    tab.wait("host.state.masks.size === 120")


def test_after_a_correction_tracking_is_due_until_it_was_done(canvas: Open) -> None:
    tab = canvas("?step=0&frames=20")
    tab.click(RED_BALL)
    tab.track()
    due = tab.page.locator(".due")
    expect(due).to_have_count(0)
    tab.click(BESIDE_THE_DOT)
    expect(due).to_have_text("Track again")
    expect(due).to_have_attribute("title", re.compile("Object 1 changed: .* older than your last change. Track again."))
    expect(tab.page.locator(".label.outdated")).to_have_count(1)
    tab.track()
    expect(due).to_have_count(0)


def test_undo_takes_the_mask_off_the_picture(canvas: Open) -> None:
    tab = canvas()
    clean = tab.pixel(BESIDE_THE_DOT)
    tab.click(RED_BALL)
    masked = tab.pixel(BESIDE_THE_DOT)
    assert masked != clean
    tab.press("z")
    assert tab.pixel(BESIDE_THE_DOT) == clean
    tab.press("y")
    assert tab.pixel(BESIDE_THE_DOT) == masked


def test_look_of_the_masks(canvas: Open) -> None:
    tab = canvas()
    clean = tab.pixel(BESIDE_THE_DOT)
    tab.click(RED_BALL)
    tab.press("m")
    assert tab.pixel(BESIDE_THE_DOT) == clean  # outlines only
    tab.press("m", "n", "s")
    assert tab.pixel(BESIDE_THE_DOT) == clean  # another object is selected, alone
    tab.press("s", "ArrowUp", "h")
    assert tab.pixel(BESIDE_THE_DOT) == clean
    assert tab.wait_for("edit_object")["hidden"] is True
    tab.press("h")
    assert tab.pixel(BESIDE_THE_DOT) != clean


def test_objects_are_renamed_locked_and_removed_and_a_name_is_only_text(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    tab.press("F2")
    tab.page.keyboard.type("<b>Nina</b> 1b")
    tab.press("Enter")
    assert tab.wait_for("edit_object")["name"] == "<b>Nina</b> 1b"
    assert tab.said("choose") == []  # typing presses no shortcut
    expect(tab.page.locator(".object .name")).to_have_text("<b>Nina</b> 1b")
    tab.button("Lock <b>Nina").click()
    tab.settle()
    tab.click(SKY)
    assert len(tab.said("click")) == 1
    expect(tab.page.locator(".message")).to_contain_text("locked")
    tab.button("Remove <b>Nina").click()
    tab.settle()
    expect(tab.page.locator(".object")).to_have_count(0)


def test_a_click_right_after_a_new_object_belongs_to_it(canvas: Open) -> None:
    tab = canvas("?delay=100")
    tab.click(RED_BALL)
    tab.page.keyboard.press("n")
    tab.page.mouse.click(*tab.at(YELLOW_BALL))
    assert tab.wait_for("click", 2)["obj"] == 2


def test_zoom_pan_and_fit_keep_clicks_in_their_place(canvas: Open) -> None:
    tab = canvas()
    tab.click(SKY)  # refused, but the canvas has the focus now
    tab.point(RED_BALL)
    tab.page.mouse.wheel(0, -400)
    tab.page.keyboard.down("Space")
    tab.page.mouse.down()
    x, y = tab.at(RED_BALL)
    tab.page.mouse.move(x + 120, y - 60, steps=3)
    tab.page.mouse.up()
    tab.page.keyboard.up("Space")
    tab.page.mouse.click(x + 120, y - 60)
    click = tab.wait_for("click", 2)
    assert (click["x"], click["y"]) == pytest.approx(RED_BALL, abs=0.002)
    tab.settle()
    assert tab.page.locator(".button.play").first.get_attribute("aria-label") == "Play (Space)"  # space was a hand
    tab.press("0")
    tab.click(YELLOW_BALL)
    assert tab.wait_for("click", 3)["y"] == pytest.approx(YELLOW_BALL[1], abs=0.002)


def test_an_error_is_one_sentence_that_goes_away(canvas: Open) -> None:
    tab = canvas()
    tab.click(SKY)
    message = tab.page.locator(".message")
    expect(message).to_contain_text("nothing to segment")
    assert tab.pixel(SKY, layer=1)[3] == 0  # its dot is gone
    tab.press("Escape")
    expect(message).to_be_hidden()


def test_playback_shows_frames_in_order_with_their_masks(canvas: Open) -> None:
    tab = canvas("?frames=30&step=0")
    tab.click(RED_BALL)
    tab.track()
    tab.page.evaluate("window.painted.length = 0")
    tab.press(" ")
    tab.wait("window.painted.some(([frame]) => frame === 29)")
    frames = tab.page.evaluate("window.painted.map(([frame]) => frame)")
    assert frames == sorted(frames)
    expect(tab.button("Play")).to_be_visible()  # it stops at the end


def test_playback_of_a_video_and_without_one_that_can_be_played(canvas: Open) -> None:
    tab = canvas("?frames=30&video=/examples/clips/big-buck-bunny.mp4")
    tab.page.evaluate(
        """() => {
            const { prototype } = CanvasRenderingContext2D;
            const { drawImage } = prototype;
            window.drawn = new Set();
            prototype.drawImage = function (image, ...rest) {
                drawn.add(image.tagName);
                drawImage.call(this, image, ...rest);
            };
        }"""
    )
    tab.page.locator("video").evaluate(
        "(video) => new Promise((done) => { video.onerror = video.oncanplay = done; video.readyState > 1 && done(); })"
    )
    tab.press(" ")
    tab.wait("window.painted.at(-1)[0] > 4")
    if tab.page.evaluate("document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.42E01E\"')"):
        assert tab.page.evaluate("drawn.has('VIDEO')")
    broken = canvas("?frames=30&video=/nothing.mp4")
    broken.press(" ")
    broken.wait("window.painted.at(-1)[0] > 4")


def test_a_still_picture_has_no_time_and_frames_may_come_as_buffers(canvas: Open) -> None:
    tab = canvas("?frames=1&buffers")
    tab.wait_for("frame")
    for part in (".timeline", ".time-bar", ".legend", ".guide li >> nth=2"):
        expect(tab.page.locator(part)).to_be_hidden()
    tab.press("?")
    expect(tab.page.locator(".help section:visible h3").filter(has_text="Track")).to_have_count(0)
    tab.page.keyboard.press("Escape")
    tab.click((0.22, 0.45))
    expect(tab.page.locator(".card")).to_have_count(3)


def test_pictures_that_are_sent_while_tracking_are_not_waited_for(canvas: Open) -> None:
    tab = canvas("?frames=40&buffers")
    tab.click(RED_BALL)
    tab.page.keyboard.press("t")
    tab.wait_for("track")
    tab.wait("window.painted.at(-1)[0] === 1")
    tab.page.evaluate("host.hold()")  # as a kernel does whose cell runs on
    tab.wait("window.painted.at(-1)[0] > 30")
    assert "frame" not in tab.page.evaluate("host.held.map(({ op }) => op)")
    tab.page.evaluate("host.release()")
    tab.settle()


def test_ten_thousand_frames_need_no_more_elements_than_a_hundred(canvas: Open) -> None:
    count = "document.querySelector('#canvas').shadowRoot.querySelectorAll('*').length"
    short, long = canvas("?frames=100"), canvas("?frames=10000")
    for tab in (short, long):
        tab.click(RED_BALL)
    assert short.page.evaluate(count) == long.page.evaluate(count)
    long.press("End")
    assert long.frame() == 9999
    ruler = long.page.locator(".ruler").bounding_box()
    assert ruler
    long.page.mouse.click(ruler["x"] + ruler["width"] / 2, ruler["y"] + 6)
    assert long.frame() == pytest.approx(5000, abs=20)


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_in_sight_and_has_a_name(canvas: Open, width: int, scheme: str) -> None:
    tab = canvas(width=width, color_scheme=scheme)
    tab.add_three_objects()
    buttons = tab.page.locator("button:visible")
    for bounds in [button.bounding_box() for button in buttons.all()]:
        assert bounds
        assert bounds["x"] >= 0
        assert bounds["x"] + bounds["width"] <= width
    named = "(all) => all.every((one) => one.getAttribute('aria-label') || one.textContent.trim())"
    assert buttons.evaluate_all(named)
    background = tab.page.locator(".studio").evaluate("(element) => getComputedStyle(element).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    # the host page's hot pink capitals stay outside
    assert tab.page.locator(".primary").evaluate("(element) => getComputedStyle(element).textTransform") == "none"


def test_no_key_reaches_the_page_and_every_control_is_reached_by_tab(canvas: Open) -> None:
    tab = canvas()
    tab.click(RED_BALL)
    tab.press("b", "c", "1", "ArrowRight", "?")
    tab.press("Escape")  # after which the sheet gives the focus back, a moment later
    assert tab.page.evaluate("window.leaked") == []
    focused = "document.querySelector('#canvas').shadowRoot.activeElement?.getAttribute('aria-label')"
    names = []
    for _ in range(12):
        tab.page.keyboard.press("Tab")
        names.append(tab.page.evaluate(focused))
    assert names[:4] == ["Click, or drag a box", "Brush", "Eraser", "Undo"]
    assert tab.page.locator("#canvas").get_attribute("data-lm-suppress-shortcuts") == "true"


WIDGET = """async () => {
    const { default: widget } = await import('/widgets/static/mask_canvas.js');
    const host = new window.host.constructor({ frames: 12, buffers: true });
    const css = ':host { display: grid; } .stage { height: 300px; } .ruler { width: 300px; }';
    const values = { _canvas_style: css, _still: '', _stand_in_class: 'masklet-1', frame: 3, selected: null };
    const listeners = new Map(); // each with the name of what it listens to
    const change = (name) => listeners.forEach((heard, listener) => heard === `change:${name}` && listener());
    host.transport.onMessage((...news) => listeners.forEach((name, listener) => name[0] === 'm' && listener(...news)));
    const model = {
        send: (message) => host.transport.send(message),
        on: (name, listener) => listeners.set(listener, name),
        off: (_, listener) => listeners.delete(listener),
        get: (name) => values[name],
        set: (name, value) => { if (values[name] !== value) { values[name] = value; change(name); } },
        save_changes: () => {},
    };
    const el = document.body.appendChild(document.createElement('div'));
    window.widget = { host, model, values, listeners, el, close: widget.render({ model, el }) };
}"""


@pytest.fixture
def widget(canvas: Open) -> CanvasPage:
    """A canvas of anywidget's below the one of the harness."""
    tab = canvas()
    tab.page.evaluate(WIDGET)
    tab.wait("widget.el.lastChild.shadowRoot?.querySelector('.clip').textContent.includes('12 frames')")
    return tab


def test_anywidget_gets_the_same_canvas_and_can_close_it(widget: CanvasPage) -> None:
    assert widget.page.evaluate("[widget.el.querySelector('img'), widget.el.lastChild.clientHeight > 300]") == [
        None,
        True,
    ]
    widget.page.evaluate("widget.close()")
    assert widget.page.evaluate("[widget.el.childElementCount, widget.listeners.size]") == [0, 0]


JEALOUS = """() => {
    const cell = document.body.appendChild(document.createElement('button'));
    const studio = widget.el.lastChild;
    window.taken = 0;
    window.leave = () => cell.focus({ preventScroll: true });
    window.hasKeys = () => document.activeElement === studio && studio.shadowRoot.activeElement.matches('.studio');
    document.addEventListener('mousedown', (event) => { event.preventDefault(); leave(); taken += 1; });
}"""
"""A page that takes the keys at every press that reaches it, as JupyterLab does."""


@pytest.mark.parametrize("place", [".stage", ".side", ".toolbar", ".status"])
def test_every_press_gives_the_widget_the_keys_and_stays_in_it(widget: CanvasPage, place: str) -> None:
    widget.page.evaluate(JEALOUS)
    part = widget.page.locator(place).last
    part.scroll_into_view_if_needed()
    bounds = part.bounding_box()
    assert bounds
    at = (bounds["x"] + bounds["width"] / 2, bounds["y"] + bounds["height"] / 2)
    presses: list[tuple[Literal["left", "middle", "right"], str | None]] = [
        ("right", None), ("left", "Shift"), ("middle", None), ("right", "Shift"), ("left", None),
    ]  # fmt: skip
    for button, modifier in presses:
        widget.page.evaluate("leave()")
        assert not widget.page.evaluate("hasKeys()")
        if modifier:
            widget.page.keyboard.down(modifier)
        widget.page.mouse.click(*at, button=button)
        if modifier:
            widget.page.keyboard.up(modifier)
        assert (button, modifier, widget.page.evaluate("[hasKeys(), taken]")) == (button, modifier, [True, 0])


def test_a_finger_that_draws_gives_the_widget_the_keys(canvas: Open) -> None:
    tab = canvas(has_touch=True)
    tab.page.evaluate("document.body.appendChild(document.createElement('button')).focus()")
    assert tab.page.evaluate("document.activeElement.id") == ""
    fingers = tab.page.context.new_cdp_session(tab.page)
    for kind, places in (("Start", AROUND_BLUE[:1]), ("Move", AROUND_BLUE[1:]), ("End", ())):
        points = [dict(zip("xy", tab.at(place), strict=True)) for place in places]
        fingers.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    tab.wait_for("box")
    assert tab.page.evaluate("document.activeElement.id") == "canvas"


def test_a_name_that_is_edited_keeps_the_keys_when_it_is_pressed(widget: CanvasPage) -> None:
    widget.page.locator(".studio").last.focus()
    widget.page.keyboard.press("n")
    widget.wait("widget.values.selected === 1")
    widget.page.evaluate(JEALOUS)
    widget.page.keyboard.press("F2")
    name = widget.page.get_by_label("Name of the object").last
    name.click(button="right")
    widget.page.keyboard.press("x")
    expect(name).to_have_value(re.compile("x"))
    assert widget.page.evaluate("taken") == 0


def test_frame_and_selection_are_shared_with_the_model(widget: CanvasPage) -> None:
    field = "widget.el.lastChild.shadowRoot.querySelector('.time-bar input').value"
    widget.wait(f"{field} === '3'")
    widget.page.evaluate("widget.model.set('frame', 1)")
    widget.wait(f"{field} === '1'")
    widget.page.locator(".studio").last.focus()
    widget.page.keyboard.press("n")
    widget.page.keyboard.press("End")
    widget.wait("widget.values.frame === 11 && widget.values.selected === 1")


def test_no_tool_is_cut_off_at_any_width(canvas: Open) -> None:
    tab = canvas("?objects=2")
    cut_off = """() => {
        const { shadowRoot } = document.querySelector('#canvas');
        const { left, right } = shadowRoot.querySelector('.studio').getBoundingClientRect();
        return [...shadowRoot.querySelectorAll(':is(.toolbar, .time-bar) :is(button, input, output)')]
            .filter((tool) => tool.checkVisibility())
            .filter((tool) => tool.getBoundingClientRect().left < left || tool.getBoundingClientRect().right > right)
            .map((tool) => tool.ariaLabel);
    }"""
    for width in (340, 370, 500, 580, 640, 740, 1000):
        tab.page.set_viewport_size({"width": width + 24, "height": 664})
        tab.page.keyboard.press("i")
        for tool in ("Brush", "Click, or drag"):
            tab.button(tool).click()
            assert (width, tool, tab.page.evaluate(cut_off)) == (width, tool, [])


def test_a_clip_that_is_cut_off_says_so(canvas: Open) -> None:
    tab = canvas()
    tab.page.evaluate("host.clip = { ...host.clip, notice: '9 of 12 frames can be read.' }; host.tellState()")
    expect(tab.page.locator(".message")).to_contain_text("9 of 12 frames can be read.")
    expect(tab.page.locator(".status .clip")).to_have_attribute("title", "9 of 12 frames can be read.")


def test_what_stands_in_for_a_widget_is_hidden_while_there_is_a_view(widget: CanvasPage) -> None:
    widget.page.evaluate(
        """() => document.body.insertAdjacentHTML('beforeend', `
            <div class="jp-OutputArea-child"><p>1</p><img class="masklet-1" alt=""></div>
            <div class="jp-OutputArea-child"><p>2</p><img class="masklet-2" alt=""></div>`)"""
    )
    visible = "[...document.querySelectorAll('.jp-OutputArea-child')].map((output) => output.checkVisibility())"
    assert widget.page.evaluate(visible) == [False, True]
    widget.page.evaluate("widget.close()")
    assert widget.page.evaluate(visible) == [True, True]


def test_without_a_kernel_there_is_a_picture(widget: CanvasPage) -> None:
    widget.page.evaluate(
        """async () => {
            const { default: { render } } = await import('/widgets/static/mask_canvas.js');
            widget.values._still = 'data:image/gif;base64,R0lGODlhAQABAAAAACw=';
            render({ model: { ...widget.model, send: () => {} }, el: widget.el });
        }"""
    )
    widget.wait("widget.el.querySelector('img')?.src.startsWith('data:image/gif') && !widget.el.lastChild.clientHeight")


@pytest.mark.parametrize("keys", ["n p Enter", "End"], ids=["click", "go to a frame"])
def test_a_kernel_that_is_gone_is_said(widget: CanvasPage, keys: str) -> None:
    widget.page.evaluate("() => { widget.model.send = () => { throw new Error('Cannot send'); }; }")
    widget.page.locator(".studio").last.focus()
    for key in keys.split():
        widget.page.keyboard.press(key)
    expect(widget.page.locator(".message").last).to_contain_text("The kernel that had this widget is gone")
    assert widget.errors == []


def test_a_kernel_that_is_silent_is_said(widget: CanvasPage) -> None:
    widget.page.evaluate(
        """() => {
            widget.model.send = () => {};
            const now = performance.now.bind(performance);
            widget.el.lastChild.shadowRoot.querySelector('.studio').focus();
            setTimeout(() => { performance.now = () => now() + 60000; }, 500);
        }"""
    )
    widget.page.keyboard.press("p")
    widget.page.keyboard.press("Enter")
    expect(widget.page.locator(".message").last).to_contain_text("has not answered for half a minute")


def test_lanes_are_painted_again_after_a_theme_changed_out_of_sight(widget: CanvasPage) -> None:
    ruler = "widget.el.lastChild.shadowRoot.querySelector('.ruler')"
    widget.wait(f"{ruler}.width > 0")
    widget.page.evaluate(
        """async () => {
            const canvas = widget.el.lastChild;
            canvas.style.display = 'none';
            canvas.dataset.theme = 'dark';
            await Promise.resolve(); // mutation observers are called
            await new Promise(requestAnimationFrame);
            canvas.style.display = '';
        }"""
    )
    widget.wait(f"{ruler}.width > 0")
