"""A recipe's inputs, opened and checked against each other: one base, M experts of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from merge_builder import vocabulary
from merge_builder.adapters import open_adapter
from merge_builder.blocks import Layout, Parts, layout_of, normalise, split_base, split_expert
from merge_builder.checkpoints import Checkpoint, StoredTensor, open_checkpoint
from merge_builder.checkpoints.dtypes import BY_COMMON_NAME
from merge_builder.checkpoints.folder import is_adapter
from merge_builder.checkpoints.hub import resolve
from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.errors import InputError
from merge_builder.image_processors import read_processor
from merge_builder.ladder.kinds import is_headed
from merge_builder.ladder.manifest import Embedding, ProcessorFile
from merge_builder.open_files import allow_many
from merge_builder.recipe import Recipe
from merge_builder.sentence_transformers import read_embedding

# What a tokenizer or an image processor is saved as; copied into the ladder byte for byte.
PREPROCESSING = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "chat_template.jinja",
    "preprocessor_config.json",
    "processor_config.json",
)


_MISSING = object()


@dataclass(frozen=True)
class ExpertInput:
    """One task's expert: its checkpoint, its tensors by block, and how it pools where its folder tells that.

    `preprocessing` holds the files of its image processor, where they are others than those of `Inputs.preprocessing`.
    """

    task: str
    checkpoint: Checkpoint
    parts: Parts
    embedding: Embedding | None = None
    preprocessing: Mapping[ProcessorFile, dict[str, Any]] | None = None


@dataclass(frozen=True)
class Inputs:
    """Everything a build reads; `dtype` is what the recipe wants merged versions stored in, None as they come."""

    layout: Layout
    base: Checkpoint
    base_parts: Parts
    experts: tuple[ExpertInput, ...]
    dtype: str | None = None

    @property
    def files(self) -> list[TensorFile]:
        """Every file of weights."""
        return [file for one in (self.base, *(expert.checkpoint for expert in self.experts)) for file in one.files]

    def tensors(self, block: str) -> tuple[list[StoredTensor], list[list[StoredTensor]]]:
        """The block's tensors in the base, and for each expert the same tensors in the same order."""
        names = list(self.base_parts.blocks[block])
        base = [self.base_parts.blocks[block][name] for name in names]
        return base, [[expert.parts.blocks[block][name] for name in names] for expert in self.experts]

    def stages(self) -> list[int]:
        """For each block the number of its stage in the forward pass: the embeddings, each layer and so on."""
        layers = [self._layer_of(next(iter(tensors))) for tensors in self.base_parts.blocks.values()]
        numbers = {layer: number for number, layer in enumerate(dict.fromkeys(layers))}
        return [numbers[layer] for layer in layers]

    def _layer_of(self, tensor: str) -> str:
        found = self.layout.block_of(tensor, "layer")
        assert found is not None, "every tensor of a block has matched a rule"
        return found[1]

    def preprocessing(self) -> list[Path]:
        """The tokenizer or image-processor files: the base's, or the first expert's where the base has none. Where
        experts added tokens to its vocabulary, those of the one that knows most."""
        checkpoints = (self.base, *(expert.checkpoint for expert in self.experts))
        for checkpoint in sorted(checkpoints, key=lambda c: -self._known_tokens(c)):
            found = [checkpoint.path / name for name in PREPROCESSING if (checkpoint.path / name).is_file()]
            if found:
                return found
        return []

    def base_config(self) -> bytes:
        """The base's config.json: byte for byte, unless its vocabulary was padded."""
        stored = (self.base.path / "config.json").read_bytes()
        config = dict(self.base.config)
        return stored if json.loads(stored) == config else (json.dumps(config, indent=2) + "\n").encode()

    def _known_tokens(self, checkpoint: Checkpoint) -> int:
        if not (own := vocabulary.vocabulary_of(self.base.path)):
            return 0
        return len(vocabulary.vocabulary_of(checkpoint.path) or own)


@contextmanager
def open_inputs(recipe: Recipe) -> Iterator[Inputs]:
    """Open what `recipe` names; every file is closed at the end of the `with`.

    Raises:
        InputError: anything unreadable, of another family, base or shape; the message names it.
    """
    allow_many()
    with ExitStack() as stack:
        base = stack.enter_context(open_checkpoint(resolve(recipe.base, recipe.folder)))
        layout = layout_of(base.config, base.path)
        base = normalise(base, layout)
        checkpoints = {}
        for task, expert in recipe.tasks.items():
            with _naming(task):
                checkpoint = stack.enter_context(_open_expert(resolve(expert.model, recipe.folder), base, layout))
                _check_same_model(base, checkpoint, layout)
                checkpoints[task] = normalise(checkpoint, layout)
        if recipe.vocabulary == "pad":
            base, checkpoints = vocabulary.pad(base, checkpoints, layout)
        base_parts = split_base(base, layout, recipe.blocks, list(checkpoints.values()))
        experts = []
        for task, checkpoint in checkpoints.items():
            with _naming(task):
                parts = split_expert(checkpoint, layout, recipe.blocks, base_parts)
                if recipe.vocabulary == "same":
                    vocabulary.check_same(base, checkpoint)
                experts.append(_with_embedding(ExpertInput(task, checkpoint, parts)))
        dtype = None if recipe.dtype is None else BY_COMMON_NAME[recipe.dtype]
        inputs = Inputs(layout, base, base_parts, tuple(experts), dtype)
        yield replace(inputs, experts=_with_preprocessing(inputs))


@contextmanager
def _naming(task: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"task {task!r}: {error}") from error


def _open_expert(path: Path, base: Checkpoint, layout: Layout) -> Checkpoint:
    return open_adapter(path, base, layout) if is_adapter(path) else open_checkpoint(path)


def _with_embedding(expert: ExpertInput) -> ExpertInput:
    """The expert with what its folder tells of sentence-transformers, unless it has a head that answers otherwise."""
    checkpoint = expert.checkpoint
    if is_headed(checkpoint.config):
        return expert
    embedding, files = read_embedding(checkpoint.path)
    checkpoint = replace(checkpoint, described_by=(*checkpoint.described_by, *files))
    return replace(expert, checkpoint=checkpoint, embedding=embedding)


def _with_preprocessing(inputs: Inputs) -> tuple[ExpertInput, ...]:
    """The experts, each with its own image processor where it is not the one that all share."""
    folders = {file.parent for file in inputs.preprocessing()}
    shared = [read_processor(folder) for folder in folders]
    experts = []
    for expert in inputs.experts:
        checkpoint = expert.checkpoint
        with _naming(expert.task):
            own = read_processor(checkpoint.path)
        if own and own not in shared:
            checkpoint = replace(checkpoint, described_by=(*checkpoint.described_by, *own))
            expert = replace(expert, checkpoint=checkpoint, preprocessing=own)
        experts.append(expert)
    return tuple(experts)


def _check_same_model(base: Checkpoint, expert: Checkpoint, layout: Layout) -> None:
    ours, theirs = base.config.get("model_type"), expert.config.get("model_type")
    if theirs != ours and not (layout.part and theirs in layout.model_types):
        raise InputError(
            f"{expert.path} is a {theirs!r} model, but the base is {ours!r}: an expert must be its fine-tune"
        )
    for key in layout.same:
        # A key that one config leaves out has the family's default there, which this cannot know.
        value, theirs = (layout.keys(one.config).get(key, _MISSING) for one in (base, expert))
        if _MISSING not in (value, theirs) and value != theirs:
            raise InputError(
                f"{expert.path}: {key} is {theirs!r}, but {value!r} in the base: is it a fine-tune of this base?"
            )
