"""From what a task made of a text's tokens to its answer: words, entities, or a question's answers."""

from collections.abc import Sequence

from merge_builder.ladder import kind_of
from merge_builder.ladder.manifest import Task
from serving.api.schemas.answers import Entity, InputAnswer, SpanAnswer, TokenEntity, Word
from serving.api.schemas.requests import Parameters
from serving.engine.tokenize import Tokenizer
from serving.inputs import Input, Text
from serving.result import Window
from serving.tokens.entities import entities
from serving.tokens.spans import best_spans
from serving.tokens.words import label_words


def token_answer(
    task: Task, windows: Sequence[Window], item: Input, tokenizer: Tokenizer, asked: Parameters
) -> InputAnswer:
    """The answer of a task that reads every token to one text, of which it saw these windows."""
    assert isinstance(item, Text), "only texts have tokens with places"
    if kind_of(task) == "question_answering":
        return InputAnswer(answers=_spans(windows, item, asked))
    [window] = windows
    logits = window.logits.tolist() if asked.return_logits else None
    cut = window.truncated > 0
    if asked.aggregation_strategy is None:
        words = [
            Word(index=w.index, word=w.word, label=w.label, score=w.score, start=w.start, end=w.end)
            for w in label_words(window, item, task.labels)
        ]
        return InputAnswer(words=words, truncated=cut, logits=logits)
    pieces = entities(window, item, task.labels, asked.aggregation_strategy, tokenizer)
    if asked.aggregation_strategy == "none":
        tokens = [
            TokenEntity(entity=p.label, score=p.score, index=p.index, word=p.word, start=p.start, end=p.end)
            for p in pieces
        ]
        return InputAnswer(entities=tokens, truncated=cut, logits=logits)
    groups = [Entity(entity_group=p.label, score=p.score, word=p.word, start=p.start, end=p.end) for p in pieces]
    return InputAnswer(entities=groups, truncated=cut, logits=logits)


def _spans(windows: Sequence[Window], item: Text, asked: Parameters) -> list[SpanAnswer]:
    context = item.pair or ""
    return [
        SpanAnswer(answer=context[span.start : span.end], score=span.score, start=span.start, end=span.end)
        for span in best_spans(windows, asked.top_k or 1, asked.max_answer_len)
    ]
