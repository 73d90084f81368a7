"""Downloads over real HTTP, from a small Hub on this machine, in processes that know it by ``HF_ENDPOINT`` alone.

Most tests let an official name stand for a file of a few kilobytes, or for a model of pocket's size: they are about the
road, not the freight. One slow test carries a checkpoint of the official size.
"""

import io
import multiprocessing
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from sam2_core.config import OFFICIAL, POCKET, PRESETS, ModelConfig
from sam2_core.errors import Cancelled, CheckpointError
from sam2_core.model import SAM2
from sam2_core.weights import available_models, hub, load_model
from tests.hub_server import HubServer

NAME = "sam2.1-hiera-tiny"
KEY = "facebook/sam2.1-hiera-tiny/sam2.1_hiera_tiny.pt"
BYTES = bytes(range(256)) * 256
LARGE = BYTES * 200
"""13 MB: more than the 10 MiB pieces in which the Hub's client writes to disk, so that a broken transfer leaves one."""


class Studio:
    """A process of its own, since the Hub's client reads its settings once, when it is imported."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """The function's answer or error in that process."""
        with mock.patch.dict(os.environ, self._settings):  # inherited when the first task starts the process
            return self._pool.submit(function, *args).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub") / "cache"


@contextmanager
def studio(cache: Path, **settings: str) -> Iterator[Studio]:
    common = {"HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1"}
    made = Studio({"HF_HUB_OFFLINE": "0", **common, **settings})
    yield made
    made.close()


@pytest.fixture(scope="module")
def running_server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


@pytest.fixture
def server(running_server: HubServer, cache: Path) -> HubServer:
    """The Hub without files, and the cache empty."""
    running_server.reset()
    shutil.rmtree(cache, ignore_errors=True)
    return running_server


@pytest.fixture(scope="module")
def online(running_server: HubServer, cache: Path) -> Iterator[Studio]:
    with studio(cache, HF_ENDPOINT=running_server.endpoint) as made:
        yield made


@pytest.fixture(scope="module")
def cut_off(cache: Path) -> Iterator[Studio]:
    """Shares the cache with ``online``, but nobody listens at its Hub's address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with studio(cache, HF_ENDPOINT=f"http://127.0.0.1:{port}") as made:
        yield made


@pytest.fixture(scope="module")
def offline(running_server: HubServer, cache: Path) -> Iterator[Studio]:
    with studio(cache, HF_ENDPOINT=running_server.endpoint, HF_HUB_OFFLINE="1") as made:
        yield made


# --- what the studios do, in their own processes ----------------------------------------------------------------------


def fetched_bytes(name: str) -> bytes:
    return hub.fetch(OFFICIAL[name]).read_bytes()


def fetch_with_progress(name: str) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    hub.fetch(OFFICIAL[name], lambda done, total: told.append((done, total)))
    return told


def fetch_and_cancel(name: str) -> None:
    def cancel(done: int, total: int) -> None:
        raise Cancelled(f"stopped at {done} of {total}")

    hub.fetch(OFFICIAL[name], cancel)


def fetch_onto_a_full_disk(name: str, free: int) -> None:
    usage = mock.Mock(free=free)
    with mock.patch("shutil.disk_usage", return_value=usage):
        hub.fetch(OFFICIAL[name])


def load_small(name: str) -> tuple[str, dict[str, torch.Tensor]]:
    """Load an official name that stands for a model of pocket's size."""
    small = {name: small_config(name)}
    with mock.patch.dict(OFFICIAL, small), mock.patch.dict(PRESETS, small):
        model = load_model(name)
    return model.config.name, {key: value.clone() for key, value in model.state_dict().items()}


def load_fully(name: str) -> tuple[str, float]:
    model = load_model(f"facebook/{name}")
    return model.config.name, sum(float(weights.sum()) for weights in model.state_dict().values())


def names_on_disk() -> set[str]:
    return {model.name for model in available_models() if model.hub_id and model.on_disk}


# --- what the Hub serves ----------------------------------------------------------------------------------------------


def small_config(name: str) -> ModelConfig:
    return replace(POCKET, name=name, stages=(1, 1, 1, 1), model_dim=64, decoder_mlp_dim=64, memory_mlp_dim=64)


def checkpoint(config: ModelConfig) -> tuple[bytes, dict[str, torch.Tensor]]:
    """A random checkpoint as Meta writes them, and its weights."""
    weights = SAM2(config).state_dict()
    file = io.BytesIO()
    torch.save({"model": weights}, file)
    return file.getvalue(), weights


# --- the road ---------------------------------------------------------------------------------------------------------


def test_a_first_use_downloads_and_loads(server: HubServer, online: Studio) -> None:
    content, weights = checkpoint(small_config(NAME))
    server.put(KEY, content)
    name, loaded = online.run(load_small, NAME)
    assert name == NAME
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[key], weights[key]) for key in weights)
    assert [request.method for request in server.requests if request.path.startswith("/cdn/")] == ["GET"]


def test_a_second_use_needs_no_hub(server: HubServer, online: Studio, cut_off: Studio, offline: Studio) -> None:
    content, weights = checkpoint(small_config(NAME))
    server.put(KEY, content)
    online.run(load_small, NAME)
    asked = len(server.requests)
    for again in (online, cut_off, offline):
        loaded = again.run(load_small, NAME)[1]
        assert torch.equal(loaded["no_mem_embed"], weights["no_mem_embed"])
        assert again.run(names_on_disk) == {NAME}
    assert len(server.requests) == asked


def test_progress_is_told_to_the_end(server: HubServer, online: Studio) -> None:
    server.put(KEY, LARGE)
    told = online.run(fetch_with_progress, NAME)
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (len(LARGE), len(LARGE))


def test_a_broken_transfer_goes_on_where_it_broke(server: HubServer, online: Studio) -> None:
    server.put(KEY, LARGE, break_at=12_000_000)
    told = online.run(fetch_with_progress, NAME)
    assert online.run(fetched_bytes, NAME) == LARGE
    whole, rest = [request.range for request in server.requests if request.path.startswith("/cdn/")]
    assert whole is None
    assert rest == f"bytes={10 * 2**20}-"
    assert told == sorted(set(told))
    assert told[-1] == (len(LARGE), len(LARGE))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(BYTES[:1000], "should be of size 65536 but has size 1000", id="truncated"),
        pytest.param(BYTES[::-1], "its SHA-256 is not the announced one", id="wrong"),
    ],
)
def test_a_bad_file_is_refused_and_the_next_try_is_clean(
    server: HubServer, online: Studio, content: bytes, fault: str
) -> None:
    server.put(KEY, content, announced=BYTES)
    with pytest.raises(CheckpointError, match=fault):
        online.run(fetched_bytes, NAME)
    assert online.run(names_on_disk) == set()
    server.put(KEY, BYTES)
    assert online.run(fetched_bytes, NAME) == BYTES


def test_a_file_that_is_no_checkpoint_does_not_stay_in_the_cache(server: HubServer, online: Studio) -> None:
    server.put(KEY, BYTES)
    with pytest.raises(CheckpointError, match=r"removed from the cache; try again .*could not be read as plain"):
        online.run(load_small, NAME)
    assert online.run(names_on_disk) == set()
    server.put(KEY, checkpoint(small_config(NAME))[0])
    assert online.run(load_small, NAME)[0] == NAME


def test_a_file_damaged_in_the_cache_is_downloaded_anew(server: HubServer, online: Studio, cache: Path) -> None:
    server.put(KEY, checkpoint(small_config(NAME))[0])
    online.run(load_small, NAME)
    (blob,) = cache.rglob("blobs/*")
    blob.write_bytes(blob.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="removed from the cache"):
        online.run(load_small, NAME)
    assert not blob.exists()
    assert online.run(load_small, NAME)[0] == NAME


def test_a_cancelled_download_can_be_tried_again(server: HubServer, online: Studio) -> None:
    server.put(KEY, LARGE)
    with pytest.raises(Cancelled, match="stopped at"):
        online.run(fetch_and_cancel, NAME)
    assert online.run(names_on_disk) == set()
    assert online.run(fetched_bytes, NAME) == LARGE


def test_a_full_disk_is_told_before_the_download(server: HubServer, online: Studio) -> None:
    server.put(KEY, LARGE)
    with pytest.raises(CheckpointError, match=r"disk is too full .* 13 MB needed, 5 MB free .* HF_HOME"):
        online.run(fetch_onto_a_full_disk, NAME, 5_000_000)
    assert [request.path for request in server.requests if request.path.startswith("/cdn/")] == []


# --- no road ----------------------------------------------------------------------------------------------------------


def the_way_out(error: pytest.ExceptionInfo[CheckpointError]) -> None:
    """Every message ends with all that can be done."""
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith("by hand and pass its path as the model, or use pocket, which needs no download")
    url = f"https://huggingface.co/facebook/{NAME}/resolve/main/sam2.1_hiera_tiny.pt"
    assert f"set HF_ENDPOINT to a mirror, or get {url} by hand" in message


def test_a_hub_that_cannot_be_reached(server: HubServer, cut_off: Studio) -> None:  # noqa: ARG001 - empties the cache
    with pytest.raises(CheckpointError, match=r"could not be downloaded from http://\S+ \(.*refused") as error:
        cut_off.run(fetched_bytes, NAME)
    the_way_out(error)


def test_offline_without_the_file(server: HubServer, offline: Studio) -> None:
    with pytest.raises(CheckpointError, match="not in the cache and HF_HUB_OFFLINE forbids its download") as error:
        offline.run(fetched_bytes, NAME)
    the_way_out(error)
    assert server.requests == []


@pytest.mark.parametrize("served", [None, "facebook/sam2.1-hiera-tiny/other.pt"], ids=["repository", "file"])
def test_a_hub_without_the_repository_or_file(server: HubServer, online: Studio, served: str | None) -> None:
    if served:
        server.put(served, BYTES)
    with pytest.raises(CheckpointError, match=f"has no {KEY}") as error:
        online.run(fetched_bytes, NAME)
    the_way_out(error)


@pytest.mark.parametrize("status", [200, 403, 503], ids=["no-hub", "forbidden", "down"])
def test_a_hub_that_answers_nonsense(server: HubServer, online: Studio, status: int) -> None:
    server.put(KEY, BYTES)
    server.failure = status
    with pytest.raises(CheckpointError, match="could not be downloaded") as error:
        online.run(fetched_bytes, NAME)
    the_way_out(error)
    server.failure = None
    assert online.run(fetched_bytes, NAME) == BYTES


@pytest.mark.slow
def test_a_checkpoint_of_official_size(server: HubServer, online: Studio) -> None:
    content, weights = checkpoint(OFFICIAL[NAME])
    server.put(KEY, content)
    name, total = online.run(load_fully, NAME)
    assert name == NAME
    assert total == pytest.approx(sum(float(tensor.sum()) for tensor in weights.values()))
    assert len(content) == pytest.approx(hub.download_bytes(OFFICIAL[NAME]), rel=2e-3)
