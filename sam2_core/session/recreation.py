"""A state as the commands that lead to it, without any answer of a model."""

from __future__ import annotations

from collections.abc import Iterator

from sam2_core.session.commands import AddObject, AddPoint, Edit, EditObject, ImportMasks, LockFrame, SetBox, SetMask
from sam2_core.session.document import Document


def recreation(document: Document) -> Iterator[Edit]:
    """Commands that say again what was said, without any answer: objects, their properties and their prompts.

    A locked frame's mask is an answer that someone vouches for: it is given.
    """
    for state in document.objects.values():
        object_id = state.object_id
        masks = {**state.imported, **{frame: state.masklet[frame].mask for frame in state.locked_frames}}
        given = tuple(SetMask(object_id, frame, mask) for frame, mask in masks.items())
        yield ImportMasks(given) if given else AddObject(object_id)
        yield EditObject(object_id, state.name, state.colour, state.hidden)
        for frame, prompt in state.prompts.items():
            if frame in state.locked_frames:
                continue
            if prompt.mask is not None and prompt.mask != state.imported.get(frame):
                yield SetMask(object_id, frame, prompt.mask)
            if prompt.box is not None:
                yield SetBox(object_id, frame, prompt.box)
            for point in prompt.points:
                yield AddPoint(object_id, frame, point)
        for frame in sorted(state.locked_frames):
            yield LockFrame(object_id, frame, locked=True)
        if state.locked:
            yield EditObject(object_id, locked=True)
