"""What the tracker promises: corrections stick, objects are independent, memory is bounded, nothing done is lost."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from sam2_core.errors import PromptError
from sam2_core.media.frames import video_from_array
from sam2_core.prompts import Point, Prompt
from sam2_core.rle import Rle
from sam2_core.tracking import OFFICIAL, STUDIO, Behaviour, Direction, Tracker
from tests.tracking.toys import A_BOX, HEIGHT, ONE_CLICK, OTHER_CLICK, WIDTH, toy_clip, toy_model

CORRECTED = 9
CORRECTION = Prompt(points=(Point(0.8, 0.8), Point(0.2, 0.2, positive=False)))


def tracker(behaviour: Behaviour = STUDIO, count: int = 20) -> Tracker:
    return Tracker(toy_model(), toy_clip(count), behaviour)


def masks(found: Tracker, object_id: int = 1) -> dict[int, bytes]:
    return {frame: mask.mask.data for frame, mask in found.tracks[object_id].masklet.items()}


def run(found: Tracker, direction: Direction = Direction.BOTH, start: int | None = None) -> list[int]:
    return [result.frame_index for result in found.propagate(direction, start)]


# Corrections -----------------------------------------------------------------------------------------------------


def corrected_and_tracked_again(behaviour: Behaviour) -> tuple[dict[int, bytes], bytes, dict[int, bytes]]:
    found = tracker(behaviour)
    found.prompt(1, 0, ONE_CLICK)
    run(found, Direction.FORWARD)
    before = masks(found)
    correction = found.prompt(1, CORRECTED, CORRECTION)[1].mask.data
    run(found, Direction.FORWARD)
    return before, correction, masks(found)


def test_a_correction_sticks_and_its_neighbours_react() -> None:
    before, correction, after = corrected_and_tracked_again(STUDIO)
    assert correction != before[CORRECTED]
    assert after[CORRECTED] == correction
    assert after[CORRECTED - 1] != before[CORRECTED - 1]
    assert after[CORRECTED + 1] != before[CORRECTED + 1]


def test_a_correction_knows_of_the_one_before() -> None:
    def second_correction(*, after_another: bool) -> bytes:
        found = tracker()
        found.prompt(1, 0, ONE_CLICK)
        run(found, Direction.FORWARD)
        if after_another:
            found.prompt(1, CORRECTED, CORRECTION)
        return found.prompt(1, CORRECTED + 2, OTHER_CLICK)[1].mask.data

    assert second_correction(after_another=True) != second_correction(after_another=False)


def test_the_released_behaviour_loses_it() -> None:
    before, correction, after = corrected_and_tracked_again(OFFICIAL)
    assert correction != before[CORRECTED]
    assert after[CORRECTED] == before[CORRECTED]


def test_released_behaviour_drops_a_second_opinion_on_a_conditioning_frame() -> None:
    found = tracker(OFFICIAL)
    first = found.prompt(1, 0, ONE_CLICK)[1].mask
    run(found, Direction.FORWARD)
    assert found.prompt(1, 0, OTHER_CLICK)[1].mask != first
    run(found, Direction.FORWARD)
    assert found.result(0)[1].mask == first


def test_a_click_made_while_tracking_takes_part_at_once() -> None:
    found = tracker()
    found.prompt(1, 0, ONE_CLICK)
    sweep = found.propagate(Direction.FORWARD)
    list(islice(sweep, 5))
    corrected = found.prompt(1, CORRECTED, CORRECTION)[1]
    list(sweep)
    assert found.result(CORRECTED)[1] == corrected
    assert CORRECTED in found.tracks[1].bank.conditioning


def test_clearing_a_correction_brings_the_tracked_mask_back() -> None:
    found = tracker()
    found.prompt(1, 0, ONE_CLICK)
    run(found)
    before = masks(found)
    found.prompt(1, CORRECTED, CORRECTION)
    found.clear(1, CORRECTED)
    assert masks(found) == before
    run(found)
    assert masks(found) == before


def test_clearing_everything_removes_the_object() -> None:
    found = tracker()
    found.prompt(1, 0, ONE_CLICK)
    assert found.clear(1, 0).objects == ()
    assert found.object_ids == ()


# Prompts -----------------------------------------------------------------------------------------------------------


def test_a_chosen_candidate_rules_mask_pointer_and_memory() -> None:
    found = tracker()
    best = found.prompt(1, 0, ONE_CLICK)[1]
    options = found.candidates(1, 0)
    assert best in options
    other = next(k for k, option in enumerate(options) if option.mask != best.mask)
    chosen = found.prompt(1, 0, replace(ONE_CLICK, candidate=other))[1]
    assert (chosen.mask, chosen.predicted_iou) == (options[other].mask, options[other].predicted_iou)
    run(found)
    prediction = found.tracks[1].interactions[0].candidates
    assert prediction is not None
    torch.testing.assert_close(found.tracks[1].bank.conditioning[0].pointer_c, prediction.pointer_bmc[0, other + 1])
    by_itself = tracker()
    by_itself.prompt(1, 0, ONE_CLICK)
    run(by_itself)
    assert masks(found)[1] != masks(by_itself)[1]


def test_a_chosen_candidate_is_shown_even_if_the_model_believes_the_object_hidden() -> None:
    found = Tracker(toy_model(obj_bias=-50.0), toy_clip())
    assert found.prompt(1, 0, ONE_CLICK)[1].mask.area == 0
    option = max(found.candidates(1, 0), key=lambda candidate: candidate.mask.area)
    chosen = found.prompt(1, 0, replace(ONE_CLICK, candidate=found.candidates(1, 0).index(option)))[1]
    assert chosen.mask == option.mask


def test_a_chosen_candidate_is_remembered_as_visible() -> None:
    found = Tracker(toy_model(obj_bias=-50.0), toy_clip())
    found.prompt(1, 0, replace(ONE_CLICK, candidate=1))
    interaction = found.tracks[1].interactions[0]
    assert interaction.candidates is not None
    assert found.result(0)[1].visible
    run(found, Direction.FORWARD)
    pointer = found.tracks[1].bank.conditioning[0].pointer_c
    torch.testing.assert_close(pointer, interaction.candidates.pointer_bmc[0, 2])
    assert not torch.allclose(pointer, interaction.candidates.absent_pointer_1c[0])


def test_a_preview_changes_nothing() -> None:
    found, untouched = tracker(), tracker()
    shown = found.preview(1, 3, ONE_CLICK)
    assert found.object_ids == ()
    for each in (found, untouched):
        each.prompt(1, 0, ONE_CLICK)
    run(found)
    found.preview(1, 9, CORRECTION)
    run(untouched)
    assert masks(found) == masks(untouched)
    assert shown == tracker().prompt(1, 3, ONE_CLICK)[1]


def test_the_choice_can_be_taken_back() -> None:
    found = tracker()
    best = found.prompt(1, 0, ONE_CLICK)[1]
    for candidate in range(3):
        found.prompt(1, 0, replace(ONE_CLICK, candidate=candidate))
    assert found.prompt(1, 0, ONE_CLICK)[1] == best


def test_saying_the_same_again_changes_nothing() -> None:
    found = tracker()
    two = ONE_CLICK.with_point(Point(0.5, 0.5))
    found.prompt(1, 0, ONE_CLICK)
    first = found.prompt(1, 0, two)
    assert found.prompt(1, 0, two) == first


SQUARE = np.zeros((HEIGHT, WIDTH), dtype=bool)
SQUARE[8:32, 12:44] = True
SPECKS = Rle.encode(np.random.default_rng(0).random((HEIGHT, WIDTH)) > 0.7)
"""No model could draw this: every pixel is its own."""


def test_a_given_mask_is_taken_over_pixel_by_pixel() -> None:
    found = tracker()
    assert found.preview(1, 3, Prompt(mask=SPECKS)).mask == SPECKS
    given = found.prompt(1, 3, Prompt(mask=SPECKS))[1]
    assert given.mask == SPECKS
    assert (given.predicted_iou, given.object_score) == (1.0, 10.0)
    assert found.candidates(1, 3) == ()
    run(found)
    assert found.result(3)[1] == given


def test_a_given_mask_is_remembered_as_the_model_sees_it() -> None:
    exact, coarse = tracker(), tracker(replace(STUDIO, exact_given_masks=False))
    for found in (exact, coarse):
        found.prompt(1, 0, Prompt(mask=SPECKS))
        run(found)
    torch.testing.assert_close(
        exact.tracks[1].bank.conditioning[0].map_dhw, coarse.tracks[1].bank.conditioning[0].map_dhw
    )
    after, before = masks(exact), masks(coarse)
    assert after.pop(0) != before.pop(0)
    assert after == before


def test_the_released_behaviour_shows_the_models_version_of_a_given_mask() -> None:
    assert tracker(OFFICIAL).prompt(1, 0, Prompt(mask=SPECKS))[1].mask != SPECKS


def test_a_click_on_a_given_mask_is_answered_by_the_model_until_it_is_taken_back() -> None:
    found = tracker()
    found.prompt(1, 0, Prompt(mask=SPECKS))
    assert found.prompt(1, 0, Prompt(points=ONE_CLICK.points, mask=SPECKS))[1].mask != SPECKS
    assert found.prompt(1, 0, Prompt(mask=SPECKS))[1].mask == SPECKS


def test_a_given_mask_takes_its_pixels_from_objects_that_may_not_overlap() -> None:
    found = tracker(replace(STUDIO, objects_apart=True))
    found.prompt(1, 0, A_BOX)
    found.prompt(2, 0, Prompt(mask=SPECKS))
    assert found.result(0)[2].mask == SPECKS
    assert not (found.result(0)[1].mask.decode() & SPECKS.decode()).any()


def test_a_mask_of_another_size_is_stretched() -> None:
    found = tracker()
    left = np.zeros((10, 10), dtype=bool)
    left[:, :5] = True
    given = found.prompt(1, 0, Prompt(mask=Rle.encode(left)))[1].mask.decode()
    assert given[:, : WIDTH // 2 - 1].all()
    assert not given[:, WIDTH // 2 + 1 :].any()


def test_an_empty_mask_says_that_the_object_is_hidden() -> None:
    found = tracker()
    found.prompt(1, 0, ONE_CLICK)
    hidden = found.prompt(1, 5, Prompt(mask=Rle.empty(HEIGHT, WIDTH)))[1]
    assert hidden.mask.area == 0
    assert not hidden.visible
    run(found)
    assert found.result(5)[1] == hidden


def test_clicks_refine_a_given_mask() -> None:
    found = tracker()
    refined = found.prompt(1, 0, Prompt(points=ONE_CLICK.points, mask=Rle.encode(SQUARE)))[1]
    assert refined.mask != tracker().prompt(1, 0, ONE_CLICK)[1].mask
    assert len(found.candidates(1, 0)) == 3


@pytest.mark.parametrize(
    ("frame", "object_id", "message"),
    [(20, 1, "frames 0 to 19; got frame 20"), (-1, 1, "got frame -1"), (0, 0, "from 1 up; got 0")],
)
def test_prompts_out_of_range(frame: int, object_id: int, message: str) -> None:
    found = tracker()
    with pytest.raises(PromptError, match=message):
        found.prompt(object_id, frame, ONE_CLICK)
    assert found.object_ids == ()


def test_questions_about_nothing() -> None:
    found = tracker()
    with pytest.raises(PromptError, match="nothing to track yet"):
        next(found.propagate())
    with pytest.raises(PromptError, match="nothing was said about object 1 on frame 0"):
        found.candidates(1, 0)
    with pytest.raises(PromptError, match="there is no object 7"):
        found.remove_object(7)


# Propagation -------------------------------------------------------------------------------------------------------


def test_every_object_starts_at_its_own_first_prompt() -> None:
    found = tracker(count=6)
    found.prompt(1, 2, ONE_CLICK)
    found.prompt(2, 4, OTHER_CLICK)
    assert run(found) == [2, 3, 4, 5, 3, 2, 1, 0]
    assert set(masks(found, 1)) == set(masks(found, 2)) == set(range(6))
    forward_only = tracker(count=6)
    forward_only.prompt(1, 2, ONE_CLICK)
    forward_only.prompt(2, 4, OTHER_CLICK)
    run(forward_only, Direction.FORWARD)
    assert set(masks(forward_only, 2)) == {4, 5}


@pytest.mark.parametrize(
    ("direction", "start", "expected"),
    [
        (Direction.FORWARD, None, [3, 4, 5]),
        (Direction.BACKWARD, None, [3, 2, 1, 0]),
        (Direction.BOTH, None, [3, 4, 5, 2, 1, 0]),
        (Direction.BOTH, 1, [3, 4, 5, 2, 1, 0]),
        (Direction.FORWARD, 5, [5]),
    ],
)
def test_order_of_frames(direction: Direction, start: int | None, expected: list[int]) -> None:
    found = tracker(count=6)
    found.prompt(1, 3, ONE_CLICK)
    assert run(found, direction, start) == expected
    assert sum(len(sweep.frames) for sweep in found.passes(direction, start)) == len(expected)


def test_backward_alone_starts_at_the_last_prompt() -> None:
    found = tracker(count=8)
    found.prompt(1, 2, ONE_CLICK)
    found.prompt(1, 5, OTHER_CLICK)
    assert run(found, Direction.BACKWARD) == [5, 4, 3, 2, 1, 0]


def test_limit_counts_frames_after_the_first() -> None:
    found = tracker()
    found.prompt(1, 3, ONE_CLICK)
    assert [r.frame_index for r in found.propagate(Direction.FORWARD, limit=2)] == [3, 4, 5]


def test_backward_is_forward_in_a_mirror() -> None:
    clip = toy_clip(12)
    forward = Tracker(toy_model(), clip)
    backward = Tracker(toy_model(), video_from_array(np.stack(list(clip))[::-1]))
    forward.prompt(1, 0, ONE_CLICK)
    backward.prompt(1, 11, ONE_CLICK)
    run(forward, Direction.FORWARD)
    run(backward, Direction.BACKWARD)
    assert masks(forward) == {11 - frame: data for frame, data in masks(backward).items()}


def test_stopping_and_going_on_is_the_same_as_not_stopping() -> None:
    whole, stopped = tracker(), tracker()
    for found in (whole, stopped):
        found.prompt(1, 0, ONE_CLICK)
    run(whole, Direction.FORWARD)
    list(islice(stopped.propagate(Direction.FORWARD), 8))
    assert set(masks(stopped)) == set(range(8))
    run(stopped, Direction.FORWARD, start=8)
    assert masks(stopped) == masks(whole)


def test_going_on_does_not_make_a_late_object_take_part_early() -> None:
    whole, stopped = tracker(), tracker()
    for found in (whole, stopped):
        found.prompt(1, 0, ONE_CLICK)
        found.prompt(2, 14, OTHER_CLICK)
    run(whole, Direction.FORWARD)
    list(islice(stopped.propagate(Direction.FORWARD), 8))
    run(stopped, Direction.FORWARD, start=8)
    assert set(masks(stopped, 2)) == set(range(14, 20))
    assert masks(stopped, 2) == masks(whole, 2)


def test_a_second_pass_does_not_see_the_first() -> None:
    found = tracker()
    found.prompt(1, 0, ONE_CLICK)
    run(found, Direction.FORWARD)
    before = masks(found)
    run(found, Direction.FORWARD)
    assert masks(found) == before


def test_a_picture_is_a_video_of_one_frame() -> None:
    picture = Tracker(toy_model(), toy_clip(1))
    shown = picture.prompt(1, 0, ONE_CLICK)
    assert run(picture) == [0]
    assert picture.result(0) == shown


def test_a_mask_that_is_kept_is_remembered() -> None:
    kept, free = tracker(), tracker()
    for found in (kept, free):
        found.prompt(1, 0, ONE_CLICK)
        run(found)
    by_hand = replace(kept.result(5)[1], mask=Rle.encode(SQUARE))
    kept.take_over(5, by_hand, step=1)
    for found in (kept, free):
        for frame in range(1, 8):
            found.visit(frame, 1, [1], kept=[1] if frame == 5 and found is kept else [])
    assert kept.result(5)[1] == by_hand
    assert kept.result(4) == free.result(4)
    assert kept.result(6) != free.result(6)


# Several objects ---------------------------------------------------------------------------------------------------


PROMPTS = {1: (0, ONE_CLICK), 2: (0, OTHER_CLICK), 3: (3, A_BOX), 7: (5, ONE_CLICK)}


def with_objects(*object_ids: int) -> Tracker:
    found = tracker()
    for object_id in object_ids:
        found.prompt(object_id, *PROMPTS[object_id])
    return found


def test_batched_equals_one_by_one() -> None:
    together = tracked_logits(with_objects(*PROMPTS))
    assert len(together) == len(PROMPTS) * 20
    for object_id in PROMPTS:
        for key, logits in tracked_logits(with_objects(object_id)).items():
            torch.testing.assert_close(logits, together[key], atol=1e-4, rtol=0)


def tracked_logits(found: Tracker) -> dict[tuple[int, int], torch.Tensor]:
    """Logits by frame and object; they are held for a moment only, so they are read frame by frame."""
    return {
        (result.frame_index, object_id): logits
        for result in found.propagate()
        for object_id, logits in found.logits(result.frame_index).items()
    }


def test_removing_an_object_changes_nothing_for_the_others() -> None:
    kept, removed = with_objects(1, 2, 3), with_objects(1, 2, 3)
    for found in (kept, removed):
        list(islice(found.propagate(Direction.FORWARD), 6))
    removed.remove_object(2)
    for found in (kept, removed):
        run(found, Direction.FORWARD, start=6)
    assert removed.object_ids == (1, 3)
    for object_id in (1, 3):
        assert masks(removed, object_id) == masks(kept, object_id)


def test_an_object_may_be_removed_in_the_middle_of_a_sweep() -> None:
    found = with_objects(1, 2)
    sweep = found.propagate(Direction.FORWARD)
    list(islice(sweep, 4))
    found.remove_object(1)
    assert {len(result.objects) for result in sweep} == {1}


def test_adding_an_object_after_tracking_leaves_the_first_alone() -> None:
    found = with_objects(1)
    run(found)
    before = masks(found)
    found.prompt(2, *PROMPTS[2])
    run(found)
    assert masks(found, 1) == before
    assert set(masks(found, 2)) == set(before)


def test_objects_kept_apart_never_overlap() -> None:
    found = tracker(replace(STUDIO, objects_apart=True), count=8)
    for object_id in (1, 2, 3):
        found.prompt(object_id, 0, PROMPTS[object_id][1])
    for result in found.propagate():
        total = sum(mask.mask.decode().astype(int) for mask in result.objects)
        assert np.max(total) <= 1


# Memory ------------------------------------------------------------------------------------------------------------


def test_memory_is_bounded_by_what_can_still_be_selected() -> None:
    found = tracker(count=60)
    found.prompt(1, 0, ONE_CLICK)
    found.prompt(1, 30, OTHER_CLICK)
    reach = found.behaviour.policy.reach
    for _ in found.propagate(Direction.FORWARD):
        bank = found.tracks[1].bank
        assert len(bank.tracked) <= reach + 1
        assert set(bank.conditioning) == {0, 30}
        assert len(found.tracks[1].logits) <= 3


def test_bfloat16_is_close() -> None:
    exact, rounded = tracker(), Tracker(toy_model(), toy_clip())
    exact.prompt(1, 0, A_BOX)
    expected = exact.tracks[1].interactions[0].selection.logits_bhw
    rounded.model.to_precision(torch.bfloat16)
    rounded.prompt(1, 0, A_BOX)
    list(rounded.propagate(limit=8))
    found = rounded.tracks[1].interactions[0].selection.logits_bhw
    assert rounded.tracks[1].bank.conditioning[0].map_dhw.dtype == torch.bfloat16
    assert found.dtype == torch.float32
    assert (found - expected).abs().mean() < 0.05 * expected.abs().mean()
