"""``python -m sam2_core track``: prompts and a video in, a folder of masks out."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from tqdm import tqdm

from sam2_core.cli.progress import progress
from sam2_core.cli.prompt_arguments import BoxArgument, Click, MaskArgument, prompts_for
from sam2_core.config import POCKET, PRESETS
from sam2_core.device import PrecisionChoice, choose_device, choose_precision
from sam2_core.errors import Cancelled, Sam2Error
from sam2_core.formats import ResultsFolder
from sam2_core.media import open_video
from sam2_core.model import SAM2
from sam2_core.prompts import Prompt
from sam2_core.results import FrameResult
from sam2_core.tracking.behaviour import OFFICIAL, STUDIO, Behaviour
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker
from sam2_core.weights import load_model

_BEHAVIOURS: dict[str, Behaviour] = {"studio": STUDIO, "official": OFFICIAL}
_LARGEST_IMAGE_SIZE = 2048

# Written out because argparse before Python 3.13 stumbles over brackets in a metavar.
_USAGE = """\
%(prog)s INPUT --model MODEL --out DIR
       [--click OBJ:FRAME:X,Y[,+|-]] [--box OBJ:FRAME:X0,Y0,X1,Y1] [--mask OBJ:FRAME:FILE.png]
       [--direction both|forward|backward] [--image-size N] [--device auto|cpu|cuda] [--precision auto|fp32|bf16]
       [--behaviour studio|official] [--config NAME] [--logits]"""

_DESCRIPTION = """\
Segment objects in a video and track them through it, in a picture, or in a folder of frames.

Say which objects: each --click, --box and --mask names an object (1 to 255), a frame (from 0), and a place in pixels
of the original frame, from the top-left corner. All three can be repeated, on any objects and frames; what is said
of one object on one frame is one prompt, and every prompted frame is kept to while tracking."""

_MODELS = textwrap.fill(", ".join(PRESETS), width=110, subsequent_indent="  ")

_EPILOG = f"""\
examples:
  one click on frame 0, tracked with the model that is part of this program:
    python -m sam2_core track clip.mp4 --model pocket --out results --click 1:0:480,270

  object 1 clicked, with a second click on what does not belong to it; object 2 in a box on frame 12:
    python -m sam2_core track clip.mp4 --model sam2.1-hiera-tiny --out results \\
        --click 1:0:480,270 --click 1:0:520,400,- --box 2:12:100,80,220,300

  a folder of frames with the first frame's mask given, forward only:
    python -m sam2_core track frames/ --model sam2.1-hiera-large --out results --mask 1:0:first.png --direction forward

  a picture, with a checkpoint of your own:
    python -m sam2_core track photo.jpg --model my.safetensors --out results --box 1:0:100,80,220,300

what --out gets:
  masks/00000.png    for every frame a palette PNG at the input's size; a pixel's value is the object's number, 0 is
                     none, and where objects overlap the smallest number wins
  scores.csv         frame,object_id,predicted_iou,object_score (a logit: above zero the object is visible)
  overlay.mp4        the masks over the video, at most 4096 pixels a side; a picture also gets overlay.png, whole
  logits/00000.npz   with --logits: object number -> float32 low-resolution mask logits

  Results of an earlier run in the same folder are replaced; other files are never touched, and a folder with masks
  that this program did not write is refused. After Ctrl-C the masks and scores that are finished stay.

models:
  {_MODELS},
  or a .pt, .pth or .safetensors file. Official models are downloaded once and kept in the Hub's cache.

exit status: 0 done; 1 stopped before the end; 2 something is wrong with the input, as the one line on stderr says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command to ``parser``."""
    parser.usage, parser.description, parser.epilog = _USAGE, _DESCRIPTION, _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("input", metavar="INPUT", type=Path, help="a video, a picture, or a folder of frames")
    required = parser.add_argument_group("required")
    required.add_argument("--model", required=True, help="a model's name, or the path of a checkpoint (see below)")
    required.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    _add_prompts(parser.add_argument_group("prompts (at least one; repeatable)"))
    _add_choices(parser.add_argument_group("choices"))


def _add_prompts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--click", dest="prompts", action="append", type=Click.parse, metavar="OBJ:FRAME:X,Y[,+|-]",
        help="a point on the object (+, the default) or on what does not belong to it (-)",
    )  # fmt: skip
    group.add_argument(
        "--box", dest="prompts", action="append", type=BoxArgument.parse, metavar="OBJ:FRAME:X0,Y0,X1,Y1",
        help="a rectangle around the object, from its top-left to its bottom-right corner",
    )  # fmt: skip
    group.add_argument(
        "--mask", dest="prompts", action="append", type=MaskArgument.parse, metavar="OBJ:FRAME:FILE.png",
        help="the object's mask, of the frame's size: what is not black; in a palette PNG with several objects, the "
        "pixels whose value is OBJ. Alone it is taken as it is; clicks or a box on the same frame refine it",
    )  # fmt: skip


def _add_choices(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--direction", choices=[direction.value for direction in Direction], default=Direction.BOTH.value,
        help="where to track from each object's first prompt (default: both)",
    )  # fmt: skip
    group.add_argument(
        "--image-size", type=image_size, metavar="N",
        help="pixels per side that the model sees, a multiple of 32: less is faster and coarser "
        f"(default: the model's own, 1024 for official ones and {POCKET.image_size} for pocket)",
    )  # fmt: skip
    group.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="where to compute (default: auto, the GPU where there is one)",
    )  # fmt: skip
    group.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto",
        help="number type of the heavy parts (default: auto, bf16 where the hardware computes in it, and fp32 with "
        "--behaviour official)",
    )  # fmt: skip
    group.add_argument(
        "--behaviour", choices=tuple(_BEHAVIOURS), default="studio",
        help="official tracks as the stock predictor does on a CPU, to the letter, for comparison (default: studio)",
    )  # fmt: skip
    group.add_argument(
        "--config", metavar="NAME", help="which model a checkpoint file is, where its tensors do not tell"
    )
    group.add_argument("--logits", action="store_true", help="write the low-resolution mask logits as well")


def run(args: argparse.Namespace) -> int:
    """Track, write the results and say where they are; returns the exit status.

    Raises:
        Cancelled: the user stopped it; what was finished is kept.
        Sam2Error: something is wrong with the input.
    """
    folder = ResultsFolder(args.out)
    if folder.replaces(args.input):
        raise Sam2Error(f"the results would replace the input {str(args.input)!r}; choose another folder with --out.")
    with open_video(args.input) as video:
        prompts = prompts_for(video, args.prompts or ())
        if video.notice:
            tqdm.write(video.notice, file=sys.stderr)
        tracker = Tracker(_load(args), video, _BEHAVIOURS[args.behaviour])
        if folder.holds_results:
            tqdm.write(f"replacing the earlier results in {args.out}", file=sys.stderr)
        results = _track(tracker, prompts, Direction(args.direction))
        if args.logits:
            results = _with_logits(tracker, results, folder)
        try:
            with progress("drawing the overlay", "frame") as report:
                folder.write(video, results, report)
        except KeyboardInterrupt:
            kept = f"the masks and scores of {folder.mask_count} of {len(video)} frames are in {args.out}"
            raise Cancelled(f"stopped; {kept}.") from None
        except torch.OutOfMemoryError as error:
            raise Sam2Error(
                "the GPU has too little memory; try a smaller --image-size, a smaller --model, --precision bf16 or "
                "--device cpu."
            ) from error
        tqdm.write(_summary(args, len(video), len(tracker.object_ids), is_image=video.is_image))
    return 0


def _load(args: argparse.Namespace) -> SAM2:
    """The model, where and in the number type in which it will compute."""
    device = choose_device(args.device)
    # A comparison with the stock predictor is one in fp32, unless something else is asked for by name.
    precision: PrecisionChoice = args.precision
    if precision == "auto" and args.behaviour == "official":
        precision = "fp32"
    with progress(f"downloading {args.model}", "B") as report:
        model = load_model(args.model, config=args.config, image_size=args.image_size, progress=report)
    return model.to_precision(choose_precision(precision, device)).to(device)


def _track(tracker: Tracker, prompts: Mapping[tuple[int, int], Prompt], direction: Direction) -> Iterator[FrameResult]:
    """Prompted frames first, since a sweep may not come by there, then each frame as it is tracked."""
    for (object_id, frame_index), prompt in prompts.items():
        tracker.prompt(object_id, frame_index, prompt)
    for frame_index in sorted({frame_index for _, frame_index in prompts}):
        yield tracker.result(frame_index)
    total = sum(len(sweep.frames) for sweep in tracker.passes(direction))
    with progress("tracking", "frame") as report:
        for done, result in enumerate(tracker.propagate(direction), start=1):
            yield result
            report(done, total)


def _with_logits(tracker: Tracker, results: Iterable[FrameResult], folder: ResultsFolder) -> Iterator[FrameResult]:
    """The same results; their logits, which the tracker soon forgets, are written on the way."""
    for result in results:
        logits = tracker.logits(result.frame_index)
        arrays = {object_id: tensor.float().cpu().numpy() for object_id, tensor in logits.items()}
        folder.write_logits(result.frame_index, arrays)
        yield result


def _summary(args: argparse.Namespace, frames: int, objects: int, *, is_image: bool) -> str:
    written = ["masks/", "scores.csv", "overlay.mp4"]
    written += ["overlay.png"] if is_image else []
    written += ["logits/"] if args.logits else []
    counts = f"{frames} {'frame' if frames == 1 else 'frames'}, {objects} {'object' if objects == 1 else 'objects'}"
    return f"{args.out}: {counts} in {', '.join(written)}"


def image_size(text: str) -> int:
    """Read ``--image-size``; errors are :class:`argparse.ArgumentTypeError`."""
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 32 <= int(text) <= _LARGEST_IMAGE_SIZE or int(text) % 32:
        raise argparse.ArgumentTypeError(f"expected a multiple of 32 from 32 to {_LARGEST_IMAGE_SIZE}; got {text!r}")
    return int(text)
