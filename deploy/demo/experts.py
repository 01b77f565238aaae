"""Fine-tune several experts at once: one process and one thread each, up to two at a time."""

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from deploy.demo.rows import read_rows
from deploy.demo.training import Training
from merge_builder.errors import MergeLadderError
from merge_builder.progress import Progress

PROCESSES = 2
STAGE = "fine-tuning the experts"


@dataclass(frozen=True)
class Job:
    """One expert to make: the folder of the base, the file of training rows, the expert's folder, the settings."""

    base: Path
    rows: Path
    out: Path
    training: Training


def finetune_all(jobs: Sequence[Job], progress: Progress) -> None:
    """Make the expert of every job whose folder is not there yet; the progress counts the steps of them all.

    Raises:
        MergeLadderError: one of them failed, as `finetune` says, or its process was killed. Experts that are finished
            stay, so that the next call goes on from there.
    """
    waiting = sorted((job for job in jobs if not job.out.exists()), key=_cost)
    total, done = sum(job.training.steps for job in waiting), 0
    if waiting:
        progress(STAGE, 0, total, "steps")  # the first step is a few seconds away: say what is going on
    running: dict[Connection, tuple[SpawnProcess, Job]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < min(PROCESSES, os.cpu_count() or 1):
                job = waiting.pop()
                receiver, process = _start(job)
                running[receiver] = process, job
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                if _has_ended(ready, *running[ready]):
                    del running[ready]
                else:
                    done += 1
                    progress(STAGE, done, total, "steps")
    finally:
        for process, _ in running.values():
            process.kill()


def _cost(job: Job) -> int:
    """The tokens that a job reads at most: the costliest starts first, so that the cores finish together."""
    return job.training.steps * job.training.batch_size * job.training.max_length


def _start(job: Job) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, sender), daemon=True)
    process.start()
    sender.close()  # the child's copy is now the only one: the pipe ends when the child does
    return receiver, process


def _has_ended(receiver: Connection, process: SpawnProcess, job: Job) -> bool:
    """Read one message: a step done (None), or an error; the end of the pipe is the end of the process."""
    try:
        message = receiver.recv()
    except EOFError:
        process.join()
        if process.exitcode != 0:
            raise MergeLadderError(
                f"the process that fine-tuned {job.out.name} ended with exit code {process.exitcode}; is there enough "
                "memory? Run it again to go on with the experts that are left"
            ) from None
        return True
    if isinstance(message, MergeLadderError):
        raise message
    return False


def _work(job: Job, sender: Connection) -> None:
    """The child's whole life. When the parent dies, the next report fails and ends the child too."""
    try:
        rows = read_rows(job.rows)
        labels = sorted({row.label for row in rows})
        from deploy.demo.finetune import finetune  # torch is imported in the child alone

        finetune(job.base, rows, labels, job.out, job.training, progress=lambda *_: sender.send(None))
    except MergeLadderError as error:
        sender.send(error)
