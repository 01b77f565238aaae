"""`ladder.json`: the closed schema of everything a ladder holds (format version 1)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Names become file names, so nothing that could leave the ladder's folder is a name.
SafeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$")]
TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
# What a stored version of a block is.
Kind = Literal["expert", "merged", "base", "masked"]
# What transformers saves an image processor as.
ProcessorFile = Literal["preprocessor_config.json", "processor_config.json"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _empty(entries: tuple[Any, ...]) -> bool:
    return not entries


def _missing(value: object) -> bool:
    return value is None


def _plain(metric: object) -> bool:
    return metric == "accuracy"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorSpec(_Closed):
    """One tensor by its canonical name (the family's prefix removed), as safetensors describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Block(_Closed):
    """A named set of tensors that is merged as one unit; `bytes` is the payload of one merged version."""

    name: SafeName
    bytes: int
    tensors: tuple[TensorSpec, ...]


class Version(_Closed):
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


class Head(_Closed):
    """A task's own classifier, at `heads/<task>.safetensors`: never merged, counted on its own."""

    bytes: int
    tensors: tuple[TensorSpec, ...]
    sha256: Sha256


class Embedding(_Closed):
    """How a sentence-transformers model makes one vector of a text's tokens; `normalise`: to length 1."""

    pooling: Literal["mean", "cls"]
    normalise: bool


class Task(_Closed):
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
    embedding: Embedding | None = Field(default=None, exclude_if=_missing)
    preprocessing: dict[ProcessorFile, dict[str, Any]] | None = Field(default=None, exclude_if=_missing, repr=False)


class Base(_Closed):
    """The pre-trained model: its family and its files under `base/`."""

    model_type: str
    files: dict[SafeName, Sha256]


class MethodUse(_Closed):
    """A merge method by name, with every hyper-parameter written out."""

    name: str
    parameters: dict[str, Any]


class Step(_Closed):
    """One merge of the trace: in `block`, the groups `left` and `right` became one."""

    step: int
    block: SafeName
    left: tuple[TaskName, ...]
    right: tuple[TaskName, ...]
    similarity: float


class RungSize(_Closed):
    """A row of the rung table.

    `ratio` counts blocks only, in units of one model that all tasks share; `bytes` adds the heads and a router.
    """

    index: int
    ratio: float
    bytes: int


class Source(_Closed):
    """An input checkpoint as it was named in the recipe, with the hash of every file that was read."""

    model: str
    files: dict[str, Sha256]


class Provenance(_Closed):
    """Where a ladder came from: enough to build it again and to see that an input changed."""

    recipe: dict[str, Any]
    base: Source
    experts: dict[TaskName, Source]
    libraries: dict[str, str]


class Score(_Closed):
    """How one task does on one rung; the intervals are 95 % bootstrap intervals.

    `data_sha256` is the hash of the rows file, so that a changed file is evaluated again. `right` tells row by row, in
    the file's order, which were predicted right (one bit each, base64), so that rungs can be compared in pairs. Of a
    token classification, words are what `rows` and `right` count; `macro_f1` is over entities where its labels tell
    where these begin.

    `metric` tells what `accuracy` is. Of questions it is the share answered exactly as SQuAD counts it, and `macro_f1`
    the mean over the rows. Of embeddings it is Spearman's rank correlation, and `pairs` has each row's cosine and the
    score that is right (float32, base64) in place of `right`.
    """

    rung: int
    task: TaskName
    rows: int
    data_sha256: Sha256
    metric: Literal["accuracy", "exact_match", "spearman"] = Field(default="accuracy", exclude_if=_plain)
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float | None = Field(default=None, exclude_if=_missing)
    macro_f1_interval: tuple[float, float] | None = Field(default=None, exclude_if=_missing)
    right: str
    pairs: str | None = Field(default=None, exclude_if=_missing, repr=False)

    @property
    def measured(self) -> str:
        """The metric as people call it."""
        return self.metric.replace("_", " ").replace("spearman", "Spearman")


class Tuned(_Closed):
    """A rung whose merged versions, as far as no larger rung's entry made them, a search with labelled rows has made.

    `parameters` describe how; `data` holds the hash of every task's rows. `untuned` and `tuned` are the means over the
    tasks, relative to the experts', on rows that the search never saw.
    """

    rung: int
    tuner: str
    parameters: dict[str, Any]
    seed: int
    data: dict[TaskName, Sha256]
    untuned: float
    tuned: float
    evaluations: int
    libraries: dict[str, str]


class Router(_Closed):
    """What finds the task of a text that names none, at `router.safetensors` (`ladder.router`); of a text's tokens it
    reads the first `max_length`.

    `accuracy` is the mean over `tasks` of the share of held-out rows that it gave to their own task, and `interval` its
    95 % bootstrap interval; by chance it would be one over the number of tasks. `data` holds the hash of every task's
    rows.
    """

    bytes: int
    tensors: tuple[TensorSpec, ...]
    sha256: Sha256
    max_length: int
    seed: int
    data: dict[TaskName, Sha256]
    accuracy: float
    interval: tuple[float, float]
    tasks: dict[TaskName, float]


class Manifest(_Closed):
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
    router: Router | None = Field(default=None, exclude_if=_missing)
    provenance: Provenance
    checksum: Sha256 | None = None
