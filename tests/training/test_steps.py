"""What a step teaches, and whom: gradients, memory, and the same clip for one process or two."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from sam2_core.config import POCKET
from sam2_core.model import SAM2
from sam2_core.training.answers import Observed, measurement
from sam2_core.training.batches import Share, StepData
from sam2_core.training.initialise import initialise
from sam2_core.training.losses import Fit, LossWeights
from sam2_core.training.optimiser import freeze, learning_rate, make_optimiser, rate_scale
from sam2_core.training.plan import Chance
from sam2_core.training.processes import Processes
from sam2_core.training.recipe import (
    ImageBatches,
    Learned,
    Loss,
    Optimiser,
    Prompting,
    Show,
    Span,
    Stage,
    ToyBatches,
    VideoBatches,
)
from sam2_core.training.step import make_player, run_step
from tests.training.scenes import BUSY, material

SIZE = 64
CLICKED = Prompting(mask=0.0, clicks=(0.0, 1.0), frames=Span(1, 1), later=1.0)
STAGE = Stage(
    "test",
    4,
    (Show.VIDEO,),
    image=ImageBatches(2, 2, augment=BUSY, prompts=CLICKED),
    video=VideoBatches(2, 2, real=0.5, frames=Span(3, 3), augment=BUSY, prompts=CLICKED),
    loss=Loss(LossWeights(focal=0.0, balanced=1.0), fit=Fit.ALL, stride=4),
)
CHANCE = Chance(1, 0, 0)


def make_model():
    torch.manual_seed(0)
    model = SAM2(POCKET.at_size(SIZE)).train()
    initialise(model)
    return model


@pytest.fixture(scope="module")
def shared_model():
    return make_model()


@pytest.fixture
def model(shared_model):
    shared_model.zero_grad()
    return shared_model


def batch_of(stage, share=None):
    return StepData(material(), stage, SIZE, 1, 0, share or Share()).batch(0)


def play(model, stage):
    return make_player(model, stage, batch_of(stage), CHANCE, torch.float32)


def run(model, stage, share=None, precision=torch.float32):
    share = share or Share()
    return run_step(model, stage, 0, batch_of(stage, share), CHANCE, share, precision)


def has_gradient(model, prefix):
    return all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0
        for name, parameter in model.named_parameters()
        if name.startswith(prefix) and name.endswith("weight")
    )


def test_the_warm_up_reaches_prompts_and_decoder_only(model):
    run(model, replace(STAGE, show=(Show.TOY,))).loss.backward()
    assert has_gradient(model, "sam_mask_decoder.transformer")
    assert model.image_encoder.trunk.pos_embed.grad is None


def test_pictures_reach_the_encoder(model):
    result = run(model, replace(STAGE, show=(Show.IMAGE,)))
    result.loss.backward()
    assert result.objects == 4
    assert torch.isfinite(result.loss)
    assert has_gradient(model, "image_encoder.trunk")
    assert model.memory_encoder.out_proj.weight.grad is None


def test_clips_reach_memory_through_time_in_bfloat16(model):
    result = run(model, STAGE, precision=torch.bfloat16)
    result.loss.backward()
    assert torch.isfinite(result.loss)
    for part in ("memory_encoder", "memory_attention", "obj_ptr_proj", "image_encoder.trunk"):
        assert has_gradient(model, part), part
    assert model.maskmem_tpos_enc.grad.abs().sum() > 0


def test_corrections_are_asked_for_with_one_click_more_each(model):
    player = play(model, STAGE)
    with torch.no_grad():
        answers = player.play()
    later = max(player.plan.corrections)
    asked = [(answer.frame, answer.correction, answer.points) for answer in answers if answer.points != 2]
    assert later > 0
    assert [(frame, number) for frame, number, points in asked if points == 0] == [(1, 0), (2, 0)]
    assert (later, 1, 1) in asked
    for answer in answers:
        if answer.correction:
            assert answer.prompt.mask_logits_bhw is not None
    assert [memory.frame for memory in player.conditioning] == [0, later]
    assert [memory.frame for memory in player.recent] == [3 - later]


def test_only_the_ends_of_a_conversation_are_learned_from_where_that_is_wanted(model):
    person = Prompting(clicks=(0.0, 0.0, 1.0), learned=Learned.ENDS)
    stage = replace(STAGE, show=(Show.IMAGE,), image=ImageBatches(1, 1, augment=BUSY, prompts=person))
    with torch.no_grad():
        answers = play(model, stage).play()
    assert [answer.learned for answer in answers] == [True, False, False, True]


def test_a_given_mask_is_remembered_and_asks_nothing(model):
    stage = replace(STAGE, video=replace(STAGE.video, prompts=Prompting(mask=1.0, frames=Span(2, 2))))
    player = play(model, stage)
    with torch.no_grad():
        answers = player.play()
    prompted = player.plan.prompted
    assert len(prompted) == 2
    assert {answer.frame for answer in answers} == {0, 1, 2} - set(prompted)
    assert [memory.frame for memory in player.conditioning] == list(prompted)


def test_memories_are_lost_and_time_is_pretended(model):
    video = replace(STAGE.video, frames=Span(3, 3), prompts=Prompting(mask=1.0, frames=Span(1, 1)))
    with torch.no_grad():
        honest = play(model, replace(STAGE, video=video))
        honest.play()
        context = honest._context(3)
        forgetful = play(model, replace(STAGE, video=replace(video, forget_all=1.0)))
        forgetful.play()
    assert context.rows_bl[0].tolist() == [6, 1, 0]
    assert context.distances_bp[0].tolist() == pytest.approx([1.5, 1.0, 0.5])  # of the two that three frames allow
    assert forgetful._context(3).rows_bl[0].tolist() == [6]
    forgetful.plan = replace(forgetful.plan, since=27, long=True)
    assert forgetful._context(3).distances_bp[0].tolist() == pytest.approx([2.0])


@pytest.mark.parametrize("box", [0.0, 1.0])
def test_an_absent_object_is_clicked_beside_and_never_boxed(model, box):
    person = replace(CLICKED, box=box, later=0.0, frames=Span(2, 2))
    stage = replace(STAGE, video=replace(STAGE.video, frames=Span(3, 3), prompts=person))
    batch = batch_of(stage)
    other = batch.plan.prompted[1]
    batch.masks[0, other] = 0
    with torch.no_grad():
        answers = make_player(model, stage, batch, CHANCE, torch.float32).play()
    first = [answer for answer in answers if answer.frame == other and answer.correction == 0]
    labels = {int(row): each.tolist() for a in first for row, each in zip(a.rows, a.prompt.labels_bn, strict=True)}
    assert labels.pop(0) == [0]
    assert labels
    assert all(each == ([2, 3] if box else [1]) for each in labels.values())


def test_two_processes_share_out_the_toy_of_one(model):
    stage = replace(STAGE, show=(Show.TOY,), toy=ToyBatches(5))
    for step in range(4):  # clicks, boxes and corrections
        whole, *parts = (
            run_step(model, stage, step, None, Chance(1, 0, step), share, torch.float32)
            for share in (Share(), Share(0, 2), Share(1, 2))
        )
        assert [part.objects for part in parts] == [3, 2]
        assert sum(part.loss.item() for part in parts) == pytest.approx(whole.loss.item(), rel=1e-4)
        together = sorted(iou for part in parts for iou in part.observed.best)
        assert together == pytest.approx(sorted(whole.observed.best), abs=1e-4)


def test_what_processes_observed_is_measured_as_one():
    parts = [
        Observed(click=[0.2, 0.4], present=[3.0], absent=[1.0]),
        Observed(click=[0.9], present=[1.0], absent=[-2.0]),
    ]
    seen = measurement(parts)
    assert (seen.click, seen.presence) == pytest.approx((0.5, 3.5 / 4))
    assert np.isnan(seen.tracked)
    assert np.isnan(measurement([]).presence)


# Optimiser --------------------------------------------------------------------------------------------------------


def test_layer_decay_is_the_released_codes():
    settings = Optimiser()
    trunk = "image_encoder.trunk."
    scales = {
        f"{trunk}blocks.11.mlp.layers.0.weight": 0.6 * 0.9,
        f"{trunk}blocks.0.norm1.bias": 0.6 * 0.9**12,
        f"{trunk}patch_embed.proj.weight": 0.6 * 0.9**13,
        f"{trunk}pos_embed_window": 0.6,
        "image_encoder.neck.convs.0.conv.weight": 0.6,
        "memory_encoder.out_proj.weight": 1.0,
    }
    for name, scale in scales.items():
        assert rate_scale(name, 12, settings) == pytest.approx(scale), name


def test_biases_and_norms_do_not_decay_and_frozen_parts_are_left_out(model):
    optimiser = make_optimiser(model, replace(STAGE, freeze=("image_encoder.trunk", "sam_")))
    decays = {id(each): group["weight_decay"] for group in optimiser.param_groups for each in group["params"]}
    names = {name: decays.get(id(each)) for name, each in model.named_parameters()}
    assert names["memory_attention.layers.0.linear1.weight"] == 0.1
    assert names["memory_attention.layers.0.linear1.bias"] == 0
    assert names["memory_attention.layers.0.norm1.weight"] == 0
    assert names["memory_encoder.mask_downsampler.encoder.1.weight"] == 0.1  # not PyTorch's LayerNorm
    assert names["image_encoder.trunk.pos_embed"] is names["sam_mask_decoder.iou_token.weight"] is None
    assert names["image_encoder.neck.convs.0.conv.weight"] == 0.1
    run(model, replace(STAGE, show=(Show.IMAGE,))).loss.backward()
    assert model.image_encoder.trunk.pos_embed.grad is None
    freeze(model, ())
    assert all(each.requires_grad and each.grad is None for each in model.parameters())


def test_the_rate_rises_and_falls_to_its_floor():
    settings = Optimiser(rate=2.0, floor=0.1, rise=4)
    rates = [learning_rate(settings, step, 100) for step in (0, 1, 50, 100)]
    assert rates == pytest.approx([0.5, 1.0, 1.1, 0.2], rel=1e-3)


# Processes --------------------------------------------------------------------------------------------------------


def gradients(stage, share):
    model = make_model()
    result = run(model, stage, share)
    result.loss.backward()
    parameters = list(model.parameters())
    totals = Processes(share).join_gradients(parameters, result.loss, result.objects, stop=share.rank == 1)
    return totals, [parameter.grad for parameter in parameters]


def one_of_two(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    try:
        found = [gradients(replace(STAGE, show=(show,)), Share(rank, 2)) for show in (Show.VIDEO, Show.IMAGE)]
        torch.save(
            [(totals.loss, totals.objects, totals.stop, grads) for totals, grads in found], folder / f"{rank}.pt"
        )
    finally:
        dist.destroy_process_group()


@pytest.mark.usefixtures("one_thread")
def test_two_processes_have_the_gradient_of_one_with_all_clips(tmp_path):
    mp.spawn(one_of_two, (tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for show, ours, theirs in zip((Show.VIDEO, Show.IMAGE), first, second, strict=True):
        totals, alone = gradients(replace(STAGE, show=(show,)), Share())
        loss, objects, stop, together = ours
        assert (loss, objects) == pytest.approx((totals.loss, totals.objects), rel=1e-5)
        assert (totals.stop, stop) == (False, True)
        for one, both, other in zip(alone, together, theirs[3], strict=True):
            assert (one is None) == (both is None)
            if one is not None:
                assert (both - one).norm() <= 1e-4 * one.norm() + 1e-7
                assert torch.equal(both, other)
