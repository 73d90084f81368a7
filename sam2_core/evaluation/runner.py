"""Runs what is not done yet, keeps every result at once, and stops cleanly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sam2_core.evaluation.backends import Backend, Work, in_this_process
from sam2_core.evaluation.jobs import Job
from sam2_core.evaluation.results import Result
from sam2_core.evaluation.store import ResultStore

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results in the order of the jobs.

    Attributes:
        results: as far as they were made.
        resumed: how many of them an earlier start had made.
        missing: jobs that were not done, because somebody stopped it.
    """

    results: tuple[Result, ...]
    resumed: int
    missing: int


def evaluate(
    jobs: Sequence[Job],
    work: Work,
    *,
    backend: Backend = in_this_process,
    store: ResultStore | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Evaluation:
    """Do all jobs; an interrupt (Ctrl-C) ends it early with what is done.

    Args:
        jobs: in the order in which their results are wanted.
        work: does one of them.
        backend: where.
        store: holds results of an earlier start, and gets new ones.
        progress: told how many jobs are done, of how many.
    """
    found = {(job.protocol, job.case.name): store.get(job) for job in jobs} if store else {}
    done = {key: result for key, result in found.items() if result is not None}
    resumed = len(done)
    waiting = [job for job in jobs if (job.protocol, job.case.name) not in done]
    try:
        for result in backend(work, waiting) if waiting else ():
            if store:
                store.put(result)
            done[result.protocol, result.name] = result
            progress(len(done) - resumed, len(waiting))
    except KeyboardInterrupt:
        pass
    results = tuple(done[key] for job in jobs if (key := (job.protocol, job.case.name)) in done)
    return Evaluation(results, resumed, len(jobs) - len(results))
