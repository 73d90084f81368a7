"""The options of ``python -m sam2_core evaluate``, and its help."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from sam2_core.cli.track import image_size
from sam2_core.evaluation.layouts import EXPECTED, PROCEDURAL
from sam2_core.evaluation.options import BEHAVIOURS, MEAN_CLICKS, Options
from sam2_core.evaluation.results import Protocol

_DEFAULTS = Options()
_HIGHEST_LABEL = 65_535
_NAMES = [each.value for each in Protocol if each is not Protocol.PREDICTIONS]

_DESCRIPTION = """\
Score a model on videos and pictures whose masks are known, beside answers that need no model or no memory. Every figure
comes with frames a second, from file to mask, and peak memory."""

_EPILOG = f"""\
examples:
  the model that is part of this program, with the protocols that fit the data:
    python -m sam2_core evaluate --model pocket --data DATA

  semi-supervised on DAVIS's validation set, four sequences at a time, with a report; after Ctrl-C it goes on:
    python -m sam2_core evaluate --model sam2.1-hiera-tiny --data DAVIS --list DAVIS/ImageSets/2017/val.txt \\
        --protocol mask --workers 4 --out results/tiny-davis

  a simulated annotator who corrects up to five frames, in both of the paper's ways:
    python -m sam2_core evaluate --model pocket --data DAVIS --protocol offline online --frames 5 --out results/clicks

  does the model know when an object is gone?
    python -m sam2_core evaluate --model pocket --data {PROCEDURAL} --protocol mask

  masks made by anyone, in DAVIS's or SA-V's layout:
    python -m sam2_core evaluate --predictions their_masks/ --data sav_val/

protocols (the paper's sections 6.1 and 6.2; all that fit the data among mask, 1-click and images by default):
  mask, box, 1-click, 3-click, 5-click
                   all is said on the first frame that shows the object; J, F, J&F, and the AUC of the object score
                   where objects disappear
  offline, online  clicks on the errors of up to --frames frames: of the worst one after each pass, or of every one
                   where a single pass falls below an IoU of --pause-below; J&F and seconds of annotation by frames
  images           pictures: mean IoU after 1 to 5 clicks and for boxes, clicks until an IoU of 0.85 and 0.90

data:
{textwrap.indent(EXPECTED, "  ")}

what --out gets:
  report.html      curves, best and worst frames, bars; one file that needs no network
  summary.json     the tables
  scores.csv       every number about an object or a sequence, one a row
  frames.csv       J, F and object score by frame
  results/         one file for each sequence or picture, from which the same command goes on; what files or masks it
                   was made from is noted, so that it is made again when they change

exit status: 0 done; 1 stopped before the end, or some sequences or pictures could not be scored, which are listed;
2 something is wrong with the input, as the one line on stderr says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command to ``parser``."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    _add_subject(parser.add_argument_group("what is evaluated"))
    _add_data(parser.add_argument_group("on what"))
    _add_numbers(parser.add_argument_group("numbers of the protocols"))
    _add_running(parser.add_argument_group("how it runs"))


def _add_subject(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--model", help="name or file of the model (default: pocket)")
    group.add_argument(
        "--predictions", type=Path, metavar="DIR",
        help="score these masks instead of a model's: DIR/SEQUENCE/00000.png, or DIR/SEQUENCE/OBJECT/00000.png",
    )  # fmt: skip
    group.add_argument("--config", metavar="NAME", help="which model a checkpoint file is, if its tensors do not tell")
    group.add_argument(
        "--image-size",
        type=image_size,
        metavar="N",
        help="pixels per side that the model sees (default: its own)",
    )
    group.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="where to compute (default: auto, a GPU where there is one)",
    )  # fmt: skip
    group.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto",
        help="number type of the heavy parts (default: auto, bf16 where that is fast; official: fp32)",
    )  # fmt: skip
    group.add_argument(
        "--behaviour", choices=tuple(BEHAVIOURS), default="studio",
        help="official tracks as the stock predictor does on a CPU (default: studio)",
    )  # fmt: skip


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data", type=Path, required=True, metavar="DATA",
        help=f"a folder of videos or pictures with masks, COCO's JSON file, or {PROCEDURAL}; see below",
    )  # fmt: skip
    group.add_argument(
        "--protocol", nargs="+", choices=_NAMES, metavar="NAME",
        help=f"one or more of {', '.join(_NAMES)} (default: those of mask, 1-click and images that fit the data)",
    )  # fmt: skip
    group.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="sequences or pictures with these names (default: all)"
    )
    group.add_argument(
        "--list", type=Path, metavar="FILE", help="the same, from a file with a name on each line; # begins a comment"
    )
    group.add_argument(
        "--ignore-label", type=_label, metavar="N",
        help="value of masks that is no object; pixels of pictures that have it count for nothing (GrabCut: 128)",
    )  # fmt: skip


def _add_numbers(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--frames", type=_positive, default=_DEFAULTS.interacted_frames, metavar="N",
        help="frames that get clicks at most, offline and online (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--clicks", type=_positive, default=_DEFAULTS.clicks_per_frame, metavar="N",
        help="on each of them (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--pause-below", type=float, default=_DEFAULTS.pause_below, metavar="IOU",
        help="where online stops to correct, 0 to 1 (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--picture-clicks", type=_positive, default=_DEFAULTS.picture_clicks, metavar="N",
        help=f"on a picture's object at most, {MEAN_CLICKS} or more (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--no-baselines", action="store_true", help="leave out copied masks and tracking without memory")


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, metavar="DIR", help="keep results here, with a report, and go on from them")
    group.add_argument(
        "--workers", type=_positive, default=1, metavar="N",
        help="sequences at a time, each in a process with its own model (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--ray", metavar="ADDRESS",
        help="run on a Ray cluster instead: HOST:PORT, ray://HOST:PORT (needs ray[client]), auto or local; needs the "
        "extra [cluster], --device and --precision, and data and checkpoints under the same paths on all machines",
    )  # fmt: skip


def _label(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= _HIGHEST_LABEL:
        raise argparse.ArgumentTypeError(f"expected a mask's value, 1 to {_HIGHEST_LABEL}; got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 1000; got {text!r}")
    return int(text)
