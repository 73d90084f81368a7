"""An evaluation can be stopped and gone on with, runs in processes and on a cluster, and always says the same."""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from sam2_core.errors import CheckpointError, Sam2Error
from sam2_core.evaluation.backends import in_processes, in_this_process, on_ray
from sam2_core.evaluation.inputs import job_fingerprint
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
    # The clock of what is left starts with the first job, not after it.
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
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
    told = []
    again = evaluate(
        jobs,
        functools.partial(perform, choice, Options()),
        store=ResultStore(tmp_path / "out", SETTINGS),
        progress=lambda *counts: told.append(counts),
    )
    assert worked == ["bear", "camel"]
    assert told == [(0, 1), (1, 1)]  # of what was left to do
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
    result = replace(perform(choice, Options(), jobs[0]), name="../../../etc/passwd")
    ResultStore(tmp_path / "out", SETTINGS).put(result, "made from")
    (written,) = (tmp_path / "out" / "results").rglob("*.json")
    assert written.parent == tmp_path / "out" / "results" / "mask"


def test_weights_have_a_fingerprint(choice):
    model = loaded(choice)
    other = toy_model()
    assert fingerprint(model) == fingerprint(other)
    other.no_mem_embed.data += 1
    assert fingerprint(model) != fingerprint(other)


@pytest.mark.usefixtures("one_thread")
def test_processes_say_what_one_process_says(jobs, choice):
    work = functools.partial(perform, choice, Options())
    assert scores(evaluate(jobs, work, backend=in_processes(2))) == scores(evaluate(jobs, work))


def assert_one_failed(done):
    assert [result.name for result in done.results] == ["bear", "cow"]
    (failure,) = done.failures
    assert (failure.protocol, failure.name) == (Protocol.MASK, "camel")
    assert "'00002.png' is not a picture" in failure.reason
    assert done.missing == 0


def test_a_damaged_file_fails_its_own_sequence_alone(jobs, choice, tmp_path):
    (tmp_path / "davis" / "Annotations" / "480p" / "camel" / "00002.png").write_text("no picture")
    work = functools.partial(perform, choice, Options())
    assert_one_failed(evaluate(jobs, work))
    assert_one_failed(evaluate(jobs, work, backend=in_processes(2)))


def test_without_its_model_nothing_goes_on(jobs):
    missing = ModelChoice("nowhere.safetensors", device="cpu")
    for backend in (in_this_process, in_processes(2)):
        with pytest.raises(CheckpointError, match="nowhere"):
            evaluate(jobs, functools.partial(perform, missing, Options()), backend=backend)


def test_a_failure_is_not_kept(tmp_path, jobs, choice):
    mask = tmp_path / "davis" / "Annotations" / "480p" / "camel" / "00002.png"
    whole = mask.read_bytes()
    mask.write_text("no picture")
    work = functools.partial(perform, choice, Options())
    assert len(evaluate(jobs, work, store=ResultStore(tmp_path / "out", SETTINGS)).failures) == 1
    mask.write_bytes(whole)
    again = evaluate(jobs, work, store=ResultStore(tmp_path / "out", SETTINGS))
    assert (again.resumed, len(again.results), again.failures) == (2, 3, ())


def test_a_fingerprint_is_of_all_that_a_result_is_made_from(tmp_path, jobs):
    job = jobs[1]
    prints = [job_fingerprint(job, None)]
    assert job_fingerprint(job, None) == prints[0]
    prints.append(job_fingerprint(replace(job, case=replace(job.case, ignored=255)), None))
    prints.append(job_fingerprint(replace(job, protocol=Protocol.BOX), None))
    prints.append(job_fingerprint(job, tmp_path / "found"))
    scenes.write_labels(tmp_path / "found" / "camel", {"00001": scenes.square()})
    prints.append(job_fingerprint(job, tmp_path / "found"))
    for folder in ("JPEGImages", "Annotations"):
        file = min((tmp_path / "davis" / folder / "480p" / "camel").iterdir())
        file.write_bytes(file.read_bytes())
        prints.append(job_fingerprint(job, None))
        file.rename(file.with_stem("99999"))
        prints.append(job_fingerprint(job, None))
    assert len(set(prints)) == len(prints)
    (tmp_path / "elsewhere" / "camel").mkdir(parents=True)
    (tmp_path / "elsewhere" / "camel" / "001").symlink_to(tmp_path / "found" / "camel")
    linked = job_fingerprint(job, tmp_path / "elsewhere")
    scenes.write_labels(tmp_path / "found" / "camel", {"00001": scenes.square()})
    assert job_fingerprint(job, tmp_path / "elsewhere") != linked
    other = job_fingerprint(jobs[0], tmp_path / "found")
    scenes.write_labels(tmp_path / "found" / "camel", {"00002": scenes.square()})
    assert job_fingerprint(jobs[0], tmp_path / "found") == other


_WAITS = """
import os, sys, time
from pathlib import Path
from sam2_core.evaluation.backends import in_processes

def work(job):
    Path(job).write_text("begun")
    time.sleep(600)

if __name__ == "__mp_main__":  # in a worker, which has not begun
    Path(__file__).with_suffix(f".{os.getpid()}").touch()
    time.sleep(3)
if __name__ == "__main__":
    list(in_processes(2)(work, sys.argv[1:]))
"""


@pytest.fixture
def waiting(tmp_path):
    """A process with two workers that work for ten minutes, and the files that tell that they have begun."""
    (tmp_path / "waits.py").write_text(_WAITS)
    begun = [tmp_path / "one", tmp_path / "two"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, tmp_path / "waits.py", *begun], env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    yield process, begun
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def members(group):
    """Processes of a group that are alive."""
    states = (stat.read_text().rpartition(")")[2].split() for stat in Path("/proc").glob("[0-9]*/stat"))
    return [state for state in states if state[2] == str(group) and state[0] != "Z"]


def eventually(true):
    """Whether something becomes true in a minute and a half."""
    for _ in range(900):
        with contextlib.suppress(OSError):
            if true():
                return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_workers_end_with_a_parent_that_is_killed(waiting):
    process, begun = waiting
    assert eventually(lambda: all(each.exists() for each in begun))
    assert len(members(process.pid)) >= 3
    process.kill()
    process.wait()
    assert eventually(lambda: not members(process.pid))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_an_early_interrupt_of_the_terminal_is_not_heard_by_workers(waiting, tmp_path):
    process, begun = waiting
    assert eventually(lambda: len(list(tmp_path.glob("waits.[0-9]*"))) == 2)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does, while the workers still import
    told = process.stderr.read().decode()
    assert process.wait() != 0
    assert told.count("KeyboardInterrupt") == 1
    assert told.count("Traceback") == 1
    assert not all(each.exists() for each in begun)


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
@pytest.mark.usefixtures("one_thread")
def test_a_cluster_says_what_one_process_says(jobs, choice, cluster):
    work = functools.partial(perform, choice, Options())
    expected = scores(evaluate(jobs, work))
    assert scores(evaluate(jobs, work, backend=on_ray(cluster))) == expected


@pytest.mark.slow
def test_a_damaged_file_fails_its_own_sequence_on_a_cluster_too(jobs, choice, cluster, tmp_path):
    (tmp_path / "davis" / "Annotations" / "480p" / "camel" / "00002.png").write_text("no picture")
    assert_one_failed(evaluate(jobs, functools.partial(perform, choice, Options()), backend=on_ray(cluster)))


@pytest.mark.parametrize("address", ["localhost:1", "ray://localhost:1", "no-such-host.invalid:6379", "[::1]:1"])
def test_an_address_at_which_nobody_answers_is_told_at_once(jobs, address):
    pytest.importorskip("ray", reason="Ray is not installed; it is the extra [cluster]")
    with pytest.raises(Sam2Error, match="no cluster at"):
        list(on_ray(address)(functools.partial(perform, None, Options()), jobs))


def test_an_address_at_which_something_else_answers_is_given_up(jobs, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed; it is the extra [cluster]")
    monkeypatch.setattr("sam2_core.evaluation.backends._RAY_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(Sam2Error, match="no answer that Ray understands in 2 seconds"):
            list(on_ray(address)(functools.partial(perform, None, Options()), jobs))


def test_without_ray_the_extra_is_named(jobs, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Sam2Error, match="masklet-studio\\[cluster\\]"):
        list(on_ray("auto")(functools.partial(perform, None, Options()), jobs))
