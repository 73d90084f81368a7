"""An evaluation can be stopped and gone on with, runs in processes and on a cluster, and always says the same."""

import functools
import sys

import pytest
import torch
from safetensors.torch import save_file

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.backends import in_processes, on_ray
from sam2_core.evaluation.jobs import default_protocols, perform, plan
from sam2_core.evaluation.layouts import find_data
from sam2_core.evaluation.options import ModelChoice, Options, Predictions, fingerprint, loaded
from sam2_core.evaluation.results import Protocol
from sam2_core.evaluation.runner import evaluate
from sam2_core.evaluation.store import ResultStore, Settings
from tests.evaluation import scenes
from tests.tracking.toys import toy_model

NAMES = ("bear", "camel", "cow")
SETTINGS = Settings("toy", "0123", "data", Options())


@pytest.fixture(scope="module")
def choice(tmp_path_factory):
    """A tiny model that every process can load."""
    path = tmp_path_factory.mktemp("model") / "toy.safetensors"
    save_file(toy_model().state_dict(), path)
    return ModelChoice(str(path), image_size=64, device="cpu", precision="fp32")


@pytest.fixture
def jobs(tmp_path):
    return plan(find_data(scenes.davis(tmp_path / "davis", NAMES)), [Protocol.MASK])


_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # else a token is written to the home folder
}
"""So that it leaves the machine as it is."""


def scores(evaluation):
    return [(result.name, result.objects) for result in evaluation.results]


def test_what_fits_the_data_is_the_default(tmp_path, choice):
    videos = find_data(scenes.davis(tmp_path / "davis"))
    pictures = find_data(scenes.coco(tmp_path / "coco"))
    assert default_protocols(videos, choice) == (Protocol.MASK, Protocol.ONE_CLICK)
    assert default_protocols(pictures, choice) == (Protocol.IMAGES,)
    assert default_protocols(videos, Predictions(tmp_path)) == (Protocol.PREDICTIONS,)
    with pytest.raises(Sam2Error, match="'images' needs pictures"):
        plan(videos, [Protocol.IMAGES])


def test_results_come_in_the_order_of_the_jobs(jobs, choice):
    told = []
    work = functools.partial(perform, choice, Options())
    done = evaluate(jobs, work, progress=lambda *counts: told.append(counts))
    assert [result.name for result in done.results] == list(NAMES)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert (done.resumed, done.missing) == (0, 0)


def test_an_interrupt_keeps_what_is_done_and_the_next_start_goes_on(tmp_path, jobs, choice):
    worked = []

    def work(job):
        if len(worked) == 2:
            raise KeyboardInterrupt
        worked.append(job.case.name)
        return perform(choice, Options(), job)

    stopped = evaluate(jobs, work, store=ResultStore(tmp_path / "out", SETTINGS))
    assert (len(stopped.results), stopped.missing) == (2, 1)
    again = evaluate(jobs, functools.partial(perform, choice, Options()), store=ResultStore(tmp_path / "out", SETTINGS))
    assert worked == ["bear", "camel"]
    assert (again.resumed, again.missing) == (2, 0)
    assert again.results[:2] == stopped.results
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_a_damaged_result_is_made_again(tmp_path, jobs, choice):
    work = functools.partial(perform, choice, Options())
    first = evaluate(jobs, work, store=ResultStore(tmp_path / "out", SETTINGS))
    (path,) = (tmp_path / "out" / "results").rglob("bear-*.json")
    path.write_text("{")
    again = evaluate(jobs, work, store=ResultStore(tmp_path / "out", SETTINGS))
    assert again.resumed == 2
    assert scores(again) == scores(first)


def test_results_of_something_else_are_not_mixed_in(tmp_path):
    ResultStore(tmp_path / "out", SETTINGS)
    with pytest.raises(Sam2Error, match="other settings \\(fingerprint, options of 'toy'"):
        ResultStore(tmp_path / "out", Settings("toy", "4567", "data", Options(interacted_frames=2)))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "diary.txt").write_text("dear")
    with pytest.raises(Sam2Error, match="'home' holds other files"):
        ResultStore(tmp_path / "home", SETTINGS)


def test_a_name_from_a_strangers_file_stays_in_the_folder(tmp_path, jobs, choice):
    from dataclasses import replace

    result = replace(perform(choice, Options(), jobs[0]), name="../../../etc/passwd")
    ResultStore(tmp_path / "out", SETTINGS).put(result)
    (written,) = (tmp_path / "out" / "results").rglob("*.json")
    assert written.parent == tmp_path / "out" / "results" / "mask"


def test_weights_have_a_fingerprint(choice):
    model = loaded(choice)
    other = toy_model()
    assert fingerprint(model) == fingerprint(other)
    other.no_mem_embed.data += 1
    assert fingerprint(model) != fingerprint(other)


@pytest.fixture
def one_thread():
    """What a worker of two has on a small machine: with more, sums end in other digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_processes_say_what_one_process_says(jobs, choice):
    work = functools.partial(perform, choice, Options())
    assert scores(evaluate(jobs, work, backend=in_processes(2))) == scores(evaluate(jobs, work))


def test_an_error_in_a_process_is_told_as_it_is(jobs, choice, tmp_path):
    (tmp_path / "davis" / "Annotations" / "480p" / "cow" / "00002.png").write_text("no picture")
    with pytest.raises(Sam2Error, match="'00002.png' is not a picture"):
        evaluate(jobs, functools.partial(perform, choice, Options()), backend=in_processes(2))


@pytest.fixture
def cluster(monkeypatch):
    """Address of a Ray cluster of two workers on this machine, without all that only watches it."""
    pytest.importorskip("ray", reason="Ray is not installed; it is the extra [cluster]")
    for name, value in _RAY.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    started = Cluster()
    try:
        started.add_node(num_cpus=2, include_dashboard=False, include_log_monitor=False, no_monitor=True)
    except Exception as error:  # its agents have 15 seconds, which a busy machine may not give them
        pytest.skip(f"Ray does not start here: {error}")
    yield started.address
    started.shutdown()


@pytest.mark.slow
def test_a_cluster_says_what_one_process_says(jobs, choice, cluster):
    work = functools.partial(perform, choice, Options())
    expected = scores(evaluate(jobs, work))
    assert scores(evaluate(jobs, work, backend=on_ray(cluster))) == expected


@pytest.mark.slow
def test_an_error_on_a_cluster_is_told_as_it_is(jobs, choice, cluster, tmp_path):
    (tmp_path / "davis" / "Annotations" / "480p" / "cow" / "00002.png").write_text("no picture")
    with pytest.raises(Sam2Error, match="'00002.png' is not a picture"):
        evaluate(jobs, functools.partial(perform, choice, Options()), backend=on_ray(cluster))


def test_without_ray_the_extra_is_named(jobs, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Sam2Error, match="masklet-studio\\[cluster\\]"):
        list(on_ray("auto")(functools.partial(perform, None, Options()), jobs))
