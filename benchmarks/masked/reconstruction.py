"""What masks cost at serving: the engine's time a batch with EMR and with one shared model, and what reconstruction is.

    python benchmarks/masked/reconstruction.py --threads 1

Experts are random fine-tunes of a random BERT of the shape asked for, so the figures are about speed and memory alone.
Prints medians, one line for each batch.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from merge_builder.build import build
from merge_builder.ladder import Ladder, format_bytes, rung_at
from merge_builder.recipe import load_recipe
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Encoded

SHAPES = {
    "minilm-l6": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "bert-base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
}


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(dir=args.scratch) as name:
        folder = Path(name)
        tasks = [f"task{number}" for number in range(args.tasks)]
        _write_models(folder, tasks, SHAPES[args.shape])
        engines = {}
        for method in ("task_arithmetic", "emr"):
            ladder = _build(folder, tasks, method)
            engines[method] = load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.trace)))
            held = {what: format_bytes(count) for what, count in engines[method].bytes_loaded.items()}
            print(f"{method}: {engines[method].rung.size.ratio:.3f}x, holds {held}")
        for name, batch in _batches(tasks, args.tokens):
            _compare(name, batch, engines, args.repeats)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="minilm-l6")
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64, help="of each text")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--scratch", type=Path, help="where the models and ladders are written for the time being")
    return parser.parse_args()


def _write_models(folder: Path, tasks: Sequence[str], shape: dict[str, int]) -> None:
    config = BertConfig(**shape)
    base = BertModel(config)
    base.save_pretrained(folder / "base")
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(folder / "base")
    expert = BertForSequenceClassification(config)
    for task in tasks:
        expert.bert.load_state_dict({name: w + 1e-3 * torch.randn(w.shape) for name, w in base.state_dict().items()})
        expert.save_pretrained(folder / task)


def _build(folder: Path, tasks: Sequence[str], method: str) -> Ladder:
    listed = ", ".join(f"{task}: {{model: {task}}}" for task in tasks)
    recipe = folder / "recipe.yaml"
    recipe.write_text(f"base: base\nmethod: {{name: {method}}}\ntasks: {{{listed}}}")
    return build(load_recipe(recipe), folder / method)


def _batches(tasks: Sequence[str], tokens: int) -> Iterator[tuple[str, list[Encoded]]]:
    def text(*asked: str) -> Encoded:
        return Encoded(tuple(range(tokens)), (0,) * tokens, asked)

    yield "one text, one task", [text(tasks[0])]
    yield "one text, all tasks", [text(*tasks)]
    yield "32 texts, one task", [text(tasks[0])] * 32
    yield "32 texts, all tasks mixed", [text(tasks[number % len(tasks)]) for number in range(32)]


def _compare(name: str, batch: list[Encoded], engines: dict[str, Engine], repeats: int) -> None:
    seconds: dict[str, list[float]] = {method: [] for method in engines}
    reconstruct = []
    for _ in range(repeats):
        for method, engine in engines.items():
            begin = time.perf_counter()
            output = engine.run(batch)
            seconds[method].append(time.perf_counter() - begin)
            if method == "emr":
                reconstruct.append(output.reconstruct_s)
    plain, masked = (1000 * statistics.median(values) for values in seconds.values())
    made = 1000 * statistics.median(reconstruct)
    print(f"{name:<26} plain {plain:7.1f} ms   masked {masked:7.1f} ms, of which reconstruction {made:6.1f} ms")


if __name__ == "__main__":
    main()
