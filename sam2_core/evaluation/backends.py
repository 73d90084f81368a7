"""Where work is done: in this process, in several, or on a Ray cluster. Answers come as they are ready."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, Protocol, TypeVar

import torch

from sam2_core.errors import Sam2Error

_Job = TypeVar("_Job")
_Answer = TypeVar("_Answer")
_CONNECT_SECONDS = 10.0
_RAY_SECONDS = 60.0


class Backend(Protocol):
    """Gives every job to a function and yields what it answers; both travel to other processes."""

    def __call__(self, work: Callable[[_Job], _Answer], jobs: Sequence[_Job]) -> Iterator[_Answer]:
        """In whatever order."""
        ...


def in_this_process(work: Callable[[_Job], _Answer], jobs: Sequence[_Job]) -> Iterator[_Answer]:
    """One after the other."""
    return map(work, jobs)


def in_processes(workers: int) -> Backend:
    """So many at a time, each in a process with its share of the cores and its own copy of the model."""

    def run(work: Callable[[_Job], _Answer], jobs: Sequence[_Job]) -> Iterator[_Answer]:
        context = multiprocessing.get_context("spawn")  # a forked process could not use a GPU
        threads = max(torch.get_num_threads() // workers, 1)
        others = set(multiprocessing.active_children())
        with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(threads,)) as pool:
            try:
                with _deaf_to_interrupts():
                    waiting = [pool.submit(work, job) for job in jobs]
                for done in as_completed(waiting):
                    yield done.result()
            except BrokenProcessPool as error:
                raise Sam2Error(
                    "a worker process was ended from outside, as systems do when memory runs out; start again with "
                    "fewer --workers."
                ) from error
            except BaseException:  # after an interrupt nobody wants the rest of a long sequence
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in set(multiprocessing.active_children()) - others:
                    worker.terminate()
                raise

    return run


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that are started here never hear the terminal's Ctrl-C, not even before their first line of Python.

    The first process hears it a moment later, and decides.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would work for nobody, and then wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def on_ray(address: str) -> Backend:
    """On the machines of a Ray cluster, which all have this package and see the data under the same paths.

    Args:
        address: as Ray has it: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``, or ``local`` for this machine alone.
    """

    def run(work: Callable[[_Job], _Answer], jobs: Sequence[_Job]) -> Iterator[_Answer]:
        ray = _connect(address)
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        task = ray.remote(_call).options(num_cpus=1, num_gpus=gpus)
        waiting = [task.remote(work, job) for job in jobs]
        try:
            while waiting:
                ready, waiting = ray.wait(waiting, num_returns=1)
                yield ray.get(ready[0])
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, Sam2Error):
                raise error.cause from None
            raise
        finally:
            for each in waiting:
                ray.cancel(each, force=True)
            ray.shutdown()

    return run


def _connect(address: str) -> Any:
    """Ray, connected."""
    try:
        ray: Any = importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise Sam2Error(
            "--ray needs Ray, which is not installed; pip install 'masklet-studio[cluster]', here and on the cluster."
        ) from error
    if address != "local":
        _knock(address)
        _rehearse(address)
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False if address == "local" else None)
    except Exception as error:  # a plain one where a node does not start, and many kinds where there is none
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _no_cluster(address, reason) from error
    return ray


def _knock(address: str) -> None:
    """Refuse an address at which nobody answers, for which Ray itself tries for minutes."""
    place = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:([0-9]{1,5})", address)
    if place is None:
        return
    try:
        socket.create_connection((place[1], int(place[2])), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, getattr(error, "strerror", None) or "nobody answers") from error


def _rehearse(address: str) -> None:
    """Refuse an address at which something else answers; Ray would wait for ever, and cannot be told to stop."""
    code = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False)"
    line = [sys.executable, "-c", code, address]
    try:  # whatever else goes wrong, the real attempt tells
        subprocess.run(line, timeout=_RAY_SECONDS, check=False, capture_output=True)  # noqa: S603  (no shell)
    except subprocess.TimeoutExpired as error:
        raise _no_cluster(address, f"no answer that Ray understands in {_RAY_SECONDS:.0f} seconds") from error


def _no_cluster(address: str, reason: str) -> Sam2Error:
    return Sam2Error(f"Ray gives no cluster at {address!r} ({reason}); check --ray.")


def _call(work: Callable[[_Job], _Answer], job: _Job) -> _Answer:
    """A function of this module, so that it travels by its name."""
    return work(job)
