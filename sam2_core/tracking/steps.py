"""What happens to one frame: functions of their arguments, without any state (the paper's section 4)."""

from __future__ import annotations

from torch import Tensor

from sam2_core.model import SAM2, ImageFeatures, MaskPrediction, MemoryContext, PromptTensors, Selection
from sam2_core.prompts import Prompt
from sam2_core.rle import Rle
from sam2_core.tracking.behaviour import Behaviour
from sam2_core.tracking.pixels import fill_holes, model_mask, point_tensors, video_logits

_PREVIOUS_MASK_LIMIT = 32.0
"""Logits of a previous mask are clamped to this before they prompt the decoder (released code)."""


def adopt(model: SAM2, features: ImageFeatures, mask: Rle) -> Selection:
    """The answer to a prompt that is a mask and nothing else: that mask."""
    return model.adopt_mask(features, model_mask(mask, model.config.image_size).to(model.device))


def decode_prompt(
    model: SAM2, features: ImageFeatures, context: MemoryContext | None, prompt: Prompt, previous: Tensor | None
) -> MaskPrediction:
    """The decoder's whole answer to clicks and a box.

    Args:
        model: the model.
        features: of the frame.
        context: memories, where the object was tracked on this frame before.
        prompt: clicks and box.
        previous: logits ``[4h, 4w]`` of the mask that the prompt refines, if there is one.
    """
    clamped = None if previous is None else previous.clamp(-_PREVIOUS_MASK_LIMIT, _PREVIOUS_MASK_LIMIT)[None]
    tensors = point_tensors(prompt, model.config, clamped, model.device)
    return model.decode(features, model.condition(features, context), model.encode_prompt(tensors))


def select(model: SAM2, prediction: MaskPrediction, prompt: Prompt, behaviour: Behaviour) -> Selection:
    """The mask that a prompt meant: the one chosen; the best candidate where one click leaves it open; else mask 0."""
    if prompt.candidate is not None:
        return prediction.choose(prompt.candidate)  # a person sees it, whatever the object score says
    if prompt.label_count <= 1:
        return prediction.best().gated()
    if behaviour.dynamic_multimask:
        return prediction.stable(model.config.stability_limit).gated()
    return prediction.single().gated()


def track(model: SAM2, features: ImageFeatures, context: MemoryContext) -> Selection:
    """A frame that nobody prompted, for all objects of the context."""
    objects = context.maps_bldhw.shape[0]
    prompt = model.encode_prompt(PromptTensors.nothing(objects, model.device))
    return model.decode(features, model.condition(features, context), prompt).best().gated()


def remember_tracked(model: SAM2, features: ImageFeatures, selection: Selection, behaviour: Behaviour) -> Tensor:
    """Memory maps ``[B, D, h, w]`` of masks that were predicted without a prompt: as probabilities."""
    return _remember(model, features, _at_model_size(model, selection).sigmoid(), selection, behaviour)


def remember_prompted(model: SAM2, features: ImageFeatures, selection: Selection, behaviour: Behaviour) -> Tensor:
    """Memory maps ``[B, D, h, w]`` of masks that answer a prompt: a person vouches for them."""
    logits = _at_model_size(model, selection)
    mask = (logits > 0).float() if behaviour.hard_prompted_masks else logits.sigmoid()
    return _remember(model, features, mask, selection, behaviour)


def filled(selection: Selection, behaviour: Behaviour) -> Selection:
    """The same masks without small holes."""
    logits = fill_holes(selection.logits_bhw, behaviour.hole_area)
    return Selection(logits, selection.iou_b, selection.pointer_bc, selection.object_score_b)


def _at_model_size(model: SAM2, selection: Selection) -> Tensor:
    return video_logits(selection.logits_bhw, model.config.image_size, model.config.image_size)


def _remember(
    model: SAM2, features: ImageFeatures, mask_bhw: Tensor, selection: Selection, behaviour: Behaviour
) -> Tensor:
    maps = model.remember(features, mask_bhw, selection.object_score_b)
    return maps if behaviour.memory_dtype is None else maps.to(behaviour.memory_dtype)
