"""Training: the paper's recipe, from nothing or from a checkpoint, on one process or many.

Start reading at :mod:`sam2_core.training.trainer`; :mod:`sam2_core.training.recipe` is all that can be chosen, and
:mod:`sam2_core.training.initialise` says why a small model learns at all.
"""

from sam2_core.training.recipe import Recipe
from sam2_core.training.recipe_file import read_recipe, recipe_names
from sam2_core.training.trainer import train

__all__ = ["Recipe", "read_recipe", "recipe_names", "train"]
