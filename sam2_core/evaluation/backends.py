"""Where jobs run: in this process, in several, or on the machines of a Ray cluster. Results come as they are ready."""

from __future__ import annotations

import importlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.jobs import Job
from sam2_core.evaluation.results import Result

Work = Callable[[Job], Result]
"""What does a job; it and the job travel to other processes."""
Backend = Callable[[Work, Sequence[Job]], Iterator[Result]]


def in_this_process(work: Work, jobs: Sequence[Job]) -> Iterator[Result]:
    """One after the other."""
    return map(work, jobs)


def in_processes(workers: int) -> Backend:
    """So many at a time, each in a process with its share of the cores and its own copy of the model."""

    def run(work: Work, jobs: Sequence[Job]) -> Iterator[Result]:
        context = multiprocessing.get_context("spawn")  # a forked process could not use a GPU
        threads = max(torch.get_num_threads() // workers, 1)
        others = set(multiprocessing.active_children())
        with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(threads,)) as pool:
            try:
                for done in as_completed([pool.submit(work, job) for job in jobs]):
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


def _begin(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches workers, too; the first process decides
    torch.set_num_threads(threads)


def on_ray(address: str) -> Backend:
    """On the machines of a Ray cluster, which all have this package and see the data under the same paths.

    Args:
        address: as Ray has it: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``, or ``local`` for this machine alone.
    """

    def run(work: Work, jobs: Sequence[Job]) -> Iterator[Result]:
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
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False if address == "local" else None)
    except Exception as error:  # a plain one where a node does not start, and many kinds where there is none
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Sam2Error(f"Ray gives no cluster at {address!r} ({reason}); check --ray.") from error
    return ray


def _call(work: Work, job: Job) -> Result:
    """A function of this module, so that it travels by its name."""
    return work(job)
