"""The engine: one routed model that answers any mix of tasks in one packed batch, at the rung that is loaded.

ladder = open_ladder("ladder")
engine = load_engine(ladder, rung_at(ladder.manifest, 37))
ids = engine.tokenizer.encode(["a fine film"], None, max_length=engine.max_length("sst2"), truncate=True)[0]
output = engine.run([Encoded(ids.input_ids, ids.token_type_ids, ("sst2", "topic"))])
output.logits[0]["sst2"]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Literal

import torch
from torch import Tensor

from merge_builder.errors import InputError
from merge_builder.ladder import Ladder, Rung
from serving.engine.allocator import FreedMemory, keep_freed_memory
from serving.engine.answer import TaskHead, answer
from serving.engine.check import check_input, count_tokens
from serving.engine.forward import forward
from serving.engine.loaded import Loaded, load_rung
from serving.engine.reconstruct import weights_in_use
from serving.engine.skeleton import Skeleton, build_skeleton
from serving.engine.tokenize import Tokenizer, load_tokenizer
from serving.engine.types import BatchOutput, Dtype, Input
from serving.engine.weights import Held, count_bytes, is_mapped, load_heads


@dataclass
class Engine:
    """A loaded ladder. `run` and `swap` may be called from different threads; a batch is computed by one rung alone."""

    ladder: Ladder
    device: str
    dtype: Dtype
    _tokenizer: Tokenizer | None
    _skeleton: Skeleton
    _heads: Mapping[str, TaskHead]
    _whole: frozenset[str]  # the tasks of which all tokens leave the last layer
    _max_lengths: Mapping[str, int]
    _loaded: Loaded
    _freed: FreedMemory = field(default_factory=FreedMemory)
    _running: Lock = field(default_factory=Lock)

    @property
    def rung(self) -> Rung:
        """The rung that the next batch will be computed by."""
        return self._loaded.rung

    @property
    def bytes_loaded(self) -> dict[str, int]:
        """Bytes of the tensors held: `blocks`, `heads`, and `scratch`, where weights of masked versions are made.

        16-bit weights are held, and counted, as float32; what masked versions are made of is held as it is stored. With
        `dtype` int8 the matrices of linear layers count a byte a weight and what goes with it.
        """
        loaded = self._loaded
        return {
            "blocks": count_bytes(loaded.held.values()),
            "heads": count_bytes(own.tensors for own in self._heads.values()),
            "scratch": loaded.scratch.nbytes if loaded.scratch else 0,
        }

    @property
    def bytes_by_version(self) -> dict[tuple[str, str], int]:
        """The `blocks` of `bytes_loaded` one by one: of each version held, by (block, version id)."""
        return {at: count_bytes([own]) for at, own in self._loaded.held.items()}

    @property
    def bytes_private(self) -> int:
        """Of `bytes_loaded`, what the system cannot reclaim: all that is not mapped from a file."""
        loaded = self._loaded
        tensors = [
            t for own in (*loaded.held.values(), *(h.tensors for h in self._heads.values())) for t in own.values()
        ]
        scratch = loaded.scratch.nbytes if loaded.scratch else 0
        return scratch + sum(
            tensor.nbytes for tensor in tensors if not (isinstance(tensor, Tensor) and is_mapped(tensor))
        )

    @property
    def modality(self) -> Literal["text", "image"]:
        """What the inputs are: `Encoded` texts or `Image`s."""
        return self._skeleton.family.modality

    @property
    def tokenizer(self) -> Tokenizer:
        """The base's tokenizer.

        Raises:
            InputError: the ladder is of images.
        """
        if self._tokenizer is None:
            raise InputError("this ladder is of images, and an input is a text")
        return self._tokenizer

    def image_tokens(self, height: int, width: int) -> int:
        """The tokens of an image of so many pixels.

        Raises:
            InputError: the ladder is of texts, or images of this size cannot be computed.
        """
        return count_tokens(self._skeleton, height, width)

    def max_length(self, task: str) -> int:
        """The most tokens of one input of the task, special tokens included.

        Raises:
            InputError: the ladder has no such task.
        """
        if task not in self._max_lengths:
            raise InputError(f"this ladder has no task {task!r}: it has {', '.join(self._max_lengths)}")
        return self._max_lengths[task]

    def check(self, item: Input) -> None:
        """Refuse an input that `run` could not compute.

        Raises:
            InputError: unknown or no tasks, or as `serving.engine.check.check_input`.
        """
        if not item.tasks:
            raise InputError("an input names no task: name at least one")
        check_input(item, min(map(self.max_length, item.tasks)), self._skeleton)

    def run(self, batch: Sequence[Input]) -> BatchOutput:
        """Compute every task asked of every input. Blocking; a second caller waits for the first.

        Raises:
            InputError: as in `check`.
        """
        for item in batch:
            self.check(item)
        if not batch:
            return BatchOutput((), self.rung, 0, 0)
        with self._running, torch.inference_mode():
            loaded = self._loaded
            plan = loaded.plan(batch, self._whole)
            self._skeleton.route.weights = loaded.weights
            left = forward(self._skeleton, plan, batch, self.device)
            logits = answer(self._skeleton, self._heads, loaded.layouts[-1], plan[-1], left, len(batch))
            seconds = loaded.scratch.take_seconds() if loaded.scratch else 0.0
        self._freed.bound()
        tokens = sum(item.length for item in batch)
        return BatchOutput(logits, loaded.rung, tokens, sum(stage.tokens for stage in plan[1:-1]), seconds)

    def swap(self, rung: Rung) -> None:
        """Go to another rung of the same ladder: read the versions that differ, then change over between two batches.

        Raises:
            MergeLadderError: a stored file is missing or broken; the engine stays on its rung.
        """
        self._loaded = load_rung(self.ladder, self._skeleton, rung, self._loaded.held, self.device, self.dtype)
        self._freed.release()

    def substitute(self, versions: Held) -> None:
        """Compute the next batches with `versions`, by (block, version id), in place of those stored; plain float32.

        Only what is given is touched, so weights can be tried out without loading anything. The next call replaces what
        this one gave, and a change of rung goes back to what is stored.
        """
        loaded = self._loaded
        weights = weights_in_use(loaded.rung, {**loaded.held, **versions}, loaded.scratch)
        self._loaded = replace(loaded, weights=weights)


def load_engine(ladder: Ladder, rung: Rung, *, device: str = "cpu", dtype: Dtype = "float32") -> Engine:
    """Load a ladder at one of its rungs. On the CPU the weights are mapped from their files, shared between processes,
    and the process's allocator is set to keep what is freed, within bounds (`serving.engine.allocator`).

    With `dtype` int8, which needs the CPU, the matrices of linear layers are held in 8 bits, in memory of this process
    alone: less of it and less to compute, at some cost in accuracy. Embeddings and masked versions stay as they are.

    Raises:
        InputError: int8 on another device than the CPU; the base's family or a task's kind of head is not supported, or
            its files do not fit the ladder.
        MergeLadderError: a stored file is missing or broken.
    """
    if dtype == "int8" and device != "cpu":
        raise InputError(f"int8 computes on the CPU alone, not on {device}: leave it out there")
    if device == "cpu":
        keep_freed_memory()
    skeleton = build_skeleton(ladder, device)
    most = skeleton.max_tokens
    heads = load_heads(ladder, skeleton.family, device)
    return Engine(
        ladder=ladder,
        _tokenizer=load_tokenizer(ladder.base_dir) if skeleton.family.modality == "text" else None,
        device=device,
        dtype=dtype,
        _skeleton=skeleton,
        _heads=heads,
        _whole=frozenset(task for task, own in heads.items() if own.head.whole),
        _max_lengths={task.name: min(task.max_length or most, most) for task in ladder.manifest.tasks},
        _loaded=load_rung(ladder, skeleton, rung, {}, device, dtype),
    )
