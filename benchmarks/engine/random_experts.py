"""Stand-ins for fine-tuned experts where only speed matters: the base, moved at random, with a random head.

python benchmarks/engine/random_experts.py --out EXPERTS --tasks rt_polarity icd10

With `--bert-base FOLDER` a base of BERT-base's shape (109 M parameters) with random weights is written there first,
with the demo's tokenizer, and moved in place of the demo's.
"""

import argparse
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

from deploy.demo.base import base_model
from merge_builder.progress import silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--bert-base", type=Path)
    args = parser.parse_args()
    base = base_model(silent)
    if args.bert_base:
        if args.bert_base.exists():
            parser.error(f"{args.bert_base} is there already: name a new folder for the base")
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.save_pretrained(args.bert_base)
        BertModel(BertConfig(vocab_size=len(tokenizer))).save_pretrained(args.bert_base)
        base = args.bert_base
    weights = BertModel.from_pretrained(base).state_dict()
    common = {name: torch.randn(w.shape) for name, w in weights.items()}  # so that the tasks are somewhat alike
    for number, task in enumerate(args.tasks):
        torch.manual_seed(number)
        expert = BertForSequenceClassification(BertConfig.from_pretrained(base, num_labels=2 + number))
        expert.bert.load_state_dict(
            {name: w + 1e-3 * (torch.randn(w.shape) + common[name]) for name, w in weights.items()}
        )
        expert.save_pretrained(args.out / task)
        AutoTokenizer.from_pretrained(base).save_pretrained(args.out / task)


if __name__ == "__main__":
    main()
