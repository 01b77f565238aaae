"""Rows as the tokens that a router sees of them, read as a server reads the texts of requests.

train_router(recipe, data, out, seed, token_reader)
"""

from collections.abc import Iterator, Sequence

from merge_builder.evaluation import Row
from merge_builder.ladder import Ladder
from merge_builder.tuning.neulig.routing import ReadTokens
from serving.engine.tokenize import load_tokenizer
from serving.inputs import Text
from serving.routing import router_tokens

MOST_TOKENS = 512  # of a text, where the tasks take more; the start of a text tells what it is about


def token_reader(ladder: Ladder) -> tuple[ReadTokens, int]:
    """What reads rows for `ladder`, and the most tokens of a text that it looks at: as many as any task takes.

    Raises:
        InputError: the ladder has no tokenizer.
    """
    tokenizer = load_tokenizer(ladder.base_dir)
    most = min(MOST_TOKENS, max(task.max_length or MOST_TOKENS for task in ladder.manifest.tasks))

    def read(rows: Sequence[Row]) -> list[tuple[int, ...]]:
        return router_tokens(tokenizer, [text for row in rows for text in _texts(row)], most)

    return read, most


def _texts(row: Row) -> Iterator[Text]:
    """What a request would hold: of two texts to be compared by their embeddings, each by itself."""
    if row.score is not None:
        yield from (Text(row.text), Text(row.text_pair or ""))
    elif row.words is not None:
        yield Text(" ".join(row.words))
    else:
        yield Text(row.text, row.text_pair)
