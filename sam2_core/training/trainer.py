"""The trainer: stages of steps, on one process or many, stopped and resumed at will.

Everything random is drawn from the seed and the number of the step (:mod:`sam2_core.training.plan`), so an interrupted
run ends as an uninterrupted one would have.
"""

from __future__ import annotations

import copy
import math
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sam2_core.config import PRESETS
from sam2_core.device import choose_device, choose_precision
from sam2_core.errors import Cancelled, Sam2Error
from sam2_core.model import SAM2
from sam2_core.training.answers import measurement
from sam2_core.training.batches import ClipBatch, Share, StepData, batches, normalised, worker_count
from sam2_core.training.checkpoint import Checkpoint, Position, fitting, load_init, write_weights
from sam2_core.training.curve import Curve, CurvePoint
from sam2_core.training.data import Material
from sam2_core.training.foreground import Talk, asked_to_stop
from sam2_core.training.initialise import calibrate, initialise
from sam2_core.training.optimiser import follow, learning_rate, make_optimiser, set_rate, trainable
from sam2_core.training.plan import Chance
from sam2_core.training.preview import write_sheet
from sam2_core.training.processes import Processes, joined, own_device
from sam2_core.training.pseudo_video import ClipMaker
from sam2_core.training.recipe import Recipe, Show, Stage
from sam2_core.training.recipe_file import recipe_facts
from sam2_core.training.sources import open_material
from sam2_core.training.step import make_player, run_step

_CALIBRATION_PICTURES = 8


def train(recipe: Recipe, data: Path, run: Path) -> Path:
    """Train from the start, or from where the run stopped.

    Args:
        recipe: what is done.
        data: folder below which the recipe's data sets lie.
        run: folder for checkpoints, weights, curve and previews; made where it is missing.

    Returns:
        ``run``, complete: ``model.safetensors`` in it is the result.

    Raises:
        Cancelled: Ctrl-C or SIGTERM; the run was saved, and the same call goes on from there.
        Sam2Error: the recipe does not fit the data or the machine, or the model ignores its prompts.
    """
    device = own_device(choose_device(recipe.device.value))
    material = open_material(recipe, data)
    with joined(device) as processes, asked_to_stop() as stop:
        _check_batches(recipe, processes)
        try:
            run.mkdir(parents=True, exist_ok=True)
            Trainer.begin(recipe, run, material, device, processes, stop).train()
        except OSError as error:
            raise Sam2Error(f"the run's folder {run.name!r} cannot be used: {error.strerror or error}.") from error
        except torch.OutOfMemoryError as error:
            raise Sam2Error(
                "the GPU has too little memory; lower video.frames, video.objects, image_size, or the batches."
            ) from error
    return run


@dataclass
class Trainer:
    """A run in progress.

    Attributes:
        average: the averaged weights, in evaluation mode.
        position: how far it is.
        pending: loss and measurements of the steps since the curve's last point.
    """

    recipe: Recipe
    run: Path
    material: Material
    device: torch.device
    processes: Processes
    stop: threading.Event
    model: SAM2
    average: SAM2
    curve: Curve
    position: Position = field(default_factory=Position)
    saved: Checkpoint | None = None
    pending: list[list[float]] = field(default_factory=list)

    @classmethod
    def begin(
        cls,
        recipe: Recipe,
        run: Path,
        material: Material,
        device: torch.device,
        processes: Processes,
        stop: threading.Event,
    ) -> Trainer:
        """A trainer at the run's last checkpoint, or at its start."""
        saved = Checkpoint.read(run, recipe)
        model = _model(recipe, material, saved, run).to(device).train()
        processes.copy_first(model)
        average = copy.deepcopy(model).eval().requires_grad_(False)
        trainer = cls(
            recipe, run, material, device, processes, stop, model, average,
            Curve(run, [stage.name for stage in recipe.stages], board=processes.first),
        )  # fmt: skip
        if saved is not None:
            with fitting(run):
                average.load_state_dict(saved.average)
            trainer.position, trainer.pending, trainer.saved = saved.position, saved.pending, saved
        if processes.first:
            trainer.curve.trim(trainer.position.stage, trainer.position.step)
        processes.wait()
        return trainer

    def train(self) -> None:
        """All stages that are left."""
        try:
            for index in range(self.position.stage, len(self.recipe.stages)):
                self._train_stage(index, self.recipe.stages[index])
                self.model.load_state_dict(self.average.state_dict())  # the next stage goes on from the average
                self.position = Position(index + 1, 0)
            self._save(None)
        finally:
            self.curve.close()

    def _train_stage(self, index: int, stage: Stage) -> None:
        optimiser = make_optimiser(self.model, stage)
        if self.saved is not None and self.saved.position.step:
            with fitting(self.run):
                optimiser.load_state_dict(dict(self.saved.optimiser))
        elif self.position.step == 0:
            self.average.load_state_dict(self.model.state_dict())
        self.saved = None
        parameters = [parameter for _, parameter in trainable(self.model)]
        talk = Talk(stage, self.position.step, quiet=not self.processes.first)
        data = self._data(index, stage)
        workers = worker_count(self.recipe.workers, self.device, self.processes.share.of)
        with batches(data, self.position.step, workers) as stream:
            for step, batch in enumerate(stream, self.position.step):
                stopping = self._step(index, stage, step, batch, optimiser, parameters)
                self._after(stage, Position(index, step + 1), optimiser, talk, stopping=stopping)

    def _data(self, index: int, stage: Stage) -> StepData:
        size, share = self.model.config.image_size, self.processes.share
        return StepData(self.material, stage, size, self.recipe.seed, index, share)

    def _step(
        self,
        index: int,
        stage: Stage,
        step: int,
        batch: ClipBatch | None,
        optimiser: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
    ) -> bool:
        """One update. Returns whether some process was asked to stop."""
        chance, share = Chance(self.recipe.seed, index, step), self.processes.share
        result = run_step(self.model, stage, step, batch, chance, share, self._precision)
        result.loss.backward()
        totals = self.processes.join_gradients(parameters, result.loss, result.objects, stop=self.stop.is_set())
        norm = nn.utils.clip_grad_norm_(parameters, stage.optimiser.clip)
        if not math.isfinite(totals.loss) or not torch.isfinite(norm):
            raise Sam2Error(
                f"step {step} of stage {stage.name} has the loss {totals.loss:g} and a gradient of the size {norm:g}; "
                "the last checkpoint is from before: lower optimiser.rate, or look at the data."
            )
        set_rate(optimiser, learning_rate(stage.optimiser, step, stage.steps))
        optimiser.step()
        optimiser.zero_grad()
        follow(self.average, self.model, stage.optimiser.average, step)
        measured = measurement(self.processes.gather(result.observed))
        self.pending.append([totals.loss, *asdict(measured).values()])
        return totals.stop

    @property
    def _precision(self) -> torch.dtype:
        return choose_precision(self.recipe.precision.value, self.device)

    def _after(
        self, stage: Stage, position: Position, optimiser: torch.optim.Optimizer, talk: Talk, *, stopping: bool
    ) -> None:
        """What does not change the weights: the curve, files, and the end on request."""
        self.position = position
        done, recipe = position.step, self.recipe
        talk.say(done, self.pending[-1][0])
        if stage.expect_iou and done == stage.expect_at:
            _check_plateau(self.pending, stage)
        if done % recipe.report == 0 or done == stage.steps:
            self._report(stage, done)
        if recipe.preview and (done % recipe.preview == 0 or done == stage.steps):
            self._preview(position.stage, stage, done)
        if stopping or done % recipe.save == 0:
            self._save(optimiser)
        if stopping:
            raise Cancelled(
                f"stopped after step {done} of {stage.steps} of {stage.name}; the same command goes on from there."
            )

    def _report(self, stage: Stage, step: int) -> None:
        if self.processes.first:
            means = _nanmean(self.pending)
            rate = learning_rate(stage.optimiser, step - 1, stage.steps)
            self.curve.add(CurvePoint(stage.name, step, rate, *means))
        self.pending = []

    def _preview(self, index: int, stage: Stage, step: int) -> None:
        """One sheet for each kind of clip, of the same clips every time."""
        if not self.processes.first:
            return
        folder = self.run / "previews"
        folder.mkdir(exist_ok=True)
        data = StepData(self.material, stage, self.model.config.image_size, self.recipe.seed, index, Share())
        for number, show in enumerate(stage.show):
            batch = data.batch(number)
            if batch is not None and show not in stage.show[:number]:
                batch = batch.to(self.device)
                chance = Chance(self.recipe.seed, index, number)
                with torch.no_grad():
                    answers = make_player(self.average, stage, batch, chance, self._precision).play()
                write_sheet(folder / f"{stage.name}-{show.value}-{step:07d}.jpg", batch, answers)

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        if self.processes.first:
            facts = recipe_facts(self.recipe)
            state = optimiser.state_dict() if optimiser is not None else {}
            weights, averaged = self.model.state_dict(), self.average.state_dict()
            Checkpoint(self.position, weights, averaged, state, self.pending, facts).write(self.run)
            write_weights(self.average, self.run, self.recipe.store, self.position)
            self.curve.plot()
        self.processes.wait()


def _model(recipe: Recipe, material: Material, saved: Checkpoint | None, run: Path) -> SAM2:
    """The model with the weights of a checkpoint, of ``init``, or as it starts from nothing."""
    config = PRESETS[recipe.model]
    torch.manual_seed(recipe.seed)
    model = SAM2(config.at_size(recipe.image_size or config.image_size), recipe.dropout, recipe.drop_path)
    if saved is not None:
        with fitting(run):
            model.load_state_dict(saved.model)
    elif recipe.init:
        load_init(model, recipe.init)
    else:
        initialise(model)
        if material.pictures or material.videos:  # a toy alone has none
            calibrate(model, _pictures(recipe, material, model.config.image_size))
    return model


def _pictures(recipe: Recipe, material: Material, size: int) -> Tensor:
    """Some pictures as the first stage shows them, to measure the sizes of features on."""
    maker, rng = ClipMaker(material, size, recipe.stages[0].image.augment), np.random.default_rng(recipe.seed)
    real = 0.0 if material.pictures else 1.0
    clips = [maker.clip(rng, 1, 1, real) for _ in range(_CALIBRATION_PICTURES)]
    return normalised(torch.cat([clip.pixels for clip in clips]))


def _check_batches(recipe: Recipe, processes: Processes) -> None:
    for stage in recipe.stages:
        sizes = {Show.TOY: stage.toy.batch, Show.IMAGE: stage.image.batch, Show.VIDEO: stage.video.batch}
        for show in stage.show:
            if sizes[show] < processes.share.of:
                raise Sam2Error(
                    f"{show.value}.batch of stage {stage.name} is {sizes[show]} for {processes.share.of} processes; "
                    "a batch is shared out, so it needs one clip for each at least."
                )


def _check_plateau(pending: list[list[float]], stage: Stage) -> None:
    """Stop a run that has learned to ignore its prompts; more time would not help it."""
    _, click, best, corrected, *_ = _nanmean(pending)
    if best < stage.expect_iou or corrected <= click:
        raise Sam2Error(
            f"the model ignores its prompts: after {stage.expect_at} steps of stage {stage.name} the best of its masks "
            f"scores {best:.3f} (expected {stage.expect_iou} or more) and corrections change the IoU from {click:.3f} "
            f"to {corrected:.3f}; check the initialisation and the warm-up before training on."
        )


def _nanmean(rows: list[list[float]]) -> list[float]:
    """Means by column, leaving out what is not a number."""
    values = np.array(rows)
    found = ~np.isnan(values)
    sums, counts = np.where(found, values, 0).sum(axis=0), found.sum(axis=0)
    means: list[float] = np.where(counts, sums / np.maximum(counts, 1), np.nan).tolist()
    return means
