"""The widget without a browser: what code says, what a canvas says, and what either hears of the other."""

from __future__ import annotations

import base64
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_core.errors import CheckpointError, ProjectError, PromptError, Sam2Error, SessionNotFound, VideoError
from sam2_core.formats import import_masks
from sam2_core.prompts import Point
from sam2_core.rle import Rle
from sam2_core.session import JobStatus, Session
from sam2_core.session.commands import AddPoint
from tests.fakes import HEIGHT, WIDTH, fake_model
from tests.media.makers import numbered, write_video
from tests.session.working import session_in
from widgets import SegmentationWidget, jupyter_host, opening, stand_in
from widgets.protocol import Message

FRAMES = 20
AT = (WIDTH * 0.3, HEIGHT * 0.5)
CLICK = {"v": 1, "rid": 5, "op": "click", "frame": 4, "obj": 1, "x": 0.3, "y": 0.5, "positive": True, "rev": 0}
ARRAY = np.zeros((5, HEIGHT, WIDTH, 3), np.uint8)


class Canvas:
    """All that a widget's canvases are told, and a way to talk to it."""

    def __init__(self, widget: SegmentationWidget) -> None:
        self.widget = widget
        self.heard: list[tuple[Message, list[bytes]]] = []
        widget._relay._send_one = lambda message, buffers: self.heard.append((message, buffers))

    def say(self, **message: Any) -> None:
        self.widget._handle_custom_msg(message, [])

    def ops(self) -> list[str]:
        return [message["op"] for message, _ in self.heard]

    def last(self, op: str) -> Message:
        return next(message for message, _ in reversed(self.heard) if message["op"] == op)

    def wait_for(self, op: str) -> Message:
        deadline = time.monotonic() + 60
        while op not in self.ops():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self.last(op)


@pytest.fixture
def widget(tmp_path: Path) -> Iterator[SegmentationWidget]:
    made = SegmentationWidget(session_in(tmp_path, FRAMES))
    yield made
    made.close()


@pytest.fixture
def canvas(widget: SegmentationWidget) -> Canvas:
    return Canvas(widget)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is the fake model's."""
    monkeypatch.setattr(opening, "loaded", lambda model: (str(model), fake_model()))


# Code


def test_prompts_are_in_pixels(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    widget.add_click(1, 4, (WIDTH - 1, 0), positive=False)
    widget.add_box(2, 0, (0, 0, WIDTH, HEIGHT / 2))
    prompts = widget.session.document.prompts
    assert prompts(4)[1].points == (Point(0.3, 0.5), Point((WIDTH - 1) / WIDTH, 0, positive=False))
    box = prompts(0)[2].box
    assert box is not None
    assert (box.x0, box.y0, box.x1, box.y1) == (0, 0, 1, 0.5)


def test_masks_are_arrays(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    painted = np.zeros((HEIGHT, WIDTH))
    painted[8:16, 8:16] = 1
    widget.add_mask(2, 6, painted)
    mask = widget.masks[2][6]
    assert (mask.dtype, mask.shape) == (bool, (HEIGHT, WIDTH))
    assert (mask[9:15, 9:15].all(), mask[:7].any(), mask[:, 17:].any()) == (True, False, False)
    assert list(widget.masks) == [1, 2]
    assert list(widget.masks[2]) == [6]
    array = widget.masks.to_numpy()
    assert (array.shape, array.dtype) == ((2, FRAMES, HEIGHT, WIDTH), bool)
    assert (array[1, 6] == widget.masks[2][6]).all()
    assert array.sum() == widget.masks[1][4].sum() + mask.sum()
    some = widget.masks.to_numpy(objects=[2], frames=range(5, 8))
    assert some.sum(axis=(0, 2, 3)).tolist() == [0, mask.sum(), 0]
    assert (widget.masks[2][5:8] == some[0]).all()
    assert widget.masks[1][::-1].shape == (FRAMES, HEIGHT, WIDTH)
    assert repr(widget.masks) == "<Masks of 32 x 24 pixels: object 1 on 1 frame, 2 on 1 frame>"


def test_masks_stay_as_they_were_when_asked_for(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    before = widget.masks
    widget.undo()
    assert list(before) == [1]
    assert list(widget.masks) == []
    widget.redo()
    assert list(widget.masks) == [1]


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (lambda masks: masks[3], KeyError, r"there is no object 3; there are \[1\]"),
        (lambda masks: masks[1][3], KeyError, "object 1 has no mask on frame 3; click it there, or track it"),
        (lambda masks: masks.to_numpy(objects=[9]), KeyError, "there is no object 9"),
        (lambda masks: masks[[1]], KeyError, r"there is no object \[1\]"),
        (lambda masks: masks[1][[4, 5]], KeyError, r"the clip has frames 0 to \d+; got frame \[4, 5\]"),
        (lambda masks: masks[1][99], KeyError, r"the clip has frames 0 to \d+; got frame 99"),
        (lambda masks: masks[1]["a":], PromptError, r"sliced by whole numbers, as in \[20:40\]; got slice\('a'"),
        (lambda masks: masks.to_numpy(1), PromptError, r"objects are given as a list, such as \[1\].* got 1\."),
        (lambda masks: masks.to_numpy(frames=3), PromptError, "frames are given as a list"),
        (lambda masks: masks.to_numpy(frames=np.array(3)), PromptError, "frames are given as a list"),
        (lambda masks: masks.to_numpy(frames="12"), PromptError, "frames are given as a list"),
        (lambda masks: masks.to_numpy(frames=[1.5]), PromptError, r"are whole; got 1\.5"),
        (lambda masks: masks.to_numpy(frames=[FRAMES]), PromptError, f"frames 0 to {FRAMES - 1}; got frame {FRAMES}"),
        (lambda masks: masks.to_numpy(frames=[0] * 10**7), PromptError, r"are 7\.2 GiB of masks; take fewer at once"),
    ],
)
def test_masks_that_are_not_there(widget: SegmentationWidget, key: Any, error: type[Exception], message: str) -> None:
    widget.add_click(1, 4, AT)
    with pytest.raises(error, match=message):
        key(widget.masks)


def test_scores_are_a_table(widget: SegmentationWidget) -> None:
    assert widget.scores.empty
    widget.add_click(1, 7, AT)
    widget.add_click(2, 7, AT)
    widget.add_click(1, 4, AT)
    table = widget.scores
    assert list(table.columns) == ["frame", "object_id", "predicted_iou", "object_score", "visible", "area"]
    assert table[["frame", "object_id"]].to_numpy().tolist() == [[4, 1], [7, 1], [7, 2]]
    assert table.visible.all()
    assert table.area[0] == widget.masks[1][4].sum()


def test_a_candidate_is_chosen(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    candidates = widget.candidates(1, 4)
    widget.choose(1, 4, 2)
    assert Rle.encode(widget.masks[1][4]) == candidates[2].mask


def test_prompts_are_taken_back(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    widget.add_click(1, 4, (3, 3), positive=False)
    widget.remove_prompt(1, 4, "point", 1)
    assert len(widget.session.document.prompts(4)[1].points) == 1
    widget.clear(1, 4)
    assert widget.session.document.prompts(4) == {}


def test_objects_are_edited(widget: SegmentationWidget) -> None:
    assert widget.add_object("cat") == 1
    widget.edit_object(1, colour="#FF0000", hidden=True, locked=True)
    cat = widget.session.document.objects[1]
    assert (cat.name, cat.colour, cat.hidden, cat.locked) == ("cat", "#ff0000", True, True)
    widget.remove_object(1)
    assert widget.add_object() == 2


def test_a_locked_frame_stays(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    widget.lock_frame(1, 4)
    with pytest.raises(PromptError, match="locked on frame 4"):
        widget.add_click(1, 4, AT)
    widget.lock_frame(1, 4, locked=False)
    widget.add_click(1, 4, AT)


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda w: w.add_click(1, FRAMES, AT), f"frames 0 to {FRAMES - 1}"),
        (lambda w: w.add_click(1, 0, (WIDTH, 3)), "so X goes from 0 to 31"),
        (lambda w: w.add_click(1, 0, (0.3, 0.5)), "look like fractions of it: multiply them by its size"),
        (lambda w: w.add_box(1, 0, (0.1, 0.1, 0.3, 0.5)), "look like fractions"),
        (lambda w: w.add_box(1, 0, (9, 9, 3, 12)), "from its top-left corner"),
        (lambda w: w.candidates(1, 0), "there is no object 1; there are none yet"),
        (lambda w: w.track("up"), "expected one of 'forward', 'backward', 'both'; got 'up'"),
        (lambda w: w.track(), "there is nothing to track yet"),
        (lambda w: w.remove_prompt(1, 0, "mouth"), "expected one of 'point', 'box', 'mask'"),
        (lambda w: w.export("x.zip", "gif"), "there is no export format 'gif'"),
        (lambda w: setattr(w, "frame", FRAMES), f"the clip has frames 0 to {FRAMES - 1}; got frame {FRAMES}"),
        (lambda w: setattr(w, "selected", 1), "there is no object 1 to select"),
    ],
)
def test_what_cannot_be_done_changes_nothing(widget: SegmentationWidget, do: Any, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        do(widget)
    assert (widget.revision, widget.session.document.objects) == (0, {})


@pytest.mark.parametrize(
    "do",
    [
        lambda w: w.add_click(1.0, 0, AT),
        lambda w: w.add_click(True, 0, AT),
        lambda w: w.add_click("1", 0, AT),
        lambda w: w.add_click(1, None, AT),
        lambda w: w.add_click(1, 0.5, AT),
        lambda w: w.add_click(1, 0, None),
        lambda w: w.add_click(1, 0, (5, 5, 5)),
        lambda w: w.add_click(1, 0, "ab"),
        lambda w: w.add_click(1, 0, AT, positive=0),
        lambda w: w.add_box(1, 0, (1, 2, 3)),
        lambda w: w.choose(1, 0, 1.5),
        lambda w: w.edit_object(1, hidden="yes"),
        lambda w: w.edit_object(1, name=3),
        lambda w: w.edit_object(1, colour=3),
        lambda w: w.lock_frame(1, 0, locked=1),
        lambda w: w.track(first=1.5),
        lambda w: w.track(objects=[True]),
        lambda w: w.track(objects=1),
        lambda w: w.add_click(1, 0, {5, 6}),
        lambda w: w.add_click(1, 0, ("5", "6")),
        lambda w: w.add_click(1, 0, (True, False)),
        lambda w: w.add_mask(1, 0, None),
        lambda w: w.candidates(1, FRAMES),
        lambda w: w.wait("a"),
        lambda w: w.wait(float("nan")),
        lambda w: w.wait(-1),
        lambda w: w.use(3),
        lambda w: w.save(None),
        lambda w: w.save(""),
        lambda w: w.export(3, "coco"),
        lambda w: w.export("x.json", None),
        lambda w: w.add_object("x" * 99),
        lambda w: w.add_object(7),
    ],
)
def test_what_is_of_another_kind_changes_nothing(widget: SegmentationWidget, do: Any) -> None:
    widget.add_click(1, 0, AT)
    before = widget.session.document
    with pytest.raises((PromptError, CheckpointError), match="got|no export format None"):
        do(widget)
    assert widget.session.document is before


DISC = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 5 == 0


@pytest.mark.parametrize(
    "mask",
    [DISC, DISC.astype(np.uint8), 255 * DISC.astype(np.uint8), DISC.astype(np.int64), DISC.astype(np.float32)],
    ids=lambda mask: f"{mask.dtype}, {mask.max()}",
)
def test_a_mask_may_be_written_in_several_ways(widget: SegmentationWidget, mask: Any) -> None:
    widget.add_mask(1, 0, mask)
    assert (widget.masks[1][0] == DISC).all()
    widget.add_mask(1, 0, mask.tolist())
    assert (widget.masks[1][0] == DISC).all()
    widget.add_mask(1, 0, np.zeros_like(mask))
    assert not widget.masks[1][0].any()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (DISC.T, r"size, \[H, W\] = \[24, 32\]; got one of shape \[32, 24\]; it seems to be \[W, H\]: give .*mask\.T"),
        (DISC[::2, ::2], r"\[24, 32\]; got one of shape \[12, 16\]\."),
        (DISC[..., None], r"got one of shape \[24, 32, 1\]"),
        ([[1], [1, 2]], "got a list: make it one of numpy's"),
        (torch.ones(HEIGHT, WIDTH, requires_grad=True), "got a Tensor: make it one of numpy's"),
        (np.zeros((HEIGHT, WIDTH), [("a", "i4")]), "got other values"),
        (np.where(DISC, np.nan, 0), r"got other values \(float64\): compare first, as in mask > 0\.5"),
        (0.5 * DISC, "got other values"),
        (7 * DISC, r"\(int64\): compare first, as in mask > 0\.5 or labels == 3"),
        (DISC + 254 * np.eye(HEIGHT, WIDTH), "got other values"),
        (-1 * DISC, "got other values"),
        (DISC.astype(complex), r"got other values \(complex128\)"),
        (DISC.astype(str), "got other values"),
    ],
)
def test_what_is_no_mask_of_the_frame_is_refused(widget: SegmentationWidget, mask: Any, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        widget.add_mask(1, 0, mask)
    assert widget.session.document.objects == {}


def test_a_number_that_is_passed_over_says_the_next_one(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    widget.add_click(5, 4, AT)
    with pytest.raises(PromptError, match="there is no object 3, and new ones are numbered upward; the next one is 6"):
        widget.add_click(3, 4, AT)
    widget.remove_object(5)
    with pytest.raises(PromptError, match="there is no object 5, and .* the next one is 6"):
        widget.add_box(5, 0, (1, 1, 9, 9))


@pytest.mark.usefixtures("pool")
def test_numbers_may_be_numpys_and_are_read_back(tmp_path: Path) -> None:
    with_array = SegmentationWidget(ARRAY, model="fake")
    with_array.add_click(np.int64(1), np.int32(2), np.array(AT), positive=np.bool_(True))
    with_array.edit_object(np.int64(1), hidden=np.bool_(False))
    with_array.track("forward", first=np.int64(2), objects=np.array([1]))
    with_array.wait()
    with_array.lock_frame(1, with_array.scores.loc[0, "frame"])
    path = with_array.save(tmp_path / "array.zip")
    again = SegmentationWidget.open(path, clip=ARRAY, model="fake")
    assert (again.masks.to_numpy() == with_array.masks.to_numpy()).all()
    with_array.close()
    again.close()


def test_the_corner_is_a_pixel(widget: SegmentationWidget) -> None:
    widget.add_click(1, 0, (0, 0))
    widget.add_click(1, 0, (1, 1))
    assert widget.session.document.objects[1].prompts[0].points[0] == Point(0.0, 0.0)


def test_unknown_keywords_are_refused() -> None:
    with pytest.raises(TypeError, match="frame_rate"):
        SegmentationWidget(ARRAY, frame_rate=3)  # type: ignore[call-arg]


# Tracking


def test_tracking_returns_at_once_and_is_observed(widget: SegmentationWidget) -> None:
    revisions: list[int] = []
    widget.observe(lambda change: revisions.append(change["new"]), "revision")
    widget.add_click(1, 4, AT)
    widget.track("forward", first=0, last=9, objects=[1])
    progress = widget.wait()
    assert progress is not None
    assert progress.status is JobStatus.FINISHED
    assert (widget.tracking, widget.progress) == (False, progress)
    assert list(widget.masks[1]) == [4, 5, 6, 7, 8, 9]
    assert revisions == sorted(revisions)
    assert revisions[-1] == widget.revision == widget.session.revision


def test_a_clip_that_was_never_tracked_needs_no_waiting(widget: SegmentationWidget) -> None:
    assert widget.wait() is None
    assert widget.wait(10**400) is None
    widget.cancel()


def test_waiting_has_a_limit(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    gate = held(widget)
    widget.track()
    progress = widget.wait(timeout=0.05)
    assert progress is not None
    assert progress.status is JobStatus.RUNNING
    gate.set()
    widget.cancel()
    widget.wait()
    assert not widget.tracking


def test_an_interrupt_ends_tracking_between_two_frames(
    widget: SegmentationWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget.add_click(1, 4, AT)
    gate = held(widget)
    widget.track()

    def interrupted(_seconds: float) -> None:
        gate.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(widget.session, "wait_for_job", interrupted)
    with pytest.raises(KeyboardInterrupt):
        widget.wait()
    assert widget.progress.status in (JobStatus.CANCELLED, JobStatus.FINISHED)
    assert not widget.tracking


def test_a_failure_is_raised_where_one_waits(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)

    def fail(*_: Any, **__: Any) -> None:
        raise Sam2Error("the frame cannot be read.")

    widget.session._editor.tracker.visit = fail  # type: ignore[assignment]
    widget.track()
    with pytest.raises(Sam2Error, match="the frame cannot be read"):
        widget.wait()


def held(widget: SegmentationWidget) -> threading.Event:
    """Tracking that does not go on before the event is set."""
    gate, visit = threading.Event(), widget.session._editor.tracker.visit

    def wait(*args: Any, **keywords: Any) -> Any:
        assert gate.wait(60)
        return visit(*args, **keywords)

    widget.session._editor.tracker.visit = wait  # type: ignore[method-assign]
    return gate


# Canvases


def test_a_canvas_is_answered_with_buffers(widget: SegmentationWidget, canvas: Canvas) -> None:
    canvas.say(**CLICK)
    assert canvas.ops() == ["results", "state"]
    (results, buffers), (state, _) = canvas.heard
    assert (results["rid"], state["rid"], state["rev"]) == (5, 5, widget.revision)
    assert Rle(HEIGHT, WIDTH, buffers[results["masks"][0]["rle_buffer"]]) == Rle.encode(widget.masks[1][4])


def test_a_canvas_gets_pictures(canvas: Canvas) -> None:
    canvas.say(v=1, rid=6, op="frame", frame=3)
    ((message, (jpeg,)),) = canvas.heard
    assert message == {"v": 1, "rid": 6, "op": "frame", "frame": 3, "jpeg_buffer": 0}
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (WIDTH, HEIGHT))


def test_a_canvas_hears_what_code_does(widget: SegmentationWidget, canvas: Canvas) -> None:
    widget.add_click(1, 4, AT)
    assert canvas.ops() == ["results", "state"]
    assert "rid" not in canvas.last("state")
    assert canvas.last("state")["rev"] == widget.revision


def test_a_canvas_hears_what_is_done_behind_the_widgets_back(widget: SegmentationWidget, canvas: Canvas) -> None:
    widget.session.do(AddPoint(1, 4, Point(0.3, 0.5)))
    assert canvas.wait_for("state")["objects"][0]["obj"] == 1
    assert canvas.ops() == ["results", "state"]


def test_what_was_told_is_not_told_again(widget: SegmentationWidget, canvas: Canvas) -> None:
    canvas.say(**CLICK)
    widget._relay.catch_up()
    assert canvas.ops() == ["results", "state"]


def test_tracking_is_told_to_its_end(widget: SegmentationWidget, canvas: Canvas) -> None:
    canvas.say(**CLICK)
    canvas.heard.clear()
    canvas.say(v=1, rid=7, op="track", direction="both")
    canvas.wait_for("done")
    widget._relay.catch_up()
    assert canvas.ops()[0] == "state"
    assert canvas.ops()[-2:] == ["done", "state"]
    assert {message["frame"] for message, _ in canvas.heard if message["op"] == "results"} == set(range(FRAMES))
    assert widget.wait() == widget.progress


def test_a_canvas_that_asks_nonsense_is_told_so(widget: SegmentationWidget, canvas: Canvas) -> None:
    canvas.say(v=1, rid=8, op="frame", frame=FRAMES)
    canvas.say(v=1, rid=9, op="explode")
    assert [(message["op"], message["rid"]) for message, _ in canvas.heard] == [("error", 8), ("error", 9)]
    assert widget.revision == 0


def test_a_removed_object_is_not_selected_any_more(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    widget.selected = 1
    widget.remove_object(1)
    assert widget.selected is None


# Without a kernel


class Outputs:
    """What a notebook's cells get to show: data by output, and what replaces an earlier one by its id."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[dict[str, Any]] = []
        self.replaced: list[tuple[str, str]] = []
        self.after_cells: list[Callable[[object], None]] = []
        events = SimpleNamespace(register=lambda _name, job: self.after_cells.append(job))
        shell = SimpleNamespace(kernel="", events=events)
        monkeypatch.setattr(stand_in, "get_ipython", lambda: shell)
        for module in (stand_in, jupyter_host):
            monkeypatch.setattr(module, "display", self.publish)

    def publish(
        self, data: dict[str, Any], *, raw: bool, update: bool = False, display_id: str = "", metadata: Any = None
    ) -> None:
        assert (raw, metadata) in [(True, None), (True, {})]
        if update:
            self.replaced.append((display_id, data["text/html"]))
        else:
            self.shown.append(data)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Outputs:
    return Outputs(monkeypatch)


def pixels(output: str) -> Any:
    """Of the picture in an output, ``[H, W, 3]``."""
    found = re.fullmatch(
        r'<img class="masklet-\w+" alt="[^"<]*" src="data:image/jpeg;base64,([\w+/=]+)" style=".*">', output
    )
    assert found
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_a_notebook_gets_a_picture_before_the_canvas(widget: SegmentationWidget, outputs: Outputs) -> None:
    widget.add_click(1, 4, AT)
    widget.frame = 4
    widget._ipython_display_()
    (picture, canvas) = outputs.shown
    assert list(picture) == ["text/html"]
    assert sorted(canvas) == ["application/vnd.jupyter.widget-view+json", "text/plain"]
    assert widget._stand_in_class in picture["text/html"]
    assert widget._still in picture["text/html"]
    shown = pixels(picture["text/html"])
    assert shown.shape == (HEIGHT, WIDTH, 3)
    widget.edit_object(1, hidden=True)
    widget._ipython_display_()
    difference = abs(pixels(outputs.shown[2]["text/html"]) - shown).sum(axis=2)
    assert difference[widget.masks[1][4]].mean() > 10 * difference[~widget.masks[1][4]].mean()


def test_the_picture_of_a_notebook_is_the_last_one(widget: SegmentationWidget, outputs: Outputs) -> None:
    widget._ipython_display_()
    first = outputs.shown[0]["text/html"]
    widget.add_click(1, 0, AT)
    deadline = time.monotonic() + 60
    while not outputs.replaced:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert outputs.replaced == [(widget._stand_in_class, ANY)]
    assert (pixels(outputs.replaced[0][1]) != pixels(first)).any()
    widget._ipython_display_()
    widget.remove_object(1)
    widget.close()
    assert widget._still in outputs.replaced[-1][1]
    assert (pixels(outputs.replaced[-1][1]) == pixels(outputs.replaced[-2][1])).mean() < 1


def test_the_picture_is_the_last_one_at_the_end_of_every_cell(outputs: Outputs, tmp_path: Path) -> None:
    widget = SegmentationWidget(session_in(tmp_path, FRAMES))
    widget._relay._thread = SimpleNamespace(join=lambda: None)  # type: ignore[assignment]
    widget._relay._closing.set()  # what runs a notebook without people leaves no time for anything else
    (ended,) = outputs.after_cells
    widget.frame = 9
    widget._ipython_display_()
    ended(None)
    before = len(outputs.replaced)
    widget.add_click(1, 9, AT)
    ended(None)
    ended(None)
    assert len(outputs.replaced) == before + 1
    assert 'alt="Frame 9 of fake with its masks"' in outputs.replaced[-1][1]
    widget.undo()
    ended(None)
    assert (pixels(outputs.replaced[-1][1]) == pixels(outputs.shown[0]["text/html"])).all()
    widget.close()


def test_what_is_not_shown_is_not_replaced(widget: SegmentationWidget, outputs: Outputs) -> None:
    widget.add_click(1, 0, AT)
    widget.track()
    widget.wait()
    widget._take_still()
    assert (outputs.shown, outputs.replaced) == ([], [])


def test_a_terminal_gets_text_alone(
    widget: SegmentationWidget, outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in, "get_ipython", lambda: None)
    widget._ipython_display_()
    widget.add_click(1, 0, AT)
    widget.track()
    widget.wait()
    assert [output["text/plain"] for output in outputs.shown] == [ANY]
    assert outputs.replaced == []


def test_a_name_stays_text(widget: SegmentationWidget, outputs: Outputs) -> None:
    widget.session.video.name = '"><script>alert(1)</script>.mp4'
    widget._ipython_display_()
    assert "<script" not in outputs.shown[0]["text/html"]
    assert pixels(outputs.shown[0]["text/html"]).shape == (HEIGHT, WIDTH, 3)


def test_a_closed_widget_is_a_picture_and_a_line(widget: SegmentationWidget, outputs: Outputs) -> None:
    widget._ipython_display_()
    widget.close()
    widget._ipython_display_()
    assert outputs.shown[2] == outputs.shown[0]
    assert outputs.shown[3] == {"text/plain": repr(widget)}


def test_a_session_that_ended_elsewhere_keeps_its_picture(
    widget: SegmentationWidget, caplog: pytest.LogCaptureFixture
) -> None:
    widget.add_click(1, 0, AT)
    widget._take_still()
    still = widget._still
    widget.session.close()
    widget._relay.unsettle()
    widget._relay._look()
    widget._take_still()
    assert widget._still == still
    assert caplog.records == []


def test_a_widget_says_what_it_is(widget: SegmentationWidget) -> None:
    widget.add_click(1, 4, AT)
    assert repr(widget) == "<SegmentationWidget 'fake': 20 frames of 32 x 24, 1 object, fake>"
    assert repr(SegmentationWidget(ARRAY[:1])) == "<SegmentationWidget 'array': 1 frame of 32 x 24, 0 objects, pocket>"
    assert repr(SegmentationWidget(ARRAY[0])) == "<SegmentationWidget 'array': a picture of 32 x 24, 0 objects, pocket>"


# Clips, models and files


@pytest.mark.usefixtures("pool")
def test_what_a_clip_can_be(tmp_path: Path) -> None:
    picture = tmp_path / "a b.png"
    Image.fromarray(ARRAY[0]).save(picture)
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(ARRAY[0]).save(folder / f"{index}.png")
    clips = [str(picture), picture, picture.as_uri(), Image.open(picture), ARRAY[0], folder, ARRAY]
    made = [SegmentationWidget(clip) for clip in clips]
    assert [len(each.session.video) for each in made] == [1, 1, 1, 1, 1, 3, 5]
    assert [each.session.video.name for each in made[:4]] == ["a b.png"] * 4
    assert {(each.session.video.width, each.session.video.height) for each in made} == {(WIDTH, HEIGHT)}
    for each in made:
        each.close()


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        ("nothing.mp4", "there is no file or folder 'nothing.mp4'"),
        ("https://example.org/clip.mp4", "download what https:// leads to first"),
        (ARRAY.astype(float), "frames are uint8 arrays"),
        (7, "a clip is a path, a uint8 array .* got int"),
        ("", "a clip is given as its path, .* got ''"),
        (Image.new("F", (WIDTH, HEIGHT)), "'picture' cannot be used: its pixels are 32-bit numbers"),
        (Image.new("RGB", (0, 0)), "^frames are uint8 arrays"),
    ],
)
def test_what_a_clip_cannot_be(clip: Any, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        SegmentationWidget(clip)


def test_only_an_array_has_a_frame_rate_of_ones_own(tmp_path: Path) -> None:
    Image.fromarray(ARRAY[0]).save(tmp_path / "0.png")
    with pytest.raises(VideoError, match="files say it themselves"):
        SegmentationWidget(tmp_path, fps=10)


@pytest.mark.parametrize("fps", [0, -3, float("nan"), float("inf"), 2000, "x", True])
def test_a_frame_rate_is_one_that_players_follow(fps: Any) -> None:
    with pytest.raises(VideoError, match=r"a frame rate is a number from 0\.1 to 1000 a second; got"):
        SegmentationWidget(ARRAY, fps=fps)


@pytest.mark.parametrize("height", [-1, 400, 20_000, float("nan"), 640.5, "big", None, True])
def test_a_height_is_one_that_the_canvas_can_have(height: Any) -> None:
    with pytest.raises(PromptError, match="whole number of CSS pixels from 560 to 10000; got"):
        SegmentationWidget(ARRAY, height=height)


@pytest.mark.parametrize("model", [3, object(), [1]])
def test_a_model_is_a_name_a_path_or_a_model(model: Any) -> None:
    with pytest.raises(CheckpointError, match="a model is a name such as 'pocket', .* got"):
        SegmentationWidget(ARRAY, model=model)


def test_a_folder_that_is_a_file_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ProjectError, match="a session cannot be kept in .*; choose a folder"):
            SegmentationWidget(ARRAY, folder=folder)
    with pytest.raises(ProjectError, match="given as its path, .* got 3"):
        SegmentationWidget(ARRAY, folder=3)  # type: ignore[arg-type]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_clip_that_is_cut_off_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "half.mp4", numbered(60), gop=6)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.warns(UserWarning, match=r"frames can be read: the file seems cut off") as warned:
        widget = SegmentationWidget(path)
    assert warned[0].filename == __file__
    canvas = Canvas(widget)
    canvas.say(v=1, op="hello")
    assert canvas.last("state")["clip"]["notice"] == str(warned[0].message)
    widget.close()


def test_widgets_share_a_model() -> None:
    first, second = SegmentationWidget(ARRAY, fps=10), SegmentationWidget(ARRAY, model="pocket")
    assert first.session.video.fps == 10
    assert opening.loaded("pocket")[1] is opening.loaded("facebook/pocket")[1]
    third = SegmentationWidget(ARRAY, model=opening.loaded("pocket")[1])
    assert {each.session.model_name for each in (first, second, third)} == {"pocket"}
    for each in (first, second, third):
        each.close()


def test_a_model_that_does_not_exist() -> None:
    with pytest.raises(CheckpointError):
        SegmentationWidget(ARRAY, model="no/such/model.pt")
    with pytest.raises(CheckpointError, match=str(Path.home())):
        SegmentationWidget(ARRAY, model="~/no-such-model.pt")


@pytest.mark.usefixtures("pool")
def test_a_folder_keeps_everything(tmp_path: Path) -> None:
    first = SegmentationWidget(ARRAY, folder=tmp_path / "kept", model="other")
    first.add_click(1, 2, AT)
    first.close()
    second = SegmentationWidget(ARRAY, folder=tmp_path / "kept")
    assert list(second.masks[1]) == [2]
    second.close()
    with pytest.raises(ProjectError, match=r"made with other, not pocket; open it so, then call use\('pocket'\)"):
        SegmentationWidget(ARRAY, folder=tmp_path / "kept", model="pocket")
    with pytest.raises(ProjectError, match="open it with its own clip"):
        SegmentationWidget(ARRAY[:3], folder=tmp_path / "kept")


@pytest.mark.usefixtures("pool")
def test_a_cell_with_a_folder_may_be_run_again(tmp_path: Path) -> None:
    first = SegmentationWidget(ARRAY, folder=tmp_path / "kept")
    first.add_click(1, 2, AT)
    second = SegmentationWidget(ARRAY, folder=tmp_path / "kept")
    assert list(second.masks[1]) == [2]
    with pytest.raises(SessionNotFound):
        first.add_click(1, 3, AT)
    first.close()
    second.add_click(1, 3, AT)
    second.close()


@pytest.mark.usefixtures("pool")
def test_a_project_goes_on_with_its_clip(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(ARRAY[0]).save(tmp_path / f"{index}.png")
    first = SegmentationWidget(tmp_path)
    first.add_click(1, 2, AT)
    project = first.save(tmp_path / "project.zip")
    second = SegmentationWidget.open(project)
    assert repr(second) == repr(first)
    assert (second.masks[1][2] == first.masks[1][2]).all()
    second.undo()
    assert project.exists()
    first.close()
    second.close()


@pytest.mark.usefixtures("pool")
def test_a_project_of_an_array_needs_its_array(tmp_path: Path) -> None:
    first = SegmentationWidget(ARRAY)
    first.add_click(1, 2, AT)
    first.save(tmp_path / "project.zip")
    first.close()
    with pytest.raises(ProjectError, match="open it with clip="):
        SegmentationWidget.open(tmp_path / "project.zip")
    second = SegmentationWidget.open(tmp_path / "project.zip", clip=ARRAY)
    assert list(second.masks[1]) == [2]
    second.close()
    with pytest.raises(ProjectError, match="there is no project file 'no.zip'"):
        SegmentationWidget.open("no.zip")
    with pytest.raises(ProjectError, match=r"a project is given as its path, .* got None"):
        SegmentationWidget.open(None)


@pytest.mark.usefixtures("pool")
def test_the_frame_rate_of_an_array_comes_back(tmp_path: Path) -> None:
    first = SegmentationWidget(ARRAY, fps=12.5, folder=tmp_path / "kept")
    first.save(tmp_path / "project.zip")
    first.close()
    second = SegmentationWidget.open(tmp_path / "project.zip", clip=ARRAY)
    assert second.session.video.fps == 12.5
    second.save(tmp_path / "again.zip")
    second.close()
    third = SegmentationWidget.open(tmp_path / "again.zip", clip=ARRAY)
    fourth = SegmentationWidget(ARRAY, folder=tmp_path / "kept")
    assert (third.session.video.fps, fourth.session.video.fps) == (12.5, 12.5)
    third.close()
    fourth.close()


@pytest.mark.usefixtures("pool")
def test_a_project_is_saved_where_one_says(tmp_path: Path) -> None:
    widget = SegmentationWidget(ARRAY)
    assert widget.save(tmp_path) == tmp_path / "array-project.zip"
    with pytest.raises(PromptError, match=r"there is no folder '.*no' to write 'x\.zip' to; make it first"):
        widget.save(tmp_path / "no" / "x.zip")
    widget.close()


def test_masks_are_exported(widget: SegmentationWidget, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="no mask to export"):
        widget.export(tmp_path, "coco")
    widget.add_click(1, 4, AT)
    assert widget.export(tmp_path, "coco") == tmp_path / "fake-coco.json"
    assert widget.export(tmp_path / "mine.zip", "davis") == tmp_path / "mine.zip"
    assert import_masks(tmp_path / "mine.zip", widget.session.video)[1][4] == Rle.encode(widget.masks[1][4])


@pytest.mark.usefixtures("pool")
def test_another_model_answers_anew(widget: SegmentationWidget, canvas: Canvas) -> None:
    widget.add_click(1, 4, AT)
    widget.session.use("other", fake_model())
    widget._relay.catch_up()
    assert canvas.last("state")["model"]["name"] == "other"


def test_a_session_is_taken_as_it_is(tmp_path: Path) -> None:
    session: Session = session_in(tmp_path / "one", FRAMES)
    session.do(AddPoint(1, 4, Point(0.3, 0.5)))
    widget = SegmentationWidget(session)
    assert list(widget.masks) == [1]
    widget.close()
    with pytest.raises(TypeError, match="a session has its model"):
        SegmentationWidget(session, model="pocket")


def test_a_closed_widget_says_so(tmp_path: Path) -> None:
    widget = SegmentationWidget(session_in(tmp_path, FRAMES))
    widget.close()
    widget.close()
    with pytest.raises(SessionNotFound, match="this session has ended"):
        widget.add_click(1, 4, AT)
    assert repr(widget).startswith("<SegmentationWidget 'fake'")
