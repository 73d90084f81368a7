"""Runs what is not done yet, keeps every result at once, and stops cleanly."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sam2_core.errors import CheckpointError, Sam2Error
from sam2_core.evaluation.backends import Backend, in_this_process
from sam2_core.evaluation.jobs import Job
from sam2_core.evaluation.results import Failure, Protocol, Result
from sam2_core.evaluation.store import ResultStore

Progress = Callable[[int, int], None]
Work = Callable[[Job], Result]
"""What does a job; it and the job travel to other processes."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results in the order of the jobs.

    Attributes:
        results: as far as they were made.
        resumed: how many of them an earlier start had made.
        missing: jobs that were not done, because somebody stopped it.
        failures: jobs that cannot be done with these files.
    """

    results: tuple[Result, ...]
    resumed: int
    missing: int
    failures: tuple[Failure, ...] = ()


def evaluate(
    jobs: Sequence[Job],
    work: Work,
    *,
    backend: Backend = in_this_process,
    store: ResultStore | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Evaluation:
    """Do all jobs. What is wrong with one leaves the others alone; an interrupt (Ctrl-C) ends it with what is done.

    Args:
        jobs: in the order in which their results are wanted.
        work: does one of them.
        backend: where.
        store: holds results of an earlier start, and gets new ones.
        progress: told how many jobs are done, of how many.
    """
    inputs = {_key(job): store.inputs(job) for job in jobs} if store else {}
    found = {_key(job): store.get(job, inputs[_key(job)]) for job in jobs} if store else {}
    done: dict[_Key, Result | Failure] = {key: result for key, result in found.items() if result is not None}
    resumed = len(done)
    waiting = [job for job in jobs if _key(job) not in done]
    if waiting:
        progress(0, len(waiting))  # the clock starts with the work, not when the first job is done
    try:
        for outcome in backend(functools.partial(_attempt, work), waiting) if waiting else ():
            done[outcome.protocol, outcome.name] = outcome
            if store and not isinstance(outcome, Failure):
                store.put(outcome, inputs[outcome.protocol, outcome.name])
            progress(len(done) - resumed, len(waiting))
    except KeyboardInterrupt:
        pass
    outcomes = [done[_key(job)] for job in jobs if _key(job) in done]
    results = tuple(each for each in outcomes if not isinstance(each, Failure))
    failures = tuple(each for each in outcomes if isinstance(each, Failure))
    return Evaluation(results, resumed, len(jobs) - len(outcomes), failures)


_Key = tuple[Protocol, str]


def _key(job: Job) -> _Key:
    return job.protocol, job.case.name


def _attempt(work: Work, job: Job) -> Result | Failure:
    """Do a job, or say why it cannot be done; without the model none can."""
    try:
        return work(job)
    except CheckpointError:
        raise
    except Sam2Error as error:
        return Failure(job.protocol, job.case.name, str(error))
    except OSError as error:
        return Failure(job.protocol, job.case.name, f"a file cannot be read: {error.strerror or error}.")
