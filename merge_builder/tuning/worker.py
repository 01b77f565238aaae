"""A worker of a search: it has models of its own, and evaluates what it is given.

with open_worker(setup, engine_bench) as work:
    answer = work(job)
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from threadpoolctl import threadpool_limits

from merge_builder.evaluation import load_data
from merge_builder.ladder import Ladder, open_ladder
from merge_builder.tuning.bench import Bench
from merge_builder.tuning.candidate import beside
from merge_builder.tuning.depth.sources import open_sources
from merge_builder.tuning.depth.stacks import Stacks
from merge_builder.tuning.evaluator import Evaluator
from merge_builder.tuning.jobs import Answer, Job, Setup
from merge_builder.tuning.material import open_material
from merge_builder.tuning.search import candidate_of, open_tools
from merge_builder.tuning.split import split_rows


@contextmanager
def open_worker(setup: Setup, make_bench: Callable[[Ladder], Bench]) -> Iterator[Callable[[Job], Answer]]:
    """What evaluates a job, as the search itself would, on one thread.

    Raises:
        InputError: the recipe's checkpoints, the rows or the untuned ladder are not there.
    """
    ladder = open_ladder(setup.folder / "untuned")
    split = split_rows(load_data(setup.data, ladder), setup.settings.seed)
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        material = stack.enter_context(open_material(setup.recipe, ladder))
        bench = make_bench(ladder)
        evaluator = Evaluator(bench, material, split)
        if setup.settings.tuner == "depth":
            own = setup.folder / "depths" / f"{socket.gethostname()}-{os.getpid()}"
            evaluator.stacked = Stacks(stack.enter_context(open_sources(material)), own, make_bench).runner
        tools = open_tools(setup.settings, material, bench, split, setup.folder)

        def work(job: Job) -> Answer:
            begin, rung = time.process_time(), ladder.manifest.rungs[job.rung]
            settled = {(block, group): candidate_of(genes, tools, rung) for block, group, genes in job.settled}
            candidate = beside(candidate_of(job.genes, tools, rung), settled)
            right = evaluator.right(rung, candidate, job.part, job.spans)
            return Answer(right, time.process_time() - begin)

        yield work
