"""Views, cutouts and clips: masks stay on their objects."""

import numpy as np
import pytest
import torch

from sam2_core.config import POCKET
from sam2_core.training.augment import (
    SMALLEST_TARGET,
    affine,
    affine_inverse,
    draw_cutout,
    draw_regions,
    grid,
    image_batch,
    sample,
)
from sam2_core.training.procedural import box_toy, click_toy, correction_toy
from sam2_core.training.pseudo_video import ClipMaker
from tests.training.scenes import SIZE, footage, sources, square_scene


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_whole_view_is_the_picture():
    scene = square_scene()
    view = sample(scene.image.float(), grid(affine((0, 0), (1, 1))[None], SIZE))[0]
    torch.testing.assert_close(view, scene.image.float(), atol=1e-2, rtol=0)


def test_a_mirrored_view_is_mirrored():
    scene = square_scene()
    view = sample(scene.image.float(), grid(affine((0, 0), (1, 1), mirror=True)[None], SIZE))[0]
    torch.testing.assert_close(view, scene.image.float().flip(-1), atol=1e-2, rtol=0)


def test_a_cutout_lands_where_it_is_put():
    cutout = torch.ones(4, 20, 40)
    place = affine_inverse((0.5, -0.25), 0.25, 0.0, cutout)
    alpha = sample(cutout, grid(place[None], 256))[0, 3] > 0.5
    rows, columns = np.flatnonzero(alpha.any(dim=1)), np.flatnonzero(alpha.any(dim=0))
    assert (columns[0], columns[-1]) == pytest.approx((160, 223), abs=1)
    assert (rows[0], rows[-1]) == pytest.approx((80, 111), abs=1)


def test_cutouts_are_whole_objects(rng):
    cutout = draw_cutout(rng, sources())
    inner = cutout[:3][:, cutout[3] > 0]
    assert len(torch.unique(inner)) == 1  # every object of these scenes has one shade


def test_regions_are_masks_of_the_scene(rng):
    scene, (squares, _) = square_scene(), sources()
    masks = draw_regions(rng, scene, squares, 8)
    assert sorted(int(mask.sum()) for mask in masks) == [24 * 24, 32 * 32]


def test_a_batch_has_the_promised_shapes_and_no_empty_target(rng):
    batch = image_batch(rng, sources(), 256, images=3, targets=4)
    assert batch.pixels.shape == (3, 3, 256, 256)
    assert batch.masks.shape == (3, 4, 256, 256)
    assert batch.targets.shape == (3, 4, 64, 64)
    assert batch.masks.sum(dim=(2, 3)).min() >= SMALLEST_TARGET
    torch.testing.assert_close(batch.targets.sum(dim=(2, 3)) * 16, batch.masks.sum(dim=(2, 3)))


@pytest.mark.parametrize("seed", range(8))
def test_clips_start_with_all_their_objects(seed):
    clip = ClipMaker(sources(), (footage(),), 128).draw(np.random.default_rng(seed), 5)
    assert clip.pixels.shape == (5, 3, 128, 128)
    assert clip.masks.shape == (2, 5, 128, 128)
    assert clip.masks[:, 0].sum(dim=(1, 2)).min() >= SMALLEST_TARGET
    assert 0 <= clip.masks.min() <= clip.masks.max() <= 1


def test_clips_move(rng):
    maker = ClipMaker(sources(), (footage(),), 128)
    moved = [clip.masks[:, 0].sub(clip.masks[:, -1]).abs().mean() for clip in (maker.draw(rng, 6) for _ in range(6))]
    assert np.median(moved) > 0.005


def test_toys_mean_what_they_say(rng):
    click = click_toy(rng, POCKET, 16)
    x, y = (click.prompt.points_bn2[:, 0] / 4).long().unbind(dim=1)
    assert click.target[torch.arange(16), y, x].min() > 0.5
    box = box_toy(rng, POCKET, 16)
    for target, (corner0, corner1) in zip(box.target, box.prompt.points_bn2 / 4, strict=True):
        rows, columns = torch.nonzero(target > 0.5).unbind(dim=1)
        assert (corner0 - 1 <= torch.stack((columns.min(), rows.min()))).all()
        assert (torch.stack((columns.max(), rows.max())) <= corner1 + 1).all()
    correction = correction_toy(rng, POCKET, 16)
    before = (correction.prompt.mask_logits_bhw > 0).float()
    grown = correction.target.sum(dim=(1, 2)) > before.sum(dim=(1, 2))
    assert torch.equal(grown, correction.prompt.labels_bn[:, 0] == 1)
