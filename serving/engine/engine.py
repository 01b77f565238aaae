"""The engine: one routed model that answers any mix of tasks in one packed batch, at the rung that is loaded.

ladder = open_ladder("ladder")
engine = load_engine(ladder, rung_at(ladder.manifest, 37))
ids = engine.tokenizer.encode(["a fine film"], None, max_length=engine.max_length("sst2"), truncate=True)[0]
output = engine.run([Encoded(ids.input_ids, ids.token_type_ids, ("sst2", "topic"))])
output.logits[0]["sst2"]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from merge_builder.errors import InputError
from merge_builder.ladder import Ladder, Rung
from serving.engine.allocator import keep_freed_memory, release_freed_memory
from serving.engine.forward import forward, to_device
from serving.engine.layout import StageLayout, lay_out
from serving.engine.plan import StagePlan, plan_batch
from serving.engine.reconstruct import Scratch, id_for, weights_in_use
from serving.engine.routed import Weights
from serving.engine.skeleton import Skeleton, build_skeleton
from serving.engine.tokenize import Tokenizer, load_tokenizer
from serving.engine.types import BatchOutput, Dtype, Encoded, Logits
from serving.engine.weights import Held, count_bytes, is_mapped, load_heads, load_versions


@dataclass(frozen=True)
class _Loaded:
    """All that changes with the rung, behind one reference."""

    rung: Rung
    layouts: tuple[StageLayout, ...]
    held: Held
    scratch: Scratch | None
    weights: Weights


@dataclass
class Engine:
    """A loaded ladder. `run` and `swap` may be called from different threads; a batch is computed by one rung alone."""

    ladder: Ladder
    tokenizer: Tokenizer
    device: str
    dtype: Dtype
    _skeleton: Skeleton
    _heads: Mapping[str, Mapping[str, Tensor]]
    _max_lengths: Mapping[str, int]
    _loaded: _Loaded
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
            "heads": count_bytes(self._heads.values()),
            "scratch": loaded.scratch.nbytes if loaded.scratch else 0,
        }

    @property
    def bytes_private(self) -> int:
        """Of `bytes_loaded`, what the system cannot reclaim: all that is not mapped from a file."""
        loaded = self._loaded
        tensors = [t for own in (*loaded.held.values(), *self._heads.values()) for t in own.values()]
        scratch = loaded.scratch.nbytes if loaded.scratch else 0
        return scratch + sum(
            tensor.nbytes for tensor in tensors if not (isinstance(tensor, Tensor) and is_mapped(tensor))
        )

    def max_length(self, task: str) -> int:
        """The most tokens of one input of the task, special tokens included.

        Raises:
            InputError: the ladder has no such task.
        """
        if task not in self._max_lengths:
            raise InputError(f"this ladder has no task {task!r}: it has {', '.join(self._max_lengths)}")
        return self._max_lengths[task]

    def check(self, item: Encoded) -> None:
        """Refuse an input that `run` could not compute.

        Raises:
            InputError: unknown or no tasks, no tokens, too many, or ids out of range.
        """
        ids, types = item.input_ids, item.token_type_ids
        if not ids or len(types) != len(ids):
            raise InputError(
                f"an input has {len(ids)} token ids and {len(types)} token type ids: give one of each a token"
            )
        if not item.tasks:
            raise InputError("an input names no task: name at least one")
        if len(ids) > (most := min(map(self.max_length, item.tasks))):
            raise InputError(f"an input has {len(ids)} tokens and at most {most} are taken: shorten it")
        for what, values, bound in (
            ("token id", ids, self._skeleton.vocabulary),
            ("token type id", types, self._skeleton.token_types),
        ):
            if min(values) < 0 or max(values) >= bound:
                raise InputError(f"an input has a {what} out of range: they run from 0 to {bound - 1}")

    def run(self, batch: Sequence[Encoded]) -> BatchOutput:
        """Compute every task asked of every input. Blocking; a second caller waits for the first.

        Raises:
            InputError: as in `check`.
        """
        for item in batch:
            self.check(item)
        if not batch:
            return BatchOutput((), self.rung, 0, 0)
        lengths = [len(item.input_ids) for item in batch]
        with self._running, torch.inference_mode():
            loaded = self._loaded
            plan = plan_batch(loaded.layouts, lengths, [item.tasks for item in batch])
            self._skeleton.route.weights = loaded.weights
            logits = self._answer(plan[-1], forward(self._skeleton, plan, batch, self.device), len(batch))
            seconds = loaded.scratch.take_seconds() if loaded.scratch else 0.0
        return BatchOutput(logits, loaded.rung, sum(lengths), sum(stage.tokens for stage in plan[1:-1]), seconds)

    def swap(self, rung: Rung) -> None:
        """Go to another rung of the same ladder: read the versions that differ, then change over between two batches.

        Raises:
            MergeLadderError: a stored file is missing or broken; the engine stays on its rung.
        """
        self._loaded = _load(self.ladder, self._skeleton, rung, self._loaded.held, self.device, self.dtype)
        release_freed_memory()

    def _answer(self, tail: StagePlan, features: Tensor, inputs: int) -> tuple[dict[str, Logits], ...]:
        """The heads, each on its own rows, brought to the host in one copy."""
        rows_of: dict[str, list[int]] = {}
        for number, row in enumerate(tail.rows):
            for task in row.tasks:
                rows_of.setdefault(task, []).append(number)
        scores = [
            self._skeleton.family.head(self._heads[task], features[to_device(features.device, np.array(rows))])
            for task, rows in rows_of.items()
        ]
        flat = torch.cat([score.flatten() for score in scores]).cpu()
        logits: tuple[dict[str, Logits], ...] = tuple({} for _ in range(inputs))
        for (task, rows), part in zip(
            rows_of.items(), torch.split(flat, [score.numel() for score in scores]), strict=True
        ):
            for number, values in zip(rows, part.view(len(rows), -1).numpy(), strict=True):
                logits[tail.rows[number].text][task] = values
        return logits


def load_engine(ladder: Ladder, rung: Rung, *, device: str = "cpu", dtype: Dtype = "float32") -> Engine:
    """Load a ladder at one of its rungs. On the CPU the weights are mapped from their files, shared between processes,
    and the process's allocator is set to keep what is freed (`serving.engine.allocator`).

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
    most = skeleton.max_positions
    engine = Engine(
        ladder=ladder,
        tokenizer=load_tokenizer(ladder.base_dir),
        device=device,
        dtype=dtype,
        _skeleton=skeleton,
        _heads=load_heads(ladder, skeleton.family.head_tensors, device),
        _max_lengths={task.name: min(task.max_length or most, most) for task in ladder.manifest.tasks},
        _loaded=_load(ladder, skeleton, rung, {}, device, dtype),
    )
    release_freed_memory()
    return engine


def _load(ladder: Ladder, skeleton: Skeleton, rung: Rung, have: Held, device: str, dtype: Dtype) -> _Loaded:
    held = load_versions(ladder, rung.stored(), have, device, skeleton.matrices if dtype == "int8" else ())
    made = [spec for b in ladder.manifest.blocks if b.name in rung.bases for spec in b.tensors]
    scratch = Scratch(made, skeleton.tables, device) if rung.bases else None
    ids = {block: {task: id_for(v, task) for task, v in tasks.items()} for block, tasks in rung.versions.items()}
    sizes = {block.name: block.bytes for block in ladder.manifest.blocks}
    return _Loaded(
        rung=rung,
        layouts=lay_out(skeleton.units, ids, sizes),
        held=held,
        scratch=scratch,
        weights=weights_in_use(rung, held, scratch),
    )
