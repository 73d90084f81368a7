"""AdamW with layer decay, a cosine schedule, and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from sam2_core.model import SAM2
from sam2_core.training.recipe import Optimiser, Stage

_ENCODER, _TRUNK = "image_encoder.", "image_encoder.trunk."
_BLOCK = f"{_TRUNK}blocks."


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all parameters of a group have in common."""

    scale: float
    decays: bool


def freeze(model: SAM2, beginnings: tuple[str, ...]) -> None:
    """Let parameters whose names begin so stay as they are, and all others learn; nobody keeps a gradient."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(name.startswith(each) for each in beginnings))
        parameter.grad = None


def trainable(model: SAM2) -> list[tuple[str, nn.Parameter]]:
    """Parameters that learn, by name."""
    return [(name, each) for name, each in model.named_parameters() if each.requires_grad]


def make_optimiser(model: SAM2, stage: Stage) -> torch.optim.AdamW:
    """An optimiser of what a stage does not freeze; its groups have a ``scale``, their share of the learning rate."""
    settings = stage.optimiser
    freeze(model, stage.freeze)
    plain = _without_decay(model)
    groups: dict[_Kind, list[nn.Parameter]] = {}
    for name, parameter in trainable(model):
        kind = _Kind(rate_scale(name, len(model.image_encoder.trunk.blocks), settings), name not in plain)
        groups.setdefault(kind, []).append(parameter)
    tables = [
        {"params": each, "scale": kind.scale, "weight_decay": settings.decay if kind.decays else 0.0}
        for kind, each in groups.items()
    ]
    return torch.optim.AdamW(tables, lr=settings.rate, betas=settings.betas, fused=True)


def rate_scale(name: str, blocks: int, settings: Optimiser) -> float:
    """A parameter's share of the learning rate: the earlier a block of the trunk, the less; positions as the rest."""
    if not name.startswith(_ENCODER):
        return 1.0
    if not name.startswith(_TRUNK) or "pos_embed" in name:
        return settings.encoder
    layer = 1 + int(name[len(_BLOCK) :].split(".")[0]) if name.startswith(_BLOCK) else 0
    return float(settings.encoder * settings.layer_decay ** (blocks + 1 - layer))


def _without_decay(model: SAM2) -> set[str]:
    """Biases, and the weights of PyTorch's own LayerNorm, as in the released code."""
    norms = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)}
    return norms | {name for name, _ in model.named_parameters() if "bias" in name}


def learning_rate(settings: Optimiser, step: int, steps: int) -> float:
    """The rate of a step: a rise, and a cosine down to ``floor``."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1.0)))
    rise = min(1.0, (step + 1) / settings.rise) if settings.rise else 1.0
    return settings.rate * (settings.floor + (1 - settings.floor) * cosine) * rise


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of the rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


@torch.no_grad()
def follow(average: SAM2, model: SAM2, decay: float, step: int) -> None:
    """Move averaged weights towards the model's; a young average follows quickly and soon forgets its start."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(_tensors(average.parameters()), _tensors(model.parameters()), weight)


def _tensors(parameters: Iterable[nn.Parameter]) -> list[torch.Tensor]:
    return [parameter.data for parameter in parameters]
