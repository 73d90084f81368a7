"""A session's masks as they are exported, and as they are drawn where there is no canvas."""

from __future__ import annotations

from sam2_core.formats import AnnotatedObject, Annotation
from sam2_core.session import Session


def annotation_of(session: Session) -> Annotation:
    """All objects with the names and colours that people gave them, and their masks as they are now."""
    document = session.document
    objects = (
        AnnotatedObject(state.object_id, state.name, _rgb(state.colour), tuple(sorted(state.prompts)))
        for state in document.objects.values()
    )
    return Annotation(session.video, tuple(objects), document.masklets())


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
