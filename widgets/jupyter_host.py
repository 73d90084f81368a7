"""The canvas in a notebook."""

from __future__ import annotations

import os
import time
import warnings
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.display import display
from ipywidgets import Layout

from sam2_core.errors import PromptError, Sam2Error, VideoError
from sam2_core.media import overlay
from sam2_core.session import Progress, Session
from sam2_core.session.commands import Command, Track
from sam2_core.tracking.policies import Direction
from widgets.annotation import annotation_of
from widgets.arguments import LEAST_HEIGHT, css_height, one_of, seconds, whole, wholes
from widgets.masks import counted
from widgets.opening import Clip, Model, loaded, open_project, open_session
from widgets.pictures import data_url, thumbnail
from widgets.relay import Relay
from widgets.session_verbs import SessionVerbs
from widgets.stand_in import StandIn

_STATIC = Path(__file__).parent / "static"
_STILL_WIDTH = 640
_LOOK_SECONDS = 0.2  # between two looks, while a cell waits, whether it was interrupted


class _OpenProject:
    """``SegmentationWidget.open`` goes on with a project; ``open`` of a widget is ipywidgets' own, and connects it."""

    def __get__(self, widget: SegmentationWidget | None, owner: type[SegmentationWidget]) -> Any:
        return owner._of_project if widget is None else super(SegmentationWidget, widget).open


class SegmentationWidget(SessionVerbs, anywidget.AnyWidget):
    """A clip, what is said about the objects in it, and their masks; by mouse in a notebook and by code alike.

    Whatever one does in the browser, the next cell finds, and whatever code does, the browser shows, in every view.
    Positions are pixels of the frame: ``(0, 0)`` is its top-left corner, as for arrays, but x comes first. Objects have
    numbers from 1 on; one above all that were given before makes a new object.

    Args:
        clip: path or ``file://`` address of a video, a picture or a folder of frames; RGB frames, uint8
            ``[T, H, W, 3]``, or one picture ``[H, W, 3]``; a picture of Pillow's; or a session, with all that it has.
        model: name (``pocket``, ``sam2.1-hiera-tiny``, ...), path of a checkpoint, or a model that is loaded. Widgets
            with the same name share the model.
        folder: where all that is done is kept as it is done, and found again when a widget is made with the same
            folder; ``None`` keeps it as long as the widget.
        fps: frames per second of an array; by default those that are known in ``folder``, or 24.
        height: of the widget, in CSS pixels, 560 at least; ``layout.height`` changes it later.

    Attributes:
        frame: the frame on show; set it to show another one.
        selected: id of the object that is selected in the browser, or ``None``.
        revision: a number that grows with every change of the session. Observe it to hear of them.
        tracking: whether masks are being made.
        progress: how far tracking is, or how it ended; ``None`` before the first time.
        session: what it all rests on, with every command there is.

    Observers of traits that change while tracking goes on are called in another thread.

    Raises:
        VideoError: the clip cannot be used.
        CheckpointError: the model cannot be had.
        ProjectError: what is kept in ``folder`` is about another clip, or nothing can be kept there.
        PromptError: that is no height.

    Warns:
        UserWarning: the clip is cut off, and how much of it there is.

    Example:
        >>> widget = SegmentationWidget("clip.mp4")
        >>> widget.add_click(1, 0, (480, 270))  # or by mouse
        >>> widget.track()
        >>> widget.wait()
        >>> widget.masks[1][40]  # bool [H, W]
    """

    _esm = _STATIC / "mask_canvas.js"
    _canvas_style = traitlets.Unicode((_STATIC / "mask_canvas.css").read_text(encoding="utf-8")).tag(sync=True)
    _still = traitlets.Unicode("").tag(sync=True)
    _stand_in_class = traitlets.Unicode("").tag(sync=True)

    frame = traitlets.Int(0).tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    revision = traitlets.Int(0, read_only=True)
    tracking = traitlets.Bool(False, read_only=True)
    progress = traitlets.Instance(Progress, allow_none=True, read_only=True)

    open = _OpenProject()
    _end: weakref.finalize[Any, Any] | None = None  # as long as there is no session, which may not be had

    def __init__(
        self,
        clip: Clip | Session,
        *,
        model: Model | None = None,
        folder: str | os.PathLike[str] | None = None,
        fps: float | None = None,
        height: int = 640,
    ) -> None:
        layout = Layout(height=f"{css_height(height)}px", min_height=f"{LEAST_HEIGHT}px")
        self.session = session = open_session(clip, model, folder, fps)
        if session.video.notice:
            warnings.warn(session.video.notice, stacklevel=2)
        self._stand_in = StandIn()
        super().__init__(layout=layout, _stand_in_class=self._stand_in.css_class)
        self._relay = Relay(session, self.send, self._note, self._take_still)
        self._stand_in.after_cells(self._relay.settle)
        self._end = weakref.finalize(self, session.close)  # also when the kernel ends
        self._note()
        self.on_msg(lambda _widget, message, _buffers: self._relay.hear(message))
        self.observe(self._moved, "frame")

    @classmethod
    def _of_project(
        cls,
        path: str | os.PathLike[str],
        *,
        clip: Clip | None = None,
        model: Model | None = None,
        height: int = 640,
    ) -> SegmentationWidget:
        """Go on with a project that was saved by :meth:`save`, or in the studio's page.

        Args:
            path: of the project file, which stays as it is.
            clip: for a project that has no clip in it, such as that of an array.
            model: for a project that was made with a checkpoint of one's own: the same one.
            height: of the widget, in CSS pixels.

        Raises:
            ProjectError: it is not a project file, is damaged, or needs its clip or its model.
            VideoError: the clip cannot be used.
            CheckpointError: its model cannot be had.
        """
        return cls(open_project(path, clip, model), height=height)

    # Tracking ----------------------------------------------------------------------------------------------------

    def track(
        self,
        direction: str = "both",
        *,
        first: int | None = None,
        last: int | None = None,
        objects: Iterable[int] | None = None,
    ) -> None:
        """Begin to track, and return at once; masks come while it goes on.

        Args:
            direction: ``"both"``, ``"forward"`` or ``"backward"``.
            first: no frame before this one.
            last: no frame after this one.
            objects: only these.

        Raises:
            PromptError: there is nothing to track, or tracking goes on.

        Example:
            >>> widget.track("forward", first=20, objects=[1])
        """
        first, last = (None if each is None else whole(each) for each in (first, last))
        chosen = None if objects is None else tuple(wholes(objects, "objects"))
        self._do(Track(one_of(Direction, direction), first, last, chosen))

    def wait(self, timeout: float | None = None) -> Progress | None:
        """Wait until tracking ends, or for ``timeout`` seconds; how far it is then, ``None`` if there never was any.

        Interrupting the cell ends tracking after the frame in work; finished masks are kept.

        Raises:
            Sam2Error: tracking failed; finished masks are kept.
            PromptError: that is no number of seconds.

        Example:
            >>> widget.wait(timeout=60).status
        """
        deadline = time.monotonic() + seconds(timeout)
        try:
            while self.session.tracking and (left := deadline - time.monotonic()) > 0:
                self.session.wait_for_job(min(left, _LOOK_SECONDS))
        except KeyboardInterrupt:
            self.cancel()
            raise
        finally:
            self._relay.catch_up()
        if self.progress is not None and self.progress.message:
            raise Sam2Error(self.progress.message)
        return self.progress

    def cancel(self) -> None:
        """End tracking after the frame in work, and wait for that; finished masks are kept.

        Example:
            >>> widget.cancel()
        """
        job = self.session.job
        if job is not None:
            job.cancel()
            job.wait()
            self._relay.catch_up()

    def use(self, model: Model) -> None:
        """Go on with another model: it answers all prompts anew; tracked masks are gone, and so is the way back.

        Raises:
            CheckpointError: the model cannot be had; all is as before.
            PromptError: tracking goes on.

        Example:
            >>> widget.use("sam2.1-hiera-tiny")
        """
        self.session.use(*loaded(model))
        self._relay.catch_up()

    def close(self) -> None:
        """End the session and take the widget from all pages; what is kept in a folder stays.

        A kernel keeps its widgets, their clips and their masks until it ends, as ipywidgets does: close what you do not
        need any more.

        Example:
            >>> widget.close()
        """
        if self._end is not None and self._end.detach() is not None:
            self._take_still()
            self._relay.close()
            self.session.close()
        super().close()

    # How ---------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        video, document = self.session.video, self.session.document
        frames = "a picture" if video.is_image else counted(len(video), "frame")
        closed = "" if self._end is not None and self._end.alive else ", closed"
        return (
            f"<SegmentationWidget {video.name!r}: {frames} of {video.width} x {video.height}, "
            f"{counted(len(document.objects), 'object')}, {self.session.model_name}{closed}>"
        )

    def _ipython_display_(self) -> None:
        """Show the canvas, and in a notebook the picture that stands in for it."""
        self._take_still()
        self._stand_in.show(self._still, self._caption)
        bundle = None if self.comm is None else self._repr_mimebundle_()  # which a closed widget has no more
        data, metadata = bundle or ({"text/plain": repr(self)}, {})
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]

    def _do(self, command: Command) -> None:
        self._relay.say(command)

    def _note(self) -> None:
        """Let observers know."""
        session = self.session
        if self.selected is not None and self.selected not in session.document.objects:
            self.selected = None
        self.set_trait("progress", session.job.progress if session.job else None)
        self.set_trait("tracking", session.tracking)
        self.set_trait("revision", session.revision)

    def _moved(self, _: object) -> None:
        self.session.playhead = self.frame
        self._relay.unsettle()

    def _take_still(self) -> None:
        """Give views, and the notebook, something to show where no kernel answers."""
        shown = {key for key, state in self.session.document.objects.items() if not state.hidden}
        annotation = annotation_of(self.session)  # which another thread may have changed since
        masks = {key: mask for key, mask in annotation.masks(self.frame).items() if key in shown}
        try:
            picture = overlay(self.session.video[self.frame], masks, colours=annotation.colours)
        except VideoError:  # the session has ended, or the file is gone: the last picture stays
            return
        self._still = data_url(thumbnail(picture, min(_STILL_WIDTH, picture.shape[1])))
        self._stand_in.update(self._still, self._caption)

    @property
    def _caption(self) -> str:
        return f"Frame {self.frame} of {self.session.video.name} with its masks"

    @traitlets.validate("frame")
    def _existing_frame(self, proposal: Any) -> int:
        frame: int = proposal["value"]
        if not 0 <= frame < len(self.session.video):
            raise PromptError(f"the clip has frames 0 to {len(self.session.video) - 1}; got frame {frame}.")
        return frame

    @traitlets.validate("selected")
    def _existing_object(self, proposal: Any) -> int | None:
        selected: int | None = proposal["value"]
        if selected is not None and selected not in self.session.document.objects:
            raise PromptError(f"there is no object {selected} to select.")
        return selected
