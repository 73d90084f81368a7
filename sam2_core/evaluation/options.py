"""What is evaluated, and by which numbers of the protocols."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sam2_core.device import DeviceChoice, PrecisionChoice, choose_device, choose_precision
from sam2_core.errors import Sam2Error
from sam2_core.model import SAM2
from sam2_core.tracking.behaviour import OFFICIAL, STUDIO, Behaviour
from sam2_core.weights import Progress, load_model

BEHAVIOURS: dict[str, Behaviour] = {"studio": STUDIO, "official": OFFICIAL}


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model by its name and how it computes; small, so that other processes and machines load their own.

    Attributes:
        source: a name, or the path of a checkpoint.
        config: name of the preset that a file is, where its tensors do not tell.
        image_size: pixels per side that the model sees; the preset's by default.
        device: where to compute.
        precision: number type of the heavy parts.
        behaviour: a key of :data:`BEHAVIOURS`.
    """

    source: str
    config: str | None = None
    image_size: int | None = None
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    behaviour: str = "studio"

    def load(self, progress: Progress | None = None) -> SAM2:
        """The model, where and in the number type in which it will compute.

        Raises:
            CheckpointError: the weights cannot be found, fetched, trusted or fitted.
        """
        device = choose_device(self.device)
        # A comparison with the stock predictor is one in fp32, unless something else is asked for by name.
        official = self.precision == "auto" and self.behaviour == "official"
        precision = choose_precision("fp32" if official else self.precision, device)
        model = load_model(self.source, config=self.config, image_size=self.image_size, progress=progress)
        return model.to_precision(precision).to(device)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Masks that somebody made, in DAVIS's or SA-V's layout: ``FOLDER/SEQUENCE/00000.png`` or ``.../001/00000.png``."""

    folder: Path


Subject = ModelChoice | Predictions
"""What is evaluated."""


MEAN_CLICKS = 5
"""Clicks on a picture's object after each of which there is a mean IoU."""


@dataclass(frozen=True, slots=True)
class Options:
    """Numbers of the protocols; the defaults are the paper's (appendix F.1.2).

    Attributes:
        baselines: answers without a model, or without memory, are scored beside.
        clicks_per_frame: of an interaction.
        interacted_frames: at most.
        pause_below: IoU below which the online protocol stops to correct.
        picture_clicks: on a picture's object at most; fewer where it is good enough. At least :data:`MEAN_CLICKS`.
    """

    baselines: bool = True
    clicks_per_frame: int = 3
    interacted_frames: int = 8
    pause_below: float = 0.75
    picture_clicks: int = 20

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            Sam2Error: an IoU that is none, or fewer clicks than are told about.
        """
        if not 0 <= self.pause_below <= 1:
            raise Sam2Error(f"online stops below an IoU from 0 to 1; got {self.pause_below}.")
        if self.picture_clicks < MEAN_CLICKS:
            raise Sam2Error(
                f"a picture's object gets {MEAN_CLICKS} clicks or more, since there is a mean IoU after each of these; "
                f"got {self.picture_clicks}."
            )


@lru_cache(maxsize=1)
def loaded(choice: ModelChoice) -> SAM2:
    """The model, kept by this process: a worker answers for many sequences."""
    return choice.load()


def fingerprint(model: SAM2) -> str:
    """Tells weights from each other, though they may come from files of the same name."""
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
