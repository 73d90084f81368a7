"""Batches of clips, made ahead of time by worker processes where there are some."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sam2_core.errors import Sam2Error
from sam2_core.tracking.pixels import MEAN, STD
from sam2_core.training.data import Material
from sam2_core.training.plan import Chance, Plan, Stream, draw_clip_plan, draw_picture_plan, shown
from sam2_core.training.pseudo_video import Clip, ClipMaker
from sam2_core.training.recipe import Show, Stage


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of every batch is this process's: clips ``rank``, ``rank + of``, ``rank + 2 of`` and so on."""

    rank: int = 0
    of: int = 1

    def numbers(self, batch: int) -> range:
        """Numbers of the clips of this process."""
        return range(self.rank, batch, self.of)


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips with their objects, clip by clip.

    Attributes:
        plan: what is done with them.
        numbers: of the clips in the whole step.
        pixels: ``[N, T, 3, S, S]`` uint8 RGB.
        masks: ``[B, T, S, S]`` uint8, 0 to 255.
        owner: ``[B]``: the clip that each object is in, counted within this batch.
    """

    plan: Plan
    numbers: tuple[int, ...]
    pixels: Tensor
    masks: Tensor
    owner: Tensor

    @classmethod
    def of(cls, plan: Plan, numbers: tuple[int, ...], clips: list[Clip]) -> ClipBatch:
        """Clips of one length put together."""
        owner = torch.cat([torch.full((len(clip.masks),), index) for index, clip in enumerate(clips)])
        pixels, masks = torch.stack([clip.pixels for clip in clips]), torch.cat([clip.masks for clip in clips])
        return cls(plan, numbers, pixels, masks, owner)

    def to(self, device: torch.device) -> ClipBatch:
        """The same with all tensors on a device."""
        tensors = (tensor.to(device, non_blocking=True) for tensor in (self.pixels, self.masks, self.owner))
        return ClipBatch(self.plan, self.numbers, *tensors)


def normalised(pixels: Tensor) -> Tensor:
    """RGB 0 to 255 as the model wants it. Shapes: ``[..., 3, H, W]``, float32."""
    return (pixels.float() / 255 - MEAN.to(pixels.device)) / STD.to(pixels.device)


@dataclass(frozen=True, slots=True)
class StepData(Dataset[ClipBatch | Sam2Error | None]):
    """The batch of any step of a stage; steps with a toy need none."""

    material: Material
    stage: Stage
    image_size: int
    seed: int
    stage_index: int
    share: Share

    def __getitem__(self, step: int) -> ClipBatch | Sam2Error | None:
        """What goes wrong comes back as a value: a worker would wrap what it raises in its own traceback."""
        try:
            return self.batch(step)
        except Sam2Error as error:
            return error

    def batch(self, step: int) -> ClipBatch | None:
        """This process's clips of a step.

        Raises:
            Sam2Error: some data cannot be used.
        """
        chance, show = Chance(self.seed, self.stage_index, step), shown(self.stage, step)
        if show is Show.TOY:
            return None
        image, video = self.stage.image, self.stage.video
        rng, pictures = chance.stream(Stream.PLAN), show is Show.IMAGE
        plan = draw_picture_plan(rng, image.prompts) if pictures else draw_clip_plan(rng, video)
        numbers = tuple(self.share.numbers(image.batch if pictures else video.batch))
        maker = ClipMaker(self.material, self.image_size, image.augment if pictures else video.augment)
        clips = []
        for number in numbers:
            own = chance.stream(Stream.CLIP, number)
            if pictures:
                clips.append(maker.picture(own, image.objects))
            else:
                clips.append(maker.clip(own, plan.frames, video.objects, video.real))
        return ClipBatch.of(plan, numbers, clips)


@contextmanager
def batches(data: StepData, first: int, workers: int) -> Iterator[Iterator[ClipBatch | None]]:
    """The batches of all steps from ``first`` on; workers end with the context."""
    loader = DataLoader(
        data,
        batch_size=None,
        sampler=range(first, data.stage.steps),
        num_workers=workers,
        worker_init_fn=_leave_signals_alone if workers else None,
        multiprocessing_context="fork" if workers else None,
    )
    iterator = iter(loader)
    try:
        yield map(_unwrapped, iterator)
    finally:
        del iterator, loader  # ends the workers


def _unwrapped(item: ClipBatch | Sam2Error | None) -> ClipBatch | None:
    if isinstance(item, Sam2Error):
        raise item
    return item


def worker_count(wanted: int, device: torch.device, processes: int) -> int:
    """How many workers each process has: a CPU that trains has no core to spare, beside a GPU all others are free."""
    if wanted >= 0:
        return wanted
    return 0 if device.type == "cpu" else max(1, (os.cpu_count() or 1) // processes - 1)


def _leave_signals_alone(_worker: int) -> None:
    """Ctrl-C reaches the whole group; the trainer alone decides when to stop, and takes its workers with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
