"""Which task a text is for, where its request names none: by the ladder's router, and with what confidence.

chooser = load_chooser(ladder, tokenizer)
chooser.choose([Text("a fine film")])[0].confidences      # {"reviews": 0.97}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from merge_builder.errors import InputError
from merge_builder.ladder import Kind, Ladder, kind_of
from merge_builder.ladder.manifest import Task
from merge_builder.ladder.router import Router, load_router
from serving.clipping import clip
from serving.engine.tokenize import Tokenizer
from serving.errors import RequestError
from serving.inputs import Text, check_form

SURE = 0.8  # confidence from which on the best task alone is asked


@dataclass(frozen=True)
class Route:
    """The tasks that a text is given to, the best first, each with the router's confidence: one, or two if it is not
    `SURE` of the best. `ensemble`: the two have the same labels and answer as one."""

    confidences: Mapping[str, float]
    ensemble: bool = False

    @property
    def tasks(self) -> tuple[str, ...]:
        """The best first."""
        return tuple(self.confidences)


@dataclass(frozen=True)
class Chooser:
    """A router with what it needs to read texts: a tokenizer, and the most tokens of a text that it looks at."""

    router: Router
    tasks: Mapping[str, Task]
    kinds: Mapping[str, Kind]
    tokenizer: Tokenizer
    max_length: int

    def choose(self, texts: Sequence[Text], first: int = 0) -> list[Route]:
        """Where each text goes; it does not depend on the others. `first` is the place in the request of the first.

        Only tasks that take the form of the text are chosen from: a question has to have a context, and words are
        labelled in one text and not in two. What is left shares the confidence.

        Raises:
            EmptyText, RequestError: a text is empty or not valid Unicode, or no task takes its form.
        """
        for place, item in enumerate(texts, first):
            check_form(place, item, ())
        try:
            read = router_tokens(self.tokenizer, texts, self.max_length)
        except InputError as error:
            raise RequestError(str(error), "inputs") from error
        return [self._route(place, item, ids) for place, (item, ids) in enumerate(zip(texts, read, strict=True), first)]

    def _route(self, place: int, item: Text, token_ids: Sequence[int]) -> Route:
        shares = dict(zip(self.router.tasks, self.router.confidences(token_ids).tolist(), strict=True))
        fit = {task: share for task, share in shares.items() if _takes(self.kinds[task], item)}
        if not fit:
            raise RequestError(f"inputs[{place}] is of a form that no task of this ladder takes", f"inputs[{place}]")
        total = sum(fit.values()) or 1.0
        ranked = [(task, fit[task] / total) for task in sorted(fit, key=fit.__getitem__, reverse=True)]
        if len(ranked) == 1 or ranked[0][1] >= SURE:
            return Route(dict(ranked[:1]))
        return Route(dict(ranked[:2]), _alike(*(self.tasks[task] for task, _ in ranked[:2])))


def load_chooser(ladder: Ladder, tokenizer: Tokenizer) -> Chooser | None:
    """The ladder's router, ready for texts; None where it has none.

    Raises:
        MergeLadderError: its file is missing or broken.
    """
    router, entry = load_router(ladder), ladder.manifest.router
    if router is None or entry is None:
        return None
    tasks = {task.name: task for task in ladder.manifest.tasks}
    kinds = {name: kind_of(task) for name, task in tasks.items()}
    return Chooser(router, tasks, kinds, tokenizer, entry.max_length)


def router_tokens(tokenizer: Tokenizer, texts: Sequence[Text], max_length: int) -> list[tuple[int, ...]]:
    """The token ids of each text, or pair, that a router looks at.

    Raises:
        InputError: a text is not valid Unicode.
    """
    first = [clip(tokenizer, item.text, max_length) for item in texts]
    second = [None if item.pair is None else clip(tokenizer, item.pair, max_length) for item in texts]
    return [one.input_ids for one in tokenizer.encode(first, second, max_length=max_length, truncate=True)]


def _takes(kind: Kind, item: Text) -> bool:
    match kind:
        case "question_answering":
            return bool((item.pair or "").strip())
        case "token_classification":
            return item.pair is None
    return True


def _alike(first: Task, second: Task) -> bool:
    """Whether two tasks' probabilities are of the same labels, one of which holds."""
    both = (first, second)
    single = all(task.config.get("problem_type") in (None, "single_label_classification") for task in both)
    classifiers = all(kind_of(task) == "classification" for task in both)
    return classifiers and single and len(first.labels) > 1 and first.labels == second.labels
