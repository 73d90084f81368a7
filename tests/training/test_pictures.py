"""Views, cutouts and clips: masks stay on their objects."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sam2_core.config import POCKET
from sam2_core.errors import Sam2Error
from sam2_core.training.augment import affine, affine_inverse, draw_cutout, draw_regions, grid, sample
from sam2_core.training.data import Material, VideoSource
from sam2_core.training.procedural import box_toy, click_toy, correction_toy
from sam2_core.training.pseudo_video import SMALLEST_TARGET, ClipMaker
from sam2_core.training.recipe import Augment
from tests.training.scenes import BUSY, SIZE, Square, material, picture_sources, square_scene

STILL = Augment(zoom=1.0, turn=0, shear=0, motion=0, reverse=0, colour=0)


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
    cutout = draw_cutout(rng, picture_sources()[:1])
    inner = cutout[:3][:, cutout[3] > 0]
    assert len(torch.unique(inner)) == 1  # every object of these scenes has one shade


def test_regions_are_masks_of_the_scene(rng):
    scene, (squares, _) = square_scene(), picture_sources()
    masks = draw_regions(rng, scene, squares, 8)
    assert sorted(int(mask.sum()) for mask in masks) == [24 * 24, 32 * 32]


def test_a_sheared_view_leans():
    scene = square_scene()
    view = sample(scene.layers.float(), grid(affine((0, 0), (1, 1), shear=20.0)[None], SIZE))[0, 0] == 1
    left = [int(torch.nonzero(row)[0]) for row in view if row.any()]
    assert left[0] - left[-1] == pytest.approx(-np.tan(np.deg2rad(20)) * (len(left) - 1), abs=2) or left[-1] < left[0]


def test_pictures_have_as_many_masks_as_asked_for(rng):
    for objects in (1, 4):
        clip = ClipMaker(material(), 128, BUSY).picture(rng, objects)
        assert clip.pixels.shape == (1, 3, 128, 128)
        assert clip.masks.shape == (objects, 1, 128, 128)
        assert clip.pixels.dtype == clip.masks.dtype == torch.uint8
        assert (clip.masks.float() / 255).mean(dim=(1, 2, 3)).min() >= 0.99 * SMALLEST_TARGET


@pytest.mark.parametrize("seed", range(8))
def test_clips_start_with_all_their_objects(seed):
    clip = ClipMaker(material(), 128, BUSY).clip(np.random.default_rng(seed), 5, 2, 0.5)
    assert clip.pixels.shape == (5, 3, 128, 128)
    assert 1 <= clip.masks.shape[0] <= 2
    assert (clip.masks[:, 0].float() / 255).mean(dim=(1, 2)).min() >= 0.99 * SMALLEST_TARGET


def test_clips_move(rng):
    maker = ClipMaker(material(), 128, BUSY)
    clips = [maker.clip(rng, 6, 2, 0.5).masks.float() / 255 for _ in range(6)]
    assert np.median([(masks[:, 0] - masks[:, -1]).abs().mean() for masks in clips]) > 0.005


def test_masks_stay_on_footage_that_is_short_and_runs_to_and_fro(rng):
    maker = ClipMaker(material(Square(frames=3)), SIZE, STILL)
    clip = maker.clip(rng, 7, 3, 1.0)
    bright = clip.pixels[:, 0].float() > 150
    assert len(clip.masks) == 1
    assert (bright == (clip.masks[0] > 127)).float().mean() > 0.98
    assert (clip.masks[0, 0].int() - clip.masks[0, 4].int()).abs().max() == 0


def test_a_cut_hides_every_object_for_a_while_and_not_at_first(rng):
    maker = ClipMaker(material(), SIZE, replace(STILL, cut=1.0))
    for _ in range(8):
        visible = maker.clip(rng, 6, 2, 0.5).masks.flatten(2).any(dim=2)
        assert visible[:, 0].all()
        assert not visible.all()
        assert torch.equal(visible, visible[:1].expand_as(visible))


def test_footage_in_which_nothing_is_visible_is_told(rng):
    square = Square(frames=4, gone=(0, 1, 2, 3))
    maker = ClipMaker(Material((), (VideoSource("empty", (square,)),)), 32, STILL)
    with pytest.raises(Sam2Error, match="no object was visible on the first frame of any of 500 clips"):
        maker.clip(rng, 2, 1, 1.0)


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
