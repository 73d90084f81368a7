"""What commands make of what was said about an object on a frame."""

from __future__ import annotations

from dataclasses import replace

from sam2_core.errors import PromptError
from sam2_core.prompts import Prompt
from sam2_core.session.commands import (
    AddPoint,
    Choose,
    ClearFrame,
    PromptCommand,
    PromptKind,
    RemovePrompt,
    SetBox,
    SetMask,
)

MOST_CLICKS = 100
"""Of one object on one frame."""


def reprompted(earlier: Prompt | None, command: PromptCommand) -> Prompt | None:
    """All that is said about an object on a frame after one more command; ``None`` where that is nothing.

    Raises:
        PromptError: the command refers to something that was not said.
    """
    match command:
        case AddPoint():
            if earlier and len(earlier.points) >= MOST_CLICKS:
                raise PromptError(f"there can be {MOST_CLICKS} clicks on a frame; take some back, or paint the mask.")
            return earlier.with_point(command.point) if earlier else Prompt(points=(command.point,))
        case SetBox():
            return replace(earlier, box=command.box, candidate=None) if earlier else Prompt(box=command.box)
        case SetMask():
            return Prompt(mask=command.mask)
    if earlier is None:
        raise PromptError(f"nothing was said about object {command.object_id} on frame {command.frame_index}.")
    match command:
        case Choose():
            if not ambiguous(earlier):
                raise PromptError("only a single click has candidates to choose from; this prompt means one mask.")
            return replace(earlier, candidate=command.candidate)
        case RemovePrompt():
            return _reduced(earlier, command)
        case ClearFrame():
            return None


def ambiguous(prompt: Prompt) -> bool:
    """Whether the prompt may mean several things: a single click, and nothing else (the paper's section 4)."""
    return prompt.mask is None and prompt.label_count == 1


def _reduced(prompt: Prompt, command: RemovePrompt) -> Prompt | None:
    points, box, mask = prompt.points, prompt.box, prompt.mask
    if command.kind is PromptKind.POINT:
        if not 0 <= command.index < len(points):
            raise PromptError(f"there are {len(points)} clicks here, numbered from 0; got {command.index}.")
        points = (*points[: command.index], *points[command.index + 1 :])
    elif command.kind is PromptKind.BOX:
        box = None
    else:
        mask = None
    if (points, box, mask) == (prompt.points, prompt.box, prompt.mask):
        raise PromptError(f"no {command.kind.value} was given here.")
    return Prompt(points, box, mask) if points or box or mask else None
