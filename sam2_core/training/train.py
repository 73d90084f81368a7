"""The trainer: three stages, one process for each core, stopped and resumed at will.

The processes share one set of weights and nothing else: each draws its own batches, keeps its own moments and writes
its updates into the weights without waiting for the others (Niu et al., 2011, *Hogwild!*). With as few processes as a
desktop has cores, gradients are at most a step or two old; in return a busy core slows down its own process only,
where averaged gradients would make all of them wait for it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import start_processes

from sam2_core.config import POCKET
from sam2_core.model import SAM2
from sam2_core.training.augment import image_batch
from sam2_core.training.config import StageConfig, TrainingConfig
from sam2_core.training.curve import CurvePoint, append_point, plot_curve, read_points
from sam2_core.training.data import Source, load_sequences, load_sources
from sam2_core.training.initialise import calibrate, initialise
from sam2_core.training.pseudo_video import ClipMaker
from sam2_core.training.steps import StepReport, image_step, video_step, warmup_step

CHECKPOINT = "last.pt"
CURVE = "curve.csv"
_REPORT_EVERY = 20
_PLATEAU_STEP, _PLATEAU_IOU = 200, 0.25
_WARMUP_BATCH = 32
_IMAGE_EVERY = 2
"""Where there are clips, one step in so many is an image step, so that what was learned stays."""
_WATCHED = 3
"""Frames of a clip that are learned from, beside the first."""
_TRAINED = {"warmup": ("sam_",), "image": ("sam_", "image_encoder.", "no_mem_embed"), "video": ("",)}
"""How the names of the parameters begin that a stage trains: prompts and decoder; the encoder too; everything."""


@dataclass
class State:
    """Where a process is.

    Attributes:
        model: its weights lie in memory that all processes share.
        done: steps by process and stage, shared too. Shape ``[processes, stages]``.
        rank: number of this process; the first one keeps the average, the curve and the checkpoint.
        average: of the weights over time.
        stage: index of the stage.
        began: reading of the monotonic clock at which the stage would have begun without interruptions.
        optimiser: of the stage; every process has its own.
        reports: measurements since the curve's last point.
    """

    model: SAM2
    done: Tensor
    rank: int
    average: dict[str, Tensor]
    stage: int
    began: float
    optimiser: torch.optim.AdamW
    reports: list[list[float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Time spent in this stage."""
        return time.monotonic() - self.began

    @property
    def step(self) -> int:
        """Steps of this process in this stage."""
        return int(self.done[self.rank, self.stage])


@dataclass(frozen=True)
class Material:
    """What is trained on, in memory, shared by all processes."""

    sources: tuple[Source, ...]
    clips: ClipMaker


def train(config: TrainingConfig) -> Path:
    """Train from the start, or from where the last run stopped. Returns the path of the checkpoint."""
    torch.set_num_threads(1)  # also before the fork below: a pool of threads would not survive it
    sources, footage = load_sources(config.data), load_sequences(config.data)
    material = Material(sources, ClipMaker(sources, footage, POCKET.image_size))
    config.run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = SAM2(POCKET).train()
    initialise(model)
    calibrate(model, image_batch(np.random.default_rng(config.seed), sources, POCKET.image_size, 8, 1).pixels)
    model.share_memory()
    done = torch.zeros(config.processes, len(config.stages), dtype=torch.int64)
    done.share_memory_()
    path = config.run / CHECKPOINT
    saved = torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None
    if saved:
        model.load_state_dict(saved["model"])
        done.copy_(saved["done"])
    start_processes(_work, (config, model, done, material, saved), nprocs=config.processes, start_method="fork")
    return path


def _work(
    rank: int, config: TrainingConfig, model: SAM2, done: Tensor, material: Material, saved: dict[str, Any] | None
) -> None:
    for index in range(saved["stage"] if saved else 0, len(config.stages)):
        stage = config.stages[index]
        average = {name: value.clone() for name, value in model.state_dict().items()}
        optimiser = _optimiser(model, stage, config)  # before the clock starts: the first one imports for seconds
        state = State(model, done, rank, average, index, time.monotonic(), optimiser)
        if saved:
            state.average, state.began = saved["average"], time.monotonic() - saved["seconds"]
            state.optimiser.load_state_dict(saved["optimiser"])
            saved = None
        _run_stage(state, stage, config, material)
        if rank == 0:
            _save(state, config.run / CHECKPOINT)
            model.load_state_dict(state.average)  # the next stage goes on from the average


def _optimiser(model: SAM2, stage: StageConfig, config: TrainingConfig) -> torch.optim.AdamW:
    """Norms, biases and single vectors do not decay."""
    prefixes = _TRAINED[stage.name]
    parameters = [parameter for name, parameter in model.named_parameters() if name.startswith(prefixes)]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)


def _run_stage(state: State, stage: StageConfig, config: TrainingConfig, material: Material) -> None:
    parameters = [p for group in state.optimiser.param_groups for p in group["params"]]
    saved = state.seconds
    while (passed := state.seconds) < 60 * stage.minutes:
        progress = passed / (60 * stage.minutes)
        rng = np.random.default_rng((config.seed, state.rank, state.stage, state.step))
        torch.manual_seed(int(rng.integers(2**31)))
        report = _step(state, stage, config, material, rng, progress)
        report.loss.backward()
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        rate = _learning_rate(stage, state.step, progress)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        state.optimiser.step()
        state.optimiser.zero_grad()
        state.done[state.rank, state.stage] += 1
        if state.rank == 0:
            _follow(state, config.average)
            _note(state, stage, config.run, rate, report)
            if state.seconds - saved > config.save_seconds:
                saved = state.seconds
                _save(state, config.run / CHECKPOINT)


def _step(
    state: State,
    stage: StageConfig,
    config: TrainingConfig,
    material: Material,
    rng: np.random.Generator,
    progress: float,
) -> StepReport:
    model, weights = state.model, stage.weights(progress)
    if stage.name == "warmup":
        return warmup_step(model, rng, _WARMUP_BATCH, weights)
    if not stage.frames or state.step % _IMAGE_EVERY == 0:
        batch = image_batch(rng, material.sources, model.config.image_size, config.images, config.targets)
        return image_step(model, rng, batch, weights)
    fewest, most = stage.frames[int(progress * len(stage.frames))]
    frames = int(rng.integers(fewest, most + 1))
    clips = [material.clips.draw(rng, frames) for _ in range(config.clips)]
    return video_step(model, rng, clips, _WATCHED, weights)


def _learning_rate(stage: StageConfig, step: int, progress: float) -> float:
    floor = stage.learning_rate_floor
    cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return stage.learning_rate * cosine * min(1.0, (step + 1) / stage.rise_steps)


@torch.no_grad()
def _follow(state: State, decay: float) -> None:
    """Move the average towards the weights; a young one follows quickly, so that a stage's start is soon forgotten."""
    current = state.model.state_dict()
    weight = 1 - min(decay, (1 + state.step) / (10 + state.step))
    torch._foreach_lerp_([state.average[name] for name in current], list(current.values()), weight)


def _check_plateau(reports: list[list[float]]) -> None:
    """Stop a run that has learned to ignore its prompts; more time would not help it."""
    _, _, best, before, after = np.nanmean(reports, axis=0)
    if best < _PLATEAU_IOU or after <= before:
        raise RuntimeError(
            f"the model ignores its prompts: after {_PLATEAU_STEP} steps the best of three masks scores {best:.3f} "
            f"(expected {_PLATEAU_IOU} or more) and a correction changes the IoU from {before:.3f} to {after:.3f}; "
            "check the initialisation and the warm-up before training on"
        )


def _note(state: State, stage: StageConfig, run: Path, rate: float, report: StepReport) -> None:
    """Collect measurements; every so many steps, write their means to the curve."""
    measured = (report.single_iou, report.best_iou, report.before, report.after)
    state.reports.append([float(report.loss.detach()), *measured])
    if len(state.reports) < _REPORT_EVERY:
        return
    if stage.name == "image" and state.step <= _PLATEAU_STEP < state.step + _REPORT_EVERY:
        _check_plateau(state.reports)
    means = [float(value) for value in np.nanmean(state.reports, axis=0)]
    append_point(run / CURVE, CurvePoint(stage.name, state.step, state.seconds / 60, rate, *means))
    state.reports.clear()


def _save(state: State, path: Path) -> None:
    """Write a checkpoint that is either complete or not there, and the curve beside it."""
    content = {
        "model": state.model.state_dict(),
        "average": state.average,
        "optimiser": state.optimiser.state_dict(),
        "stage": state.stage,
        "done": state.done,
        "seconds": state.seconds,
    }
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)
    table = path.parent / CURVE
    if table.exists():
        plot_curve(read_points(table), table.with_suffix(".png"))
