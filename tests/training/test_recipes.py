"""Recipes: what a file says, what the command line changes, and what is refused."""

import pytest

from sam2_core.config import POCKET
from sam2_core.errors import Sam2Error
from sam2_core.model import SAM2
from sam2_core.training import read_recipe, recipe_names
from sam2_core.training.losses import Fit, LossWeights
from sam2_core.training.optimiser import freeze, trainable
from sam2_core.training.recipe import Kind, Loss, Show, Span, Stored
from tests.training.scenes import RECIPE


@pytest.fixture
def recipe(tmp_path):
    """Reads the small recipe with something put in front, and with changes."""

    def read(*changes, text=RECIPE, before=""):
        path = tmp_path / "small.toml"
        path.write_text(before + text)
        return read_recipe(str(path), changes)

    return read


def test_recipes_of_the_package_are_whole():
    assert recipe_names() == ("finetune-sam2.1-tiny", "pocket")
    pocket, finetune = read_recipe("pocket"), read_recipe("finetune-sam2.1-tiny")
    assert [stage.name for stage in pocket.stages] == ["warmup", "pictures", "clips", "drift", "presence"]
    assert (pocket.model, pocket.init, pocket.store) == ("pocket", "", Stored.FLOAT16)
    assert finetune.init == finetune.model == "sam2.1-hiera-tiny"


def test_the_last_stage_of_pocket_learns_by_the_object_scores_head_alone():
    model = SAM2(POCKET)
    freeze(model, read_recipe("pocket").stages[-1].freeze)
    learning = [name for name, _ in trainable(model)]
    assert learning
    assert all(name.startswith("sam_mask_decoder.pred_obj_score_head.") for name in learning)


def test_fine_tuning_is_the_released_recipe():
    (stage,) = read_recipe("finetune-sam2.1-tiny").stages
    video, person, optimiser = stage.video, stage.video.prompts, stage.optimiser
    assert stage.show == (Show.IMAGE, Show.VIDEO)
    assert (video.frames, video.objects, video.batch, video.augment.reverse) == (Span(8, 8), 3, 1, 0.5)
    assert (person.mask, (1 - person.mask) * person.box) == (0.5, 0.25)
    assert (person.frames, person.clicks.index(1) + 1, person.from_truth) == (Span(1, 2), 7, 0.1)
    assert stage.loss == Loss(LossWeights(20, 1, 1, 1), None, fit=Fit.ASKED, stride=1)
    assert (optimiser.rate, optimiser.rate * optimiser.encoder) == pytest.approx((5e-6, 3e-6))
    assert (optimiser.layer_decay, optimiser.decay, optimiser.clip, optimiser.floor) == (0.9, 0.1, 0.1, 0.1)


def test_a_stage_says_only_what_differs(recipe):
    text = RECIPE + '[[stages]]\nname = "later"\nsteps = 2\nvideo = { frames = [4, 6] }\n'
    both, later = recipe(text=text).stages
    assert (both.video.frames, later.video.frames) == (Span(3, 3), Span(4, 6))
    assert (both.video.batch, later.video.batch) == (2, 2)
    assert later.loss == both.loss


def test_the_command_line_has_the_last_word(recipe):
    text = RECIPE + '[[stages]]\nname = "later"\nsteps = 2\nvideo = { frames = [4, 6] }\n'
    changed = recipe("video.frames=8", "later.steps=5", "later.video.batch=3", "init=my.pt", "seed=7", text=text)
    both, later = changed.stages
    assert (both.video.frames, later.video.frames) == (Span(8, 8), Span(8, 8))
    assert (both.steps, later.steps) == (6, 5)
    assert (both.video.batch, later.video.batch) == (2, 3)
    assert (changed.init, changed.seed) == ("my.pt", 7)


def test_data_sources_have_defaults(recipe):
    pictures, videos = recipe().data
    assert (pictures.kind, pictures.whole_objects, pictures.suffixes) == (Kind.IMAGES, True, ("",))
    assert (videos.kind, videos.weight) == (Kind.DAVIS, 1.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("video.frame=8", r"no video.frame; known in video are batch, objects, .*frames"),
        ("video=8", r"video should be a table of keys and values; it is 8"),
        ("steps=5", r"a recipe has no steps; it has model, .* Stages have keys of their own: both.steps\."),
        ("both.stepps=1", r"no both.stepps; known in both are name, steps"),
        ("video.frames=[3]", r"video.frames should be a whole number, or the lowest and highest"),
        ("video.frames=[5, 3]", r"video.frames should be a whole number, or the lowest and highest"),
        ("video.frames=1", r"both.video.frames should be 2 or more; it is 1"),
        ("both.steps=soon", r"steps should be a whole number; it is 'soon'"),
        ("both.show=['film']", r"show\[0\] should be one of toy, image, video; it is 'film'"),
        ("optimiser.betas=[0.9]", r"betas should be a list of 2"),
        ("video.prompts.clicks=[0.5, 0.2]", r"video.prompts.clicks should be chances that add up to 1"),
        ("image.batch=0", r"image.batch should be 1 to 65536; it is 0"),
        ("image.objects=100000000", r"image.objects should be 1 to 255; it is 1e\+08"),
        ("optimiser.rate=-1", r"^optimiser.rate should be 0 to 1; it is -1"),
        ("optimiser.rate=0", r"both.optimiser.rate should be above zero"),
        ("optimiser.rate=nan", r"^optimiser.rate should be 0 to 1; it is nan"),
        ("optimiser.betas=[2, 3]", r"^optimiser.betas\[0\] should be at least 0 and below 1; it is 2"),
        ("dropout=7", r"dropout should be at least 0 and below 1; it is 7"),
        ("loss.weights.dice=inf", r"^loss.weights.dice should be 0 to 1e\+06; it is inf"),
        ("video.rollout=10000000", r"video.rollout should be a whole number, .* up to 10,000; it is 10000000"),
        ("loss.fade=[0.5, 0.5]", r"both.loss.fade should be two shares of the stage"),
        ("loss.stride=3", r"stride should be 1, 2 or 4"),
        ("model=sam3", r"model should be one of pocket, .*; it is 'sam3'"),
        ("image_size=100", r"image_size should be a multiple of 32; it is 100"),
        ("stages=[]", r"needs at least one of \[\[stages\]\]"),
        ("seed.x=1", r"seed should be a whole number"),
        ("both.name.x=1", r"--set name.x: name is a value"),
        ("seed", r"--set takes KEY=VALUE"),
        ("data=[]", r"the data of stage both should be pictures"),
        ("both.name=video", r"stages need names of their own"),
    ],
)
def test_what_is_refused(recipe, change, sentence):
    with pytest.raises(Sam2Error, match=sentence):
        recipe(change)


def test_files_that_are_no_recipes(recipe, tmp_path):
    with pytest.raises(Sam2Error, match=r"no recipe 'pockte'; expected one of finetune-sam2.1-tiny, pocket"):
        read_recipe("pockte")
    with pytest.raises(Sam2Error, match=r"'small.toml' is no TOML: .*line 1"):
        recipe(before="model = ")
    with pytest.raises(Sam2Error, match="says nothing about model"):
        recipe(text=RECIPE.replace('model = "pocket"', ""))
    (tmp_path / "picture.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Sam2Error, match="cannot be read as text"):
        read_recipe(str(tmp_path / "picture.toml"))


def test_loss_weights_fade_from_start_to_end():
    loss = Loss(LossWeights(balanced=0.0, focal=0.0), start=LossWeights(balanced=1.0, focal=20.0))
    assert loss.weights_at(0.1) == loss.start
    assert loss.weights_at(0.9) == loss.weights
    halfway = loss.weights_at(0.5)
    assert (halfway.balanced, halfway.focal, halfway.dice) == pytest.approx((0.5, 10.0, 1.0))
    assert Loss().weights_at(0.1) == LossWeights()
