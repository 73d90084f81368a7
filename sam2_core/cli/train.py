"""``python -m sam2_core train``: a recipe and data in, a model out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sam2_core.training.checkpoint import WEIGHTS
from sam2_core.training.processes import is_first
from sam2_core.training.recipe_file import read_recipe, recipe_names
from sam2_core.training.trainer import train

DESCRIPTION = """\
Train a model from nothing, or fine-tune one, as a recipe says. Ctrl-C saves, and the same command goes on from there.
"""

EPILOG = f"""\
recipes of this package:
  {", ".join(recipe_names())}
or the path of a TOML file of your own; docs/training.md explains every part of one.

examples:
  the model that is part of this program, from nothing:
    python -m sam2_core train pocket --data DATA --run runs/pocket
  the same on both cores of a CPU, or on all GPUs of a machine:
    torchrun --nproc-per-node 2 -m -- sam2_core train pocket --data DATA --run runs/pocket
  an official checkpoint on pictures and videos of your own, with shorter clips and half the rate; DATA holds
  pictures/images/NAME.jpg, pictures/masks/NAME.png, videos/NAME/frames and videos/NAME/masks:
    python -m sam2_core train finetune-sam2.1-tiny --data DATA --run runs/mine --set video.frames=4 \\
        --set optimiser.rate=2.5e-6
  the same on videos alone, for which DATA/videos will do:
    python -m sam2_core train finetune-sam2.1-tiny --data DATA --run runs/mine --set 'finetune.show=["video"]'

what --run gets:
  model.safetensors  the averaged weights, for --model of the other commands
  last.pt            what the same command goes on from
  curve.csv, .png    losses and scores; tensorboard/ as well, where TensorBoard is installed
  previews/          pictures and clips with truth (white) and prediction

exit status: 0 done; 1 stopped before the end; 2 something is wrong, as the one line on stderr says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("recipe", metavar="CONFIG", help="a recipe's name, or the path of a TOML file (see below)")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the folder below which the recipe's data sets lie"
    )
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="where all results go")
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="KEY=VALUE",
        help="change the recipe, such as video.frames=8, or clips.steps=1000 for one stage alone; repeatable",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Train; returns the exit status.

    Raises:
        Cancelled: the user stopped it; the run was saved.
        Sam2Error: something is wrong with the recipe or the data.
    """
    folder = train(read_recipe(args.recipe, args.changes), args.data, args.run)
    if is_first():
        sys.stderr.write(f"done: {folder / WEIGHTS}\n")
    return 0
