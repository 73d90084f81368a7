"""Training of small models of this architecture, from nothing, on a machine without a graphics card.

Start reading at :mod:`sam2_core.training.train`; :mod:`sam2_core.training.initialise` says why it works at all.
"""

from sam2_core.training.config import StageConfig, TrainingConfig
from sam2_core.training.export import export
from sam2_core.training.train import train

__all__ = ["StageConfig", "TrainingConfig", "export", "train"]
