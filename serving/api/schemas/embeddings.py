"""The JSON of `/v1/embeddings`, as closed models in OpenAI's shape."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from merge_builder.closed import Closed
from serving.api.schemas.requests import MOST_INPUTS


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class EmbeddingsRequest(Closed):
    """Texts, and the task that embeds them. A text that is too long is cut. `user` is not looked at."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "sentences", "input": ["a fine film"]}]})

    model: str
    input: Annotated[
        list[str],
        Field(min_length=1, max_length=MOST_INPUTS),
        BeforeValidator(_as_list, json_schema_input_type=str | list[str]),
    ]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, description="Not offered: a vector comes as long as its task makes it.")
    user: str | None = None


class EmbeddedText(Closed):
    """The vector of the text at place `index`: numbers, or base64 of float32, little-endian."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(Closed):
    """Tokens computed, the same number twice, and tokens that were cut off."""

    prompt_tokens: int
    total_tokens: int
    truncated: int


class EmbeddingsResponse(Closed):
    """The answer to an EmbeddingsRequest; the header X-MergeLadder-Rung names the rung that computed it."""

    object: Literal["list"] = "list"
    data: list[EmbeddedText]
    model: str
    usage: EmbeddingsUsage
