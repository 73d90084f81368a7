"""Weights of a model: shipped, from the Hub, or from a local file; always loaded strictly and never unpickled."""

from sam2_core.weights.fit import infer_config
from sam2_core.weights.hub import Progress
from sam2_core.weights.load import AvailableModel, available_models, load_model

__all__ = ["AvailableModel", "Progress", "available_models", "infer_config", "load_model"]
