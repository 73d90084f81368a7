"""Three implementations of one model behind one interface: this project, transformers, and the released ``sam2``.

All get the same weights and the same frames, so that their masks can be compared as well. Weights and frames follow a
rule and mean nothing, which neither time nor memory depends on. What is not installed is left out; see README.md.
"""

from __future__ import annotations

import importlib.util
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from sam2_core.config import ModelConfig
from sam2_core.media import open_video
from sam2_core.model import SAM2, PromptTensors
from sam2_core.prompts import Box, Prompt
from sam2_core.tracking import OFFICIAL, STUDIO, Behaviour, Direction, Tracker
from sam2_core.tracking.features import FrameFeatures
from sam2_core.tracking.pixels import Resampling, model_pixels, point_tensors
from sam2_core.tracking.shared_cache import SharedCache
from tests.parity.golden_rules import fill_, image_u8

PARTS = ("image encoder", "memory attention", "mask decoder", "memory encoder")


class Rival(ABC):
    """One implementation with its model loaded.

    Attributes:
        name: as printed.
        parts: the modules that do the work, in the order of :data:`PARTS`.
    """

    name: str
    parts: tuple[nn.Module, ...]

    @abstractmethod
    def __init__(self, weights: SAM2, dtype: torch.dtype) -> None: ...

    @abstractmethod
    def track(self, clip: Path, boxes: Sequence[Box]) -> Iterator[Tensor]:
        """Boxes on the first frame, then forward; yields low-resolution logits ``[objects, 4h, 4w]`` of every frame."""


class Ours(Rival):
    """This project's tracker, told to do what the released predictor does."""

    name = "ours"
    behaviour: ClassVar[Behaviour] = OFFICIAL

    def __init__(self, weights: SAM2, dtype: torch.dtype) -> None:
        self.model = SAM2(weights.config).eval()
        self.model.load_state_dict(weights.state_dict())
        self.model.to_precision(dtype)
        model = self.model
        self.parts = (model.image_encoder, model.memory_attention, model.sam_mask_decoder, model.memory_encoder)

    def track(self, clip: Path, boxes: Sequence[Box]) -> Iterator[Tensor]:
        """See :class:`Rival`."""
        with open_video(clip) as video:
            tracker = Tracker(self.model, video, self.behaviour)
            # As the others do, keep the latest frame's features only: a cache is no property of the method.
            tracker.features = FrameFeatures(self.model, video, SharedCache(1))
            for object_id, box in enumerate(boxes, start=1):
                tracker.prompt(object_id, 0, Prompt(box=box))
            for result in tracker.propagate(Direction.FORWARD):
                yield torch.stack(list(tracker.logits(result.frame_index).values()))


class Studio(Ours):
    """This project's tracker as everyone uses it."""

    name = "ours, studio"
    behaviour = STUDIO


class Transformers(Rival):
    """Hugging Face's Sam2VideoModel, cast as its documentation says."""

    name = "transformers"

    def __init__(self, weights: SAM2, dtype: torch.dtype) -> None:
        _make_torchvision_importable()
        from transformers import Sam2VideoModel

        from tests.parity.transformers_weights import their_config, their_state

        self.config = weights.config
        self.dtype = dtype
        self.model = Sam2VideoModel(their_config(weights)).eval()
        self.model.load_state_dict(their_state(weights))
        self.model.to(dtype)
        model = self.model
        self.parts = (model.vision_encoder, model.memory_attention, model.mask_decoder, model.memory_encoder)

    def track(self, clip: Path, boxes: Sequence[Box]) -> Iterator[Tensor]:
        """See :class:`Rival`."""
        from transformers import Sam2VideoInferenceSession

        size = self.config.image_size
        with open_video(clip) as video:
            pixels = torch.stack([model_pixels(frame, size, Resampling.VIDEO_FRAME) for frame in video])
        session = Sam2VideoInferenceSession(pixels, size, size, dtype=self.dtype)
        for object_id, box in enumerate(boxes, start=1):
            said: PromptTensors = point_tensors(Prompt(box=box), self.config)
            points = {"point_coords": said.points_bn2[:, None], "point_labels": said.labels_bn[:, None]}
            session.add_point_inputs(session.obj_id_to_idx(object_id), 0, points)
            session.obj_with_new_inputs.append(object_id)
        self.model(session, frame_idx=0)
        for result in self.model.propagate_in_video_iterator(session, 0):
            yield result.pred_masks[:, 0]


class Released(Rival):
    """The released predictor, as the package ``sam2`` has it; bfloat16 through autocast, as its examples say."""

    name = "sam2"

    def __init__(self, weights: SAM2, dtype: torch.dtype) -> None:
        _make_torchvision_importable()
        from sam2.build_sam import build_sam2_video_predictor

        family, variant = weights.config.name.split("-hiera-")
        initials = "".join(word[0] for word in variant.split("-")).replace("bp", "b+")
        size = f"++model.image_size={weights.config.image_size}"
        self.size = weights.config.image_size
        self.dtype = dtype
        self.model = build_sam2_video_predictor(
            f"configs/{family}/{family}_hiera_{initials}.yaml", device="cpu", hydra_overrides_extra=[size]
        )
        self.model.load_state_dict(weights.state_dict())
        model = self.model
        self.parts = (model.image_encoder, model.memory_attention, model.sam_mask_decoder, model.memory_encoder)

    def track(self, clip: Path, boxes: Sequence[Box]) -> Iterator[Tensor]:
        """See :class:`Rival`."""
        steps = self._steps(clip, boxes)
        while True:
            # Entered for every step: a suspended generator would leave it on for whoever comes next.
            with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype is torch.bfloat16):
                logits = next(steps, None)
            if logits is None:
                return
            yield logits

    def _steps(self, clip: Path, boxes: Sequence[Box]) -> Iterator[Tensor]:
        state = self.model.init_state(str(clip))
        for object_id, box in enumerate(boxes, start=1):
            corners = [edge * self.size for edge in (box.x0, box.y0, box.x1, box.y1)]
            self.model.add_new_points_or_box(state, 0, object_id, box=corners)
        for frame, *_ in self.model.propagate_in_video(state):
            stored = [outputs[_kind(frame)][frame] for outputs in state["output_dict_per_obj"].values()]
            yield torch.cat([output["pred_masks"][:, 0] for output in stored])


def _kind(frame: int) -> str:
    return "non_cond_frame_outputs" if frame else "cond_frame_outputs"


def _make_torchvision_importable() -> None:
    """Its compiled half exists for few builds of PyTorch; without it, two operators are missed, which nobody calls.

    The released code needs torchvision, and transformers looks at it where it is installed.
    """
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def ruled_weights(config: ModelConfig) -> SAM2:
    """A model whose weights follow a rule, none of them zero."""
    model = SAM2(config).eval()
    fill_(model)
    return model


def rivals(config: ModelConfig) -> list[type[Rival]]:
    """Ours, and those of the others that are installed and know the model."""
    found: list[type[Rival]] = [Ours]
    if config.name == "sam2.1-hiera-tiny" and importlib.util.find_spec("transformers"):
        found.append(Transformers)
    if "-hiera-" in config.name and importlib.util.find_spec("sam2"):
        found.append(Released)
    return found


@contextmanager
def ruled_clip(size: int, frames: int) -> Iterator[Path]:
    """A folder of JPEG frames of the model's size, so that nobody resamples."""
    with tempfile.TemporaryDirectory() as folder:
        for index in range(frames):
            Image.fromarray(image_u8(size, size, index)).save(Path(folder) / f"{index:05d}.jpg", quality=95)
        yield Path(folder)


def boxes_side_by_side(count: int) -> list[Box]:
    """One box for each object."""
    return [Box(number / count, 0.2, (number + 1) / count, 0.8) for number in range(count)]
