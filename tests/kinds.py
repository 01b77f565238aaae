"""A pico ladder of one task of each kind, and experts of the kinds beside classification."""

import json
import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from merge_builder.build import build
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe

from .checkpoints import SPECIAL, as_berts, near, seeded, write_suite

NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC")  # labels of the task `names`
LONGEST = 40  # tokens


def build_mixed(root: Path) -> Ladder:
    """One task of each kind over one random base, whose tokenizer cuts words into pieces of a letter or three.

    `mood` is a classifier, `names` labels tokens, `find` answers questions, and `sense` embeds: it is of
    sentence-transformers (the mean of the tokens, normalised).
    """
    tokenizer = word_pieces()
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": LONGEST,
    }
    with seeded(1):
        base = BertModel(BertConfig(**shape))
        experts = {task: _moved(base, expert) for task, expert in _experts(shape).items()}
    recipe = write_suite(root, base, experts, dict.fromkeys(["base", *experts], tokenizer))
    _tell_pooling(root / "sense", base.config.hidden_size)
    return build(load_recipe(recipe), root / "mixed", threads=1)


def _experts(shape: dict[str, Any]) -> dict[str, PreTrainedModel]:
    named = {"id2label": dict(enumerate(NAMES)), "label2id": {label: i for i, label in enumerate(NAMES)}}
    return {
        "mood": BertForSequenceClassification(BertConfig(**shape, num_labels=2)),
        "names": BertForTokenClassification(BertConfig(**shape, **named)),
        "find": BertForQuestionAnswering(BertConfig(**shape)),
        "sense": BertModel(BertConfig(**shape)),
    }


def _moved(base: BertModel, expert: PreTrainedModel) -> PreTrainedModel:
    """The expert near `base`, with a random head."""
    near(base, expert)
    for name, weight in expert.named_parameters():
        if name.startswith(("classifier", "qa_outputs")):
            torch.nn.init.normal_(weight, std=0.3)
    return expert


def _tell_pooling(folder: Path, width: int) -> None:
    types = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{name}"} for path, name in types.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": width, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


def word_pieces() -> PreTrainedTokenizerFast:
    """Lower-cased words in pieces, longest first: a few of three letters, else single ones; digits are unknown."""
    letters = string.ascii_lowercase + ".,"
    pieces = [*letters, "ann", "lon", "the", *(f"##{piece}" for piece in (*letters, "don", "ing", "ton"))]
    vocabulary = {piece: number for number, piece in enumerate(SPECIAL + pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return as_berts(tokenizer, LONGEST)
