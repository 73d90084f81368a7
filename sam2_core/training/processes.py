"""Several processes that train as one: started by ``torchrun``, over gloo on CPUs and nccl on GPUs.

Every process has all weights and its share of each batch. Gradients are summed, not averaged, and divided by the number
of objects that all processes have seen, so that what comes out does not depend on how many there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sam2_core.training.batches import Share

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Totals:
    """Over all processes. ``stop`` is true where one of them was asked to stop."""

    loss: float
    objects: float
    stop: bool


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among its equals."""

    share: Share = field(default_factory=Share)

    @property
    def first(self) -> bool:
        """Whether this one writes files and talks."""
        return self.share.rank == 0

    def join_gradients(
        self, parameters: Sequence[nn.Parameter], loss: Tensor, objects: int, *, stop: bool = False
    ) -> Totals:
        """Replace gradients of summed losses by the gradient of the mean loss over all objects of all processes.

        A parameter without a gradient on any process keeps none, so that the optimiser leaves it alone.
        """
        used = torch.tensor([float(each.grad is not None) for each in parameters], device=loss.device)
        facts = torch.cat((loss.detach().float().view(1), loss.new_tensor([objects, stop], dtype=torch.float32), used))
        if self.share.of > 1:
            dist.all_reduce(facts)
        total, count, stopping, *anywhere = facts.tolist()
        shared = [each for each, found in zip(parameters, anywhere, strict=True) if found]
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in shared]
        if self.share.of > 1 and gradients:
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            dist.all_reduce(flat)
            parts = flat.split([gradient.numel() for gradient in gradients])
            gradients = [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]
        for parameter, gradient in zip(shared, gradients, strict=True):
            parameter.grad = gradient / max(count, 1.0)
        return Totals(total / max(count, 1.0), count, stopping > 0)

    def gather(self, own: T) -> list[T]:
        """What each process has, in their order."""
        every: list[Any] = [own] * self.share.of
        if self.share.of > 1:
            dist.all_gather_object(every, own)
        return every

    def copy_first(self, model: nn.Module) -> None:
        """Give all processes the first one's weights."""
        if self.share.of > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """Until all are here."""
        if self.share.of > 1:
            dist.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes that ``torchrun`` started; this one alone where it did not."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(Share(dist.get_rank(), count))
    finally:
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that talks, also before and after they are :func:`joined`."""
    return os.environ.get("RANK", "0") == "0"


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process, where each has one."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if device.type == "cuda" else device
