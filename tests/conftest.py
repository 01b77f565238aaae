"""Pico checkpoints on disk for tests of the whole product, made by transformers itself."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from merge_builder.ladder import Ladder

from .kinds import build_mixed

# A busy machine makes any example slow now and then; that is no fault of what is tested.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

WORDS = [f"w{number}" for number in range(95)]
LABELS = {"mood": ("bad", "good"), "topic": ("art", "law", "sea"), "intent": ("ask", "buy", "call", "drop")}
LONGEST = 48  # tokens


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of three tasks over one random BERT (2 layers of 32), with its checkpoints beside it."""
    root = tmp_path_factory.mktemp("checkpoints")
    shape = {
        "vocab_size": 100,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": LONGEST,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        base = BertModel(BertConfig(**shape))
        base.save_pretrained(root / "base")
        tokenizer().save_pretrained(root / "base")
        for task, labels in LABELS.items():
            expert = BertForSequenceClassification(BertConfig(**shape, id2label=dict(enumerate(labels))))
            moved = {name: value + 0.2 * torch.randn(value.shape) for name, value in base.state_dict().items()}
            expert.bert.load_state_dict(moved)
            torch.nn.init.normal_(expert.classifier.weight)  # logits that differ by more than rounding
            expert.save_pretrained(root / task)
            tokenizer().save_pretrained(root / task)
    tasks = "".join(f"  {task}: {{model: {task}}}\n" for task in LABELS)
    recipe = root / "recipe.yaml"
    recipe.write_text(f"base: base\ntasks:\n{tasks}method: {{name: task_arithmetic, scale: 0.4}}\n")
    return recipe


@pytest.fixture(scope="session")
def mixed_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """One task of each kind: `mood`, `names`, `find` and `sense`, as tests/kinds.py tells."""
    with torch.random.fork_rng(devices=[]):
        return build_mixed(tmp_path_factory.mktemp("mixed"))


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word: w0 to w94."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(special + WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        model_max_length=LONGEST,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
