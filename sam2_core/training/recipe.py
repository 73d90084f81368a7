"""A recipe: everything that decides what comes out of a training run, as frozen numbers.

A recipe is read from TOML by :mod:`sam2_core.training.recipe_file`; every key of such a file is a field here. Defaults
are the released training code's, as far as it is known, and the appendix D.2 of the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from sam2_core.training.losses import Fit, LossWeights
from sam2_core.training.ranges import Angle, Batch, BelowOne, Count, Number, Objects, Strength, Unit, Workers, Zoom


class Show(Enum):
    """What a step shows the model."""

    TOY = "toy"
    IMAGE = "image"
    VIDEO = "video"


class Kind(Enum):
    """How a data set lies on the disk."""

    IMAGES = "images"
    COCO = "coco"
    DAVIS = "davis"
    SAV = "sa-v"


class Device(Enum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Precision(Enum):
    """Number type of the forward pass; weights and losses are always float32."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


class Learned(Enum):
    """Which answers of an interaction are learned from."""

    ALL = "all"
    ENDS = "ends"
    """The first and the last; those between only lead there, which costs half as much."""


class Stored(Enum):
    """Number type of the exported weights."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


@dataclass(frozen=True, slots=True)
class Span:
    """A whole number that is drawn anew for every step, both ends included; ``8`` or ``[4, 10]`` in a file."""

    low: int
    high: int

    def draw(self, rng: np.random.Generator) -> int:
        """Any of them, equally likely."""
        return int(rng.integers(self.low, self.high + 1))


@dataclass(frozen=True, slots=True)
class DataSource:
    """One data set.

    Attributes:
        kind: its layout; see ``docs/training.md``.
        path: its folder, below that of ``--data``.
        weight: how often it is drawn, relative to the other pictures or the other videos.
        list: a file below ``--data`` that names what may be trained on: text with a name on each line, or JSON as
            ``{path: {"train": [names]}}``; without one, everything in the folder.
        leave_out: names that are never trained on.
        suffixes: of the masks of ``kind = "images"``, one for each way in which a picture was partitioned.
        whole_objects: its masks are objects that can be cut out and pasted elsewhere.
        partition: its masks tile the picture, so that neighbours unite to larger ones.
    """

    kind: Kind
    path: str
    weight: Strength = 1.0
    list: str = ""
    leave_out: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ("",)
    whole_objects: bool = False
    partition: bool = False


@dataclass(frozen=True, slots=True)
class Augment:
    """How pictures and videos are varied. Chances are 0 to 1, angles degrees.

    Attributes:
        whole: share of views that show nearly the whole frame; the others are crops.
        zoom: half side of the smallest crop, as a share of the frame's.
        turn: standard deviation of the view's angle.
        shear: standard deviation of its shear.
        motion: strength of the camera path and of the bending wave that set a still picture in motion.
        footage_motion: strength of the camera path over real footage.
        speed: most frames of real footage from one frame of a clip to the next.
        reverse: chance that real footage runs backward.
        paste: chances of no, one, two, ... objects pasted on top, which move on their own.
        twin: chance that a pasted object has a twin, of which only one is the target.
        vanish: chance that a pasted object is gone for some frames.
        cut: chance that another picture takes the place of some frames, on which no target is to be seen.
        colour: strength of the changes of colour.
    """

    whole: Unit = 1.0
    zoom: Zoom = 0.45
    turn: Angle = 14.0
    shear: Angle = 11.0
    motion: Strength = 1.0
    footage_motion: Strength = 0.0
    speed: Count = 1
    reverse: Unit = 0.5
    paste: tuple[Unit, ...] = (1.0,)
    twin: Unit = 0.3
    vanish: Unit = 0.2
    cut: Unit = 0.0
    colour: Strength = 0.4


@dataclass(frozen=True, slots=True)
class Prompting:
    """The simulated person (the paper's appendix D.2.2).

    Attributes:
        mask: share of clips that start from true masks; pictures never do.
        box: share of boxes where the start is not a mask; the others are one click.
        centre: share of clicks on the deepest point of what is clicked; the rest, but for ``deep``, is uniform.
        deep: share of clicks at more than half of that depth.
        frames: prompted frames at the start; the first one always is among them.
        clicks: chances of one, two, ... corrections of every prompted frame that does not start from a mask.
        from_truth: chance that a correction is drawn from the whole object instead of from the error.
        later: chance that one more frame is corrected, after it was tracked, where the start was a click or a box on
            the first frame alone.
        later_after_mask: the same where the start was a mask.
        learned: which answers are learned from.
    """

    mask: Unit = 0.5
    box: Unit = 0.5
    centre: Unit = 0.0
    deep: Unit = 0.0
    frames: Span = Span(1, 2)
    clicks: tuple[Unit, ...] = (0, 0, 0, 0, 0, 0, 1)
    from_truth: Unit = 0.1
    later: Unit = 0.5
    later_after_mask: Unit = 0.0
    learned: Learned = Learned.ALL


@dataclass(frozen=True, slots=True)
class ToyBatches:
    """Prompts on noise: what they mean, before there is an image feature worth looking at."""

    batch: Batch = 32


@dataclass(frozen=True, slots=True)
class ImageBatches:
    """Pictures; each is a clip of one frame.

    Attributes:
        batch: pictures a step, of all processes together.
        objects: prompted objects of each; where there are fewer, some are asked for more than once.
        weight: of a picture's loss beside a clip's.
    """

    batch: Batch = 1
    objects: Objects = 3
    weight: Strength = 1.0
    augment: Augment = Augment()
    prompts: Prompting = Prompting()


@dataclass(frozen=True, slots=True)
class VideoBatches:
    """Clips, of real footage or of pictures set in motion.

    Attributes:
        batch: clips a step, of all processes together.
        objects: most objects of each, all visible on the first frame.
        weight: of a clip's loss beside a picture's.
        real: share of clips from real footage.
        frames: that are learned from, the first one included.
        rollout: frames between the first one and the others learned from, which are tracked without gradients: the
            model meets its own drift.
        forget: chance of each recent memory to be lost.
        forget_all: chance that a frame sees no recent memory at all.
        pretend: frames by which half of the clips pretend to have begun earlier, as in a long video; 0 leaves time as
            it is.
    """

    batch: Batch = 1
    objects: Objects = 3
    weight: Strength = 1.0
    real: Unit = 1.0
    frames: Span = Span(8, 8)
    rollout: Span = Span(0, 0)
    forget: Unit = 0.0
    forget_all: Unit = 0.0
    pretend: Number = 0
    augment: Augment = Augment()
    prompts: Prompting = Prompting()


@dataclass(frozen=True, slots=True)
class Loss:
    """What is asked of the answers.

    Attributes:
        weights: of the terms, from ``fade[1]`` of the stage on.
        start: the same before ``fade[0]`` of the stage; between the two they blend.
        fit: which masks of a prediction have to fit.
        stride: image pixels per pixel of the compared masks: 4 is the decoder's own resolution, 1 the image's.
    """

    weights: LossWeights = field(default_factory=LossWeights)
    start: LossWeights | None = None
    fade: tuple[Unit, Unit] = (0.2, 0.8)
    fit: Fit = Fit.ASKED
    stride: int = 1

    def weights_at(self, progress: float) -> LossWeights:
        """Weights at a share of the stage."""
        if self.start is None:
            return self.weights
        low, high = self.fade
        share = min(max((progress - low) / (high - low), 0.0), 1.0)
        names = LossWeights.__dataclass_fields__
        return LossWeights(
            **{name: (1 - share) * getattr(self.start, name) + share * getattr(self.weights, name) for name in names}
        )


@dataclass(frozen=True, slots=True)
class Optimiser:
    """AdamW and what surrounds it.

    Attributes:
        rate: peak learning rate.
        encoder: share of it for the image encoder.
        layer_decay: factor from one block of the image encoder's trunk to the one before it.
        floor: share of the rate at the end of the cosine.
        rise: steps over which the rate rises at first.
        decay: weight decay; none for biases and normalisations.
        betas: of AdamW.
        clip: largest norm of the gradient.
        average: decay a step of the averaged weights, which are what is kept in the end.
    """

    rate: Unit = 5e-6
    encoder: Strength = 0.6
    layer_decay: Unit = 0.9
    floor: Unit = 0.1
    rise: Number = 0
    decay: Unit = 0.1
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    clip: Strength = 0.1
    average: BelowOne = 0.999


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the run with an optimiser and a learning rate schedule of its own.

    Attributes:
        name: in the log and in ``--set``.
        steps: updates.
        show: what the steps show in turn: ``["image", "video"]`` alternates, ``["image", "video", "video"]`` has one
            step in three with pictures.
        freeze: beginnings of the names of parameters that stay as they are.
        expect_iou: where this is above zero, the run ends with an error if after ``expect_at`` steps the best candidate
            scores less, or if a correction does not help: the model ignores its prompts, and more steps would not
            change that.
    """

    name: str
    steps: Number
    show: tuple[Show, ...] = (Show.IMAGE, Show.VIDEO)
    freeze: tuple[str, ...] = ()
    expect_iou: Unit = 0.0
    expect_at: Count = 200
    toy: ToyBatches = ToyBatches()
    image: ImageBatches = ImageBatches()
    video: VideoBatches = VideoBatches()
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole run.

    Attributes:
        model: name of a preset.
        init: where weights come from: a model's name, a file, a checkpoint of a run; empty to start from nothing.
        image_size: pixels per side that the model sees; 0 is the preset's.
        seed: of all random numbers.
        dropout: in memory attention.
        drop_path: stochastic depth of the image encoder.
        device: where to compute.
        precision: of the forward pass.
        workers: processes that make data beside each training process; -1 is none on a CPU and all cores on a GPU.
        cache: MiB of decoded pictures that each process keeps.
        save: steps between two checkpoints.
        report: steps between two points of the learning curve.
        preview: steps between two sheets of pictures; 0 for none.
        store: number type of the exported weights.
        data: what is trained on.
        stages: in their order.
    """

    model: str
    data: tuple[DataSource, ...]
    stages: tuple[Stage, ...]
    init: str = ""
    image_size: Number = 0
    seed: Number = 1
    dropout: BelowOne = 0.0
    drop_path: BelowOne = 0.0
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    workers: Workers = -1
    cache: Count = 1024
    save: Count = 200
    report: Count = 20
    preview: Number = 500
    store: Stored = Stored.FLOAT32
