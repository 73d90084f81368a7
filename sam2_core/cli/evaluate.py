"""``python -m sam2_core evaluate``: a model, or anyone's masks, against masks that are known."""

from __future__ import annotations

import argparse
import functools
import sys
import textwrap
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as ScreenTable
from tqdm import tqdm

from sam2_core.cli.progress import progress
from sam2_core.cli.track import image_size
from sam2_core.errors import Cancelled, Sam2Error
from sam2_core.evaluation.backends import Backend, in_processes, in_this_process, on_ray
from sam2_core.evaluation.export import Summary, write_csv, write_json
from sam2_core.evaluation.jobs import default_protocols, perform, plan
from sam2_core.evaluation.layouts import EXPECTED, PROCEDURAL, DataSet, find_data
from sam2_core.evaluation.options import BEHAVIOURS, ModelChoice, Options, Predictions, Subject, fingerprint, loaded
from sam2_core.evaluation.report import write_report
from sam2_core.evaluation.results import Protocol
from sam2_core.evaluation.runner import Evaluation, evaluate
from sam2_core.evaluation.store import ResultStore, Settings
from sam2_core.evaluation.summary import Table, shown, tables

_DEFAULTS = Options()
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
  summary.json     the tables; scores.csv: every number, one a row
  results/         one file for each sequence or picture, from which the same command goes on

exit status: 0 done; 1 stopped before the end; 2 something is wrong with the input, as the one line on stderr says."""


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
    group.add_argument("--image-size", type=image_size, metavar="N", help="pixels per side that the model sees")
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    group.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto", help="number type of the heavy parts"
    )
    group.add_argument(
        "--behaviour", choices=tuple(BEHAVIOURS), default="studio",
        help="official tracks as the stock predictor does on a CPU (default: studio)",
    )  # fmt: skip


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="videos or pictures with masks; see below"
    )
    group.add_argument(
        "--protocol", nargs="+", choices=_NAMES, metavar="NAME", help=f"one or more of {', '.join(_NAMES)}"
    )
    group.add_argument("--only", nargs="+", default=[], metavar="NAME", help="sequences or pictures with these names")
    group.add_argument("--list", type=Path, metavar="FILE", help="the same, from a file with a name on each line")
    group.add_argument(
        "--ignore-label", type=int, metavar="N",
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
        help="where online stops to correct (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--picture-clicks", type=_positive, default=_DEFAULTS.picture_clicks, metavar="N",
        help="on a picture's object at most (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--no-baselines", action="store_true", help="leave out the copied first mask and tracking without memory"
    )


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, metavar="DIR", help="keep results here, with a report, and go on from them")
    group.add_argument(
        "--workers", type=_positive, default=1, metavar="N",
        help="sequences at a time, each in a process with its own model (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--ray", metavar="ADDRESS",
        help="run on a Ray cluster instead: HOST:PORT, ray://HOST:PORT, auto or local; needs the extra [cluster], and "
        "data and checkpoints under the same paths on all machines",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables and write the report; returns the exit status.

    Raises:
        Cancelled: the user stopped it; what was finished is kept.
        Sam2Error: something is wrong with the input.
    """
    subject = _subject(args)
    data = _data(args)
    protocols = [Protocol(name) for name in dict.fromkeys(args.protocol or ())]
    if protocols and isinstance(subject, Predictions):
        raise Sam2Error("predictions are scored as they are; leave --protocol out.")
    jobs = plan(data, protocols or default_protocols(data, subject))
    options = Options(not args.no_baselines, args.clicks, args.frames, args.pause_below, args.picture_clicks)
    settings = _settings(subject, args.data, options)
    store = ResultStore(args.out, settings) if args.out else None
    with progress("evaluating", "job") as report:
        done = evaluate(
            jobs, functools.partial(perform, subject, options), backend=_backend(args), store=store, progress=report
        )
    return _conclude(done, settings, store)


def _conclude(done: Evaluation, settings: Settings, store: ResultStore | None) -> int:
    found = tables(done.results)
    _print(found)
    if store:
        with store.writable():
            write_csv(store.folder / "scores.csv", done.results)
            write_json(store.folder / "summary.json", Summary(settings, done.missing, tuple(found)))
            write_report(store.folder / "report.html", settings, done, found)
        resumed = f", {done.resumed} of them from an earlier start" if done.resumed else ""
        tqdm.write(f"{store.folder}: {len(done.results)} results{resumed}, report.html, summary.json, scores.csv")
    if done.missing:
        kept = "the same command goes on" if store else "nothing is kept without --out"
        raise Cancelled(f"stopped; {done.missing} of {done.missing + len(done.results)} jobs were not done; {kept}.")
    return 0


def _subject(args: argparse.Namespace) -> Subject:
    if args.predictions is None:
        source = args.model or "pocket"
        # Workers on other machines start in other folders.
        file = Path(source).expanduser()
        source = str(file.resolve()) if file.suffix and file.is_file() else source
        return ModelChoice(source, args.config, args.image_size, args.device, args.precision, args.behaviour)
    if args.model:
        raise Sam2Error("--model and --predictions are two ways to say what is evaluated; leave one of them out.")
    if not args.predictions.is_dir():
        raise Sam2Error(f"there is no folder {str(args.predictions)!r}; --predictions needs one with masks.")
    return Predictions(args.predictions.resolve())


def _data(args: argparse.Namespace) -> DataSet:
    root = args.data if str(args.data) == PROCEDURAL else args.data.expanduser().resolve()
    data = find_data(root, args.ignore_label)
    names = list(args.only)
    if args.list:
        try:
            names += args.list.read_text(encoding="utf-8").split()
        except (OSError, UnicodeError) as error:
            raise Sam2Error(f"the list {args.list.name!r} cannot be read: a text file of names is expected.") from error
    return data.only(names) if names else data


def _settings(subject: Subject, data: Path, options: Options) -> Settings:
    place = str(data) if str(data) == PROCEDURAL else str(data.expanduser().resolve())
    if isinstance(subject, Predictions):
        return Settings(f"predictions in {subject.folder}", "", place, options)
    model = loaded(subject)
    side = model.config.image_size
    name = Path(subject.source).name
    precision = str(model.compute_dtype).removeprefix("torch.")
    how = f"{name}, {side} px, {subject.behaviour}, {model.device.type}, {precision}"
    return Settings(how, fingerprint(model), place, options)


def _backend(args: argparse.Namespace) -> Backend:
    if args.ray:
        return on_ray(args.ray)
    return in_this_process if args.workers == 1 else in_processes(args.workers)


def _print(found: list[Table]) -> None:
    """Tables for a terminal, or as Markdown where the output goes to a file."""
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 200, highlight=False)
    for table in found:
        if terminal:
            console.print(table.title, style="bold")
            console.print(_drawn(table, box.SIMPLE_HEAD))
            continue
        with console.capture() as capture:
            console.print(_drawn(table, box.MARKDOWN))
        lines = (line.rstrip() for line in capture.get().splitlines())
        sys.stdout.write("\n".join([f"**{table.title}**", "", *filter(None, lines), "", ""]))


def _drawn(table: Table, frame: box.Box) -> ScreenTable:
    screen = ScreenTable(box=frame)
    for number, column in enumerate(table.columns):
        screen.add_column(column, justify="right" if number else "left")
    for row in table.rows:
        screen.add_row(*map(shown, row))
    if table.mean:
        screen.add_row(*map(shown, table.mean), style="bold")
    return screen


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 1000; got {text!r}")
    return int(text)
