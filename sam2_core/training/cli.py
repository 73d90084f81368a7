"""``python -m sam2_core train``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from sam2_core.training.config import TrainingConfig
from sam2_core.training.export import export
from sam2_core.training.train import train

DESCRIPTION = """\
Train the pocket model from nothing on this machine's CPU. An interrupted run goes on where it stopped.

example:
  python -m sam2_core train --data DATA --run runs/pocket --export pocket.safetensors
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = DESCRIPTION
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with images/, vos_train/ and splits.json"
    )
    parser.add_argument(
        "--run", type=Path, required=True, metavar="DIR", help="where checkpoints and the learning curve go"
    )
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers (default: %(default)s)")
    parser.add_argument(
        "--processes", type=int, default=2, metavar="N", help="one for each core (default: %(default)s)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        nargs=3,
        metavar=("WARM-UP", "IMAGES", "VIDEO"),
        default=None,
        help="length of the three stages (default: as for the shipped model)",
    )
    parser.add_argument("--export", type=Path, metavar="FILE", help="write the result as float16 .safetensors")


def run(args: argparse.Namespace) -> int:
    """Train and, if asked, export. Returns the exit status."""
    config = TrainingConfig(args.data, args.run, seed=args.seed, processes=args.processes)
    if args.minutes:
        warmup, image, video = args.minutes
        config = replace(
            config,
            warmup=replace(config.warmup, minutes=warmup),
            image=replace(config.image, minutes=image),
            video=replace(config.video, minutes=video),
        )
    checkpoint = train(config)
    if args.export:
        export(checkpoint, args.export, {"seed": str(config.seed)})
    return 0
