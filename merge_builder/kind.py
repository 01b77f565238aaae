"""The kinds of answers that a task gives; alone here, for clients that load nothing else (`ladder.kinds` decides)."""

from typing import Literal

# A label for an input; a label for each of its words; the place of an answer in a text; a vector.
Kind = Literal["classification", "token_classification", "question_answering", "embedding"]
