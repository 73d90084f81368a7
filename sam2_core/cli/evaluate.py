"""``python -m sam2_core evaluate``: a model, or anyone's masks, against masks that are known."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as ScreenTable
from tqdm import tqdm

from sam2_core.cli.evaluate_arguments import add_arguments
from sam2_core.cli.progress import progress
from sam2_core.errors import Cancelled, Sam2Error
from sam2_core.evaluation.backends import Backend, in_processes, in_this_process, on_ray
from sam2_core.evaluation.export import Summary, write_frames, write_json, write_scores
from sam2_core.evaluation.jobs import Job, default_protocols, fitting_protocols, perform, plan
from sam2_core.evaluation.layouts import PROCEDURAL, find_data
from sam2_core.evaluation.names import read_list
from sam2_core.evaluation.options import ModelChoice, Options, Predictions, Subject, fingerprint, loaded
from sam2_core.evaluation.report import write_report
from sam2_core.evaluation.results import Protocol, Result, SequenceResult
from sam2_core.evaluation.runner import Evaluation, evaluate
from sam2_core.evaluation.store import ResultStore, Settings
from sam2_core.evaluation.summary import Table, counted, shown, tables

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables and write the report; returns the exit status.

    Raises:
        Cancelled: the user stopped it; what was finished is kept.
        Sam2Error: something is wrong with the input.
    """
    subject = _subject(args)
    options = Options(not args.no_baselines, args.clicks, args.frames, args.pause_below, args.picture_clicks)
    jobs, possible = _jobs(args, subject)
    settings = _settings(subject, args, options)
    predictions = subject.folder if isinstance(subject, Predictions) else None
    store = ResultStore(args.out, settings, predictions) if args.out else None
    with progress("evaluating", "job") as report:
        done = evaluate(
            jobs, functools.partial(perform, subject, options), backend=_backend(args), store=store, progress=report
        )
    _print(tables(done.results, options))
    if store:
        _write(done, possible, settings, store)
    return _conclude(done, len(jobs), kept=store is not None)


def _jobs(args: argparse.Namespace, subject: Subject) -> tuple[list[Job], list[Job]]:
    """What is asked for, and all that the data allow, of which earlier starts may have left results."""
    root = args.data if str(args.data) == PROCEDURAL else args.data.expanduser().resolve()
    names = [*args.only, *(read_list(args.list) if args.list else ())]
    protocols = [Protocol(name) for name in dict.fromkeys(args.protocol or ())]
    if protocols and isinstance(subject, Predictions):
        raise Sam2Error("predictions are scored as they are; leave --protocol out.")
    every = find_data(root, args.ignore_label)
    data = every.only(names) if names else every
    return (
        plan(data, protocols or default_protocols(data, subject)),
        plan(every, fitting_protocols(every, subject)),
    )


def _write(done: Evaluation, possible: list[Job], settings: Settings, store: ResultStore) -> None:
    """The files for people and programs: about all that the folder has results of."""
    results = store.all_of(possible)
    found = tuple(tables(results, settings.options))
    summary = Summary(settings, done.missing, done.failures, _warnings(results), found)
    with store.writable():
        write_scores(store.folder / "scores.csv", results, settings.options.picture_clicks)
        write_frames(store.folder / "frames.csv", results)
        write_json(store.folder / "summary.json", summary)
        write_report(store.folder / "report.html", summary, results)
    earlier = len(results) - (len(done.results) - done.resumed)
    resumed = f", {earlier} of them from an earlier start" if earlier else ""
    tqdm.write(
        f"{store.folder}: {counted(len(results), 'result')}{resumed}; report.html, summary.json, scores.csv, frames.csv"
    )


def _warnings(results: Sequence[Result]) -> tuple[str, ...]:
    return tuple(each.warning for each in results if isinstance(each, SequenceResult) and each.warning)


def _conclude(done: Evaluation, jobs: int, *, kept: bool) -> int:
    """Tell what is doubtful, what failed and what was not done; returns the exit status."""
    for warning in _warnings(done.results):
        _tell(f"warning: {warning}")
    if done.failures:
        _tell(f"{len(done.failures)} of {counted(jobs, 'job')} failed, and the figures are of the others:")
        for failure in done.failures:
            _tell(f"  {failure.name} ({failure.protocol.title}): {failure.reason}")
    if done.missing:
        after = "the same command goes on" if kept else "nothing is kept without --out"
        raise Cancelled(f"stopped; {done.missing} of {counted(jobs, 'job')} were not done; {after}.")
    return 1 if done.failures else 0


def _tell(message: str) -> None:
    """A line on stderr of what a terminal can show: names of files may hold anything."""
    sys.stderr.write("".join(each if each.isprintable() else " " for each in message) + "\n")


def _subject(args: argparse.Namespace) -> Subject:
    if args.predictions is None:
        source = args.model or "pocket"
        # Workers on other machines start in other folders.
        file = Path(source).expanduser()
        source = str(file.resolve()) if file.suffix and file.is_file() else source
        if args.ray and "auto" in (args.device, args.precision):
            raise Sam2Error(
                "the machines of a cluster may choose otherwise than this one, and results must be of one kind; with "
                "--ray say --device cpu or cuda, and --precision fp32 or bf16."
            )
        return ModelChoice(source, args.config, args.image_size, args.device, args.precision, args.behaviour)
    if args.model:
        raise Sam2Error("--model and --predictions are two ways to say what is evaluated; leave one of them out.")
    if not args.predictions.is_dir():
        raise Sam2Error(f"there is no folder {str(args.predictions)!r}; --predictions needs one with masks.")
    return Predictions(args.predictions.resolve())


def _settings(subject: Subject, args: argparse.Namespace, options: Options) -> Settings:
    place = str(args.data) if str(args.data) == PROCEDURAL else str(args.data.expanduser().resolve())
    if isinstance(subject, Predictions):
        return Settings(f"predictions in {subject.folder}", "", place, options)
    # A cluster computes with devices that this machine may not have; here its weights are only looked at.
    model = loaded(replace(subject, device="cpu") if args.ray else subject)
    device = subject.device if args.ray else model.device.type
    side = model.config.image_size
    name = Path(subject.source).name
    precision = str(model.compute_dtype).removeprefix("torch.")
    how = f"{name}, {side} px, {subject.behaviour}, {device}, {precision}"
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
