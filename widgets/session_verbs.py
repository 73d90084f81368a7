"""What code does with a session, in the words of a notebook."""

from __future__ import annotations

import os
from pathlib import Path

import numpy.typing as npt
import pandas as pd

from sam2_core.formats import find_export
from sam2_core.prompts import Box, Point
from sam2_core.results import ObjectMask
from sam2_core.session import Session
from sam2_core.session.commands import (
    AddObject,
    AddPoint,
    Choose,
    ClearFrame,
    Command,
    EditObject,
    LockFrame,
    PromptKind,
    Redo,
    RemoveObject,
    RemovePrompt,
    SetBox,
    SetMask,
    Undo,
    check_name,
)
from widgets.annotation import annotation_of
from widgets.arguments import flag, mask_of, one_of, path_to_write, pixels, whole
from widgets.masks import Masks, score_table

Place = tuple[float, float]
Corners = tuple[float, float, float, float]


class SessionVerbs:
    """Prompts, objects, masks and files of one session.

    Positions are pixels of the frame: ``(0, 0)`` is its top-left corner, as for arrays, but x comes first. Objects have
    numbers from 1 on; one above all that were given before makes a new object.

    Attributes:
        session: what it all rests on, with every command there is.
    """

    session: Session

    # What there is -----------------------------------------------------------------------------------------------

    @property
    def masks(self) -> Masks:
        """All masks as they are now: ``masks[object_id][frame]`` is a bool array ``[H, W]``.

        Example:
            >>> widget.masks[1][40].sum()  # pixels
            >>> widget.masks.to_numpy()  # bool [objects, frames, H, W]
        """
        return Masks(self.session.document, self.session.video.height, self.session.video.width)

    @property
    def scores(self) -> pd.DataFrame:
        """What the model thinks of each mask, as :func:`widgets.masks.score_table` has it: one row for each mask.

        Example:
            >>> widget.scores.query("not visible")[["object_id", "frame"]]
        """
        return score_table(self.session.document)

    def candidates(self, obj: int, frame: int) -> tuple[ObjectMask, ...]:
        """The three masks that a single click may have meant; none where nothing else can be meant.

        Args:
            obj: the object's number.
            frame: index of the frame.

        Raises:
            PromptError: there is no such object or frame.

        Example:
            >>> [each.predicted_iou for each in widget.candidates(1, 0)]
            >>> widget.candidates(1, 0)[2].mask.decode()  # bool [H, W]
        """
        obj, frame = whole(obj), whole(frame)
        self.session.document.check(obj, frame)
        return self.session.candidates(obj, frame)

    # What is said ------------------------------------------------------------------------------------------------

    def add_click(self, obj: int, frame: int, at: Place, *, positive: bool = True) -> None:
        """One more click on an object, or with ``positive=False`` on what does not belong to it.

        Args:
            obj: the object's number; one above all others makes a new object.
            frame: index of the frame.
            at: ``(x, y)``, in pixels of the frame.
            positive: whether what is there belongs to the object.

        Raises:
            PromptError: there is no such frame or pixel, the object is locked, or tracking goes on.

        Example:
            >>> widget.add_click(1, 0, (480, 270))
        """
        x, y = pixels(at, "a click is (x, y)", 2, *self._size)
        self._do(AddPoint(whole(obj), whole(frame), Point.at_pixel(x, y, *self._size, positive=flag(positive))))

    def add_box(self, obj: int, frame: int, box: Corners) -> None:
        """The rectangle around an object, instead of an earlier one.

        Args:
            obj: the object's number; one above all others makes a new object.
            frame: index of the frame.
            box: ``(x0, y0, x1, y1)`` from the top left to the bottom right, in pixels of the frame.

        Raises:
            PromptError: there is no such frame or box, the object is locked, or tracking goes on.

        Example:
            >>> widget.add_box(2, 0, (100, 80, 220, 300))
        """
        x0, y0, x1, y1 = pixels(box, "a box is (x0, y0, x1, y1)", 4, *self._size)
        self._do(SetBox(whole(obj), whole(frame), Box.at_pixels(x0, y0, x1, y1, *self._size)))

    def add_mask(self, obj: int, frame: int, mask: npt.ArrayLike) -> None:
        """The whole mask of an object, instead of all that was said of it on this frame.

        Args:
            obj: the object's number; one above all others makes a new object.
            frame: index of the frame.
            mask: ``[H, W]``, of the frame's size; True, 1 or 255 where the object is, else False or 0.

        Raises:
            PromptError: it is no mask of this frame, there is no such frame, the object is locked, or tracking goes on.

        Example:
            >>> widget.add_mask(3, 0, depth[0] < 2.5)
        """
        width, height = self._size
        self._do(SetMask(whole(obj), whole(frame), mask_of(mask, height, width)))

    def choose(self, obj: int, frame: int, candidate: int) -> None:
        """Which of :meth:`candidates` was meant.

        Args:
            obj: the object's number.
            frame: index of the frame.
            candidate: its place among them, counted from 0.

        Raises:
            PromptError: the prompt is not ambiguous, or tracking goes on.

        Example:
            >>> widget.choose(1, 0, 2)  # the third one
        """
        self._do(Choose(whole(obj), whole(frame), whole(candidate)))

    def remove_prompt(self, obj: int, frame: int, kind: str, index: int = 0) -> None:
        """Take back a prompt.

        Args:
            obj: the object's number.
            frame: index of the frame.
            kind: ``"point"``, ``"box"`` or ``"mask"``.
            index: of a point, in the order of clicking.

        Raises:
            PromptError: there is none, or tracking goes on.

        Example:
            >>> widget.remove_prompt(1, 0, "point", 1)  # the second click
        """
        self._do(RemovePrompt(whole(obj), whole(frame), one_of(PromptKind, kind), whole(index)))

    def clear(self, obj: int, frame: int) -> None:
        """Take back all that was said about an object on a frame.

        Args:
            obj: the object's number.
            frame: index of the frame.

        Raises:
            PromptError: there is nothing, or tracking goes on.

        Example:
            >>> widget.clear(1, 40)
        """
        self._do(ClearFrame(whole(obj), whole(frame)))

    def undo(self) -> None:
        """Take the last step back, tracking included; nothing happens where there is none.

        Raises:
            PromptError: tracking goes on.

        Example:
            >>> widget.undo()
        """
        self._do(Undo())

    def redo(self) -> None:
        """Do again what was taken back last; nothing happens where that is nothing.

        Raises:
            PromptError: tracking goes on.

        Example:
            >>> widget.redo()
        """
        self._do(Redo())

    # Objects -----------------------------------------------------------------------------------------------------

    def add_object(self, name: str | None = None) -> int:
        """A new object about which nothing is said yet; its number.

        Raises:
            PromptError: that is no name, there are as many objects as there may be, or tracking goes on.

        Example:
            >>> ball = widget.add_object("ball")
            >>> widget.add_click(ball, 0, (480, 270))
        """
        if name is not None:
            check_name(name)  # before there is an object without one
        obj = self.session.document.next_object_id
        self._do(AddObject(obj))
        if name is not None:
            self.edit_object(obj, name=name)
        return obj

    def edit_object(
        self,
        obj: int,
        *,
        name: str | None = None,
        colour: str | None = None,
        hidden: bool | None = None,
        locked: bool | None = None,
    ) -> None:
        """Change an object's properties, also while tracking goes on; ``None`` leaves one as it is.

        Args:
            obj: the object's number.
            name: what people call it.
            colour: as ``#1f77b4``.
            hidden: whether it is not drawn.
            locked: whether neither prompts nor tracking change it.

        Raises:
            PromptError: there is no such object, or that is no name or no colour.

        Example:
            >>> widget.edit_object(1, name="ball", colour="#1f77b4", locked=True)
        """
        colour = colour.lower() if isinstance(colour, str) else colour
        hidden = None if hidden is None else flag(hidden)
        locked = None if locked is None else flag(locked)
        self._do(EditObject(whole(obj), name, colour, hidden, locked))

    def remove_object(self, obj: int) -> None:
        """Forget an object and its masks; its number is not given again.

        Args:
            obj: the object's number.

        Raises:
            PromptError: there is no such object, or tracking goes on.

        Example:
            >>> widget.remove_object(2)
        """
        self._do(RemoveObject(whole(obj)))

    def lock_frame(self, obj: int, frame: int, *, locked: bool = True) -> None:
        """Keep an object's mask on a frame as it is, whatever is tracked or said.

        Args:
            obj: the object's number.
            frame: index of the frame.
            locked: ``False`` lets it change again.

        Raises:
            PromptError: there is no mask, or tracking goes on.

        Example:
            >>> widget.lock_frame(1, 40)
        """
        self._do(LockFrame(whole(obj), whole(frame), flag(locked)))

    # What is taken home -----------------------------------------------------------------------------------------------

    def export(self, path: str | os.PathLike[str], format: str) -> Path:  # noqa: A002
        """Write the masks to a file, whole or not at all; returns where it is.

        Args:
            path: of the file, or a folder, where it is called after the clip.
            format: ``masks``, ``davis``, ``coco``, ``sav``, ``yolo``, ``overlay``, ``overlay-picture``, ``cutout``,
                ``cutout-webm`` or ``cutout-mov``; :data:`sam2_core.formats.EXPORTS` describes them.

        Raises:
            PromptError: there is no such format or folder, or no mask yet.
            Sam2Error: the file cannot be written.

        Example:
            >>> widget.export("masks.zip", "davis")
        """
        chosen, annotation = find_export(format), annotation_of(self.session)
        place = path_to_write(path, "an export", chosen.file_name(annotation))
        chosen.write(annotation, place)
        return place

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a project file, to go on with by ``SegmentationWidget.open`` or in the page; returns where it is.

        The clip is in it where it is a file or a folder; that of an array is given again when the project is opened.

        Args:
            path: of the file, or a folder, where it is called after the clip.

        Raises:
            PromptError: there is no such folder.
            SessionLimit: the disk does not take it.

        Example:
            >>> widget.save("clip.zip")
            >>> widget = SegmentationWidget.open("clip.zip")
        """
        place = path_to_write(path, "a project", f"{annotation_of(self.session).stem}-project.zip")
        self.session.save_project(place)
        return place

    # How ---------------------------------------------------------------------------------------------------------

    def _do(self, command: Command) -> None:
        self.session.do(command)

    @property
    def _size(self) -> tuple[int, int]:
        return self.session.video.width, self.session.video.height
