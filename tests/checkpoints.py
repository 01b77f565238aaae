"""Pico models near a random base, saved as transformers saves them, with the recipe that makes a ladder of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel, PreTrainedTokenizerFast

WORDS = [f"w{number}" for number in range(95)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
Model = TypeVar("Model", bound=PreTrainedModel)


class Saved(Protocol):
    """A tokenizer or an image processor."""

    def save_pretrained(self, folder: Path) -> object: ...


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random weights that do not depend on what was drawn before, nor change what is drawn after."""
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def near(base: PreTrainedModel, expert: Model) -> Model:
    """`expert`, whose encoder becomes `base` and noise of deviation 0.2."""
    moved = {name: weight + 0.2 * torch.randn(weight.shape) for name, weight in base.state_dict().items()}
    encoder = expert.base_model
    encoder.load_state_dict({name: moved[name] for name in encoder.state_dict()})
    return expert


def classifier(base: PreTrainedModel, labels: Sequence[str]) -> BertForSequenceClassification:
    """An expert of the BERT `base`, with logits that differ by more than rounding."""
    own = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    expert = near(base, BertForSequenceClassification(BertConfig(**base.config.to_dict() | own)))
    torch.nn.init.normal_(expert.classifier.weight)
    return expert


def write_suite(
    root: Path,
    base: PreTrainedModel,
    experts: Mapping[str, PreTrainedModel],
    preprocessing: Mapping[str, Saved],
    method: str = "{name: average}",
) -> Path:
    """The path of `root/recipe.yaml`, with the `base` beside it and each expert in a folder of its task's name.

    `preprocessing` is what else is saved, by the folder.
    """
    base.save_pretrained(root / "base")
    for task, expert in experts.items():
        expert.save_pretrained(root / task)
    for folder, saved in preprocessing.items():
        saved.save_pretrained(root / folder)
    tasks = "".join(f"  {task}: {{model: {task}}}\n" for task in experts)
    recipe = root / "recipe.yaml"
    recipe.write_text(f"base: base\ntasks:\n{tasks}method: {method}\n")
    return recipe


def tokenizer(longest: int = 48) -> PreTrainedTokenizerFast:
    """One token a word, w0 to w94; a text has `longest` tokens at most."""
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(SPECIAL + WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return as_berts(words, longest)


def as_berts(tokens: Tokenizer, longest: int | None = None) -> PreTrainedTokenizerFast:
    """`tokens` with the names of BERT's special tokens and inputs; a text has `longest` tokens at most."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **({"model_max_length": longest} if longest else {}),
    )
