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

NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC")  # labels of the task `names`
LONGEST = 40  # tokens


def build_mixed(root: Path) -> Ladder:
    """One task of each kind over one random base, whose tokenizer cuts words into pieces of a letter or three.

    `mood` is a classifier; the others are those of `experts_of`.
    """
    torch.set_num_threads(1)
    torch.manual_seed(1)
    tokenizer = word_pieces()
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": LONGEST,
    }
    base = BertModel(BertConfig(**shape))
    base.save_pretrained(root / "base")
    tokenizer.save_pretrained(root / "base")
    experts = {"mood": BertForSequenceClassification(BertConfig(**shape, num_labels=2)), **experts_of(shape)}
    write_experts(root, base, experts, tokenizer)
    entries = "".join(f"\n  {task}: {{model: {task}}}" for task in experts)
    (root / "recipe.yaml").write_text(f"base: base\ntasks:{entries}\nmethod: {{name: average}}\n")
    return build(load_recipe(root / "recipe.yaml"), root / "mixed", threads=1)


def experts_of(shape: dict[str, Any]) -> dict[str, PreTrainedModel]:
    """One model of each kind beside classification: `names` labels tokens, `find` answers questions, `sense` embeds."""
    named = {"id2label": dict(enumerate(NAMES)), "label2id": {label: i for i, label in enumerate(NAMES)}}
    return {
        "names": BertForTokenClassification(BertConfig(**shape, **named)),
        "find": BertForQuestionAnswering(BertConfig(**shape)),
        "sense": BertModel(BertConfig(**shape)),
    }


def write_experts(
    root: Path, base: BertModel, experts: dict[str, PreTrainedModel], tokenizer: PreTrainedTokenizerFast
) -> None:
    """Experts near `base`, a folder each; `sense` is of sentence-transformers (the mean of the tokens, normalised)."""
    for task, expert in experts.items():
        encoder = expert if isinstance(expert, BertModel) else expert.bert
        moved = {n: t + 0.2 * torch.randn(t.shape) for n, t in base.state_dict().items()}
        encoder.load_state_dict({name: moved[name] for name in encoder.state_dict()})
        for name, weight in expert.named_parameters():
            if name.startswith(("classifier", "qa_outputs")):
                torch.nn.init.normal_(weight, std=0.3)
        expert.save_pretrained(root / task)
        tokenizer.save_pretrained(root / task)
    types = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{name}"} for path, name in types.items()]
    (root / "sense" / "modules.json").write_text(json.dumps(modules))
    (root / "sense" / "1_Pooling").mkdir()
    pooling = {
        "word_embedding_dimension": base.config.hidden_size,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
    }
    (root / "sense" / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


def word_pieces() -> PreTrainedTokenizerFast:
    """Lower-cased words in pieces, longest first: a few of three letters, else single ones; digits are unknown."""
    letters = string.ascii_lowercase + ".,"
    pieces = [*letters, "ann", "lon", "the", *(f"##{piece}" for piece in (*letters, "don", "ing", "ton"))]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {piece: number for number, piece in enumerate(special + pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LONGEST,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
