"""The course of a step: which frames are prompted, corrected and learned from."""

import numpy as np
import pytest

from sam2_core.training.plan import Chance, Stream, draw_clip_plan, draw_picture_plan
from sam2_core.training.recipe import Prompting, Span, VideoBatches


def plans(video, count=400):
    return [draw_clip_plan(np.random.default_rng(seed), video) for seed in range(count)]


def test_the_papers_clips():
    drawn = plans(VideoBatches())
    assert {plan.frames for plan in drawn} == {8}
    assert all(plan.learned == frozenset(range(8)) for plan in drawn)
    assert np.mean([plan.masked for plan in drawn]) == pytest.approx(0.5, abs=0.08)
    assert np.mean([len(plan.prompted) == 2 for plan in drawn]) == pytest.approx(0.5, abs=0.08)
    assert all(plan.prompted[0] == 0 and not plan.corrections for plan in drawn if plan.masked)
    clicked = [plan for plan in drawn if not plan.masked]
    assert all(set(plan.prompted) <= set(plan.corrections) for plan in clicked)
    assert {number for plan in clicked for number in plan.corrections.values()} == {7}
    assert {len(plan.corrections) for plan in clicked} == {1, 2}
    single = [len(plan.corrections) for plan in clicked if len(plan.prompted) == 1]
    assert np.mean(single) == pytest.approx(1.5, abs=0.12)


def test_rolled_out_frames_are_not_learned_from():
    video = VideoBatches(frames=Span(4, 4), rollout=Span(5, 5), prompts=Prompting(frames=Span(1, 1)))
    for plan in plans(video, 40):
        assert plan.frames == 9
        assert plan.learned == {0, 6, 7, 8}
        assert plan.tracked == tuple(range(1, 9))
        assert set(plan.corrections) <= plan.learned


def test_clips_of_two_frames_have_one_to_track():
    video = VideoBatches(frames=Span(2, 2))
    assert {plan.prompted for plan in plans(video, 40)} == {(0,)}


def test_pictures_are_pointed_at():
    plan = draw_picture_plan(np.random.default_rng(0), Prompting())
    assert (plan.frames, plan.masked, plan.prompted, plan.corrections) == (1, False, (0,), {0: 7})


def test_chance_is_the_same_whenever_it_is_asked_for():
    chance = Chance(1, 0, 5)
    first = chance.stream(Stream.CLIP, 3).random()
    assert chance.stream(Stream.CLIP, 3).random() == first
    others = {Chance(1, 0, 6).stream(Stream.CLIP, 3).random(), chance.stream(Stream.CLIP, 2).random()}
    assert first not in others | {chance.stream(Stream.PERSON, 3).random()}
