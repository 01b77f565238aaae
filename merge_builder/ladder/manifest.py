"""`ladder.json`: the closed schema of everything a ladder holds (format version 1)."""

from typing import Any, Literal

from pydantic import Field

from merge_builder.closed import Closed
from merge_builder.ladder.additions import Router, Score, Tuned
from merge_builder.ladder.fields import SafeName, Sha256, TaskName, TensorSpec, missing

# What a stored version of a block is.
Kind = Literal["expert", "merged", "base", "masked"]
# What transformers saves an image processor as.
ProcessorFile = Literal["preprocessor_config.json", "processor_config.json"]


def _empty(entries: tuple[Any, ...]) -> bool:
    return not entries


class Block(Closed):
    """A named set of tensors that is merged as one unit; `bytes` is the payload of one merged version."""

    name: SafeName
    bytes: int
    tensors: tuple[TensorSpec, ...]


class Version(Closed):
    """One stored version of one block, at `blocks/<block>/<id>.safetensors`, and the tasks that use it.

    `expert` and `merged` are weights ready for use: an expert's own, bit for bit, or made from several. `masked` holds
    what its tasks share and a mask for each (see `ladder.masked`); it needs the block's `base`: the pre-trained
    tensors, with the id `base` and no tasks. `bytes` counts tensor payload, which is what memory holds; the file adds
    its header.
    """

    block: SafeName
    id: SafeName
    kind: Kind
    tasks: tuple[TaskName, ...]
    bytes: int
    sha256: Sha256


class Head(Closed):
    """A task's own classifier, at `heads/<task>.safetensors`: never merged, counted on its own."""

    bytes: int
    tensors: tuple[TensorSpec, ...]
    sha256: Sha256


class Embedding(Closed):
    """How a sentence-transformers model makes one vector of a text's tokens; `normalise`: to length 1."""

    pooling: Literal["mean", "cls"]
    normalise: bool


class Task(Closed):
    """One task: its labels, its head and the expert's own `config.json`, verbatim, for export.

    `prefix` is what the expert's checkpoint puts before its encoder tensors (`bert.`, or nothing). `embedding` is there
    where the expert's folder tells it; `ladder.kinds` says of which kind a task is. `preprocessing` is there where the
    expert's images are prepared otherwise than the base's: its files for that, by name, as they are in JSON.
    """

    name: TaskName
    prefix: str = ""
    labels: tuple[str, ...]
    max_length: int | None
    head: Head
    config: dict[str, Any]
    embedding: Embedding | None = Field(default=None, exclude_if=missing)
    preprocessing: dict[ProcessorFile, dict[str, Any]] | None = Field(default=None, exclude_if=missing, repr=False)


class Base(Closed):
    """The pre-trained model: its family and its files under `base/`."""

    model_type: str
    files: dict[SafeName, Sha256]


class MethodUse(Closed):
    """A merge method by name, with every hyper-parameter written out."""

    name: str
    parameters: dict[str, Any]


class Step(Closed):
    """One merge of the trace: in `block`, the groups `left` and `right` became one."""

    step: int
    block: SafeName
    left: tuple[TaskName, ...]
    right: tuple[TaskName, ...]
    similarity: float


class RungSize(Closed):
    """A row of the rung table.

    `ratio` counts blocks only, in units of one model that all tasks share; `bytes` adds the heads and a router.
    """

    index: int
    ratio: float
    bytes: int


class Source(Closed):
    """An input checkpoint as it was named in the recipe, with the hash of every file that was read."""

    model: str
    files: dict[str, Sha256]


class Provenance(Closed):
    """Where a ladder came from: enough to build it again and to see that an input changed."""

    recipe: dict[str, Any]
    base: Source
    experts: dict[TaskName, Source]
    libraries: dict[str, str]


class Manifest(Closed):
    """The whole of `ladder.json`; `checksum` is the sha256 of all else in it, put there when it is written.

    `scores` are of the weights as they are, `int8_scores` of an engine that computes with 8-bit ones; `tuned` tells of
    versions that a search has made. Without any, the file is as it was before there were such; so it is without a
    `router`.
    """

    format_version: Literal[1] = 1
    revision: str
    base: Base
    tasks: tuple[Task, ...]
    granularity: Literal["layer", "sublayer", "tensor"]
    linkage: str
    method: MethodUse
    blocks: tuple[Block, ...]
    trace: tuple[Step, ...]
    versions: tuple[Version, ...]
    rungs: tuple[RungSize, ...]
    scores: tuple[Score, ...] = ()
    int8_scores: tuple[Score, ...] = Field(default=(), exclude_if=_empty)
    tuned: tuple[Tuned, ...] = Field(default=(), exclude_if=_empty)
    router: Router | None = Field(default=None, exclude_if=missing)
    provenance: Provenance
    checksum: Sha256 | None = None
