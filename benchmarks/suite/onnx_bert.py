"""Read a BERT encoder out of an ONNX file as a transformers folder.

    pip install onnx
    python benchmarks/suite/onnx_bert.py model.onnx --like BASE --out FOLDER

The exporter keeps the names of biases but stores weights transposed under names of its own (`onnx::MatMul_470`); a
weight is known by the named bias that is added to its product. Configuration and tokenizer come from `--like`, a BERT
of the same vocabulary, width and heads. No pooler is written where the ONNX file has none.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import save_file

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="the ONNX file")
    parser.add_argument("--like", type=Path, required=True, help="transformers folder of a BERT of the same kind")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    args = parser.parse_args()
    weights = bert_weights(onnx.load(args.model).graph)
    args.out.mkdir(parents=True)
    save_file(weights, args.out / "model.safetensors", metadata={"format": "pt"})
    layers = len({name.split(".")[2] for name in weights if name.startswith("encoder.layer.")})
    config = json.loads((args.like / "config.json").read_text()) | {"num_hidden_layers": layers}
    (args.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in TOKENIZER_FILES:
        shutil.copyfile(args.like / name, args.out / name)
    print(f"{args.out}: {layers} layers, {sum(weight.size for weight in weights.values()):,} parameters")


def bert_weights(graph: onnx.GraphProto) -> dict[str, NDArray[np.float32]]:
    """The graph's weights under the names of transformers' `BertModel`."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    named = {name: value for name, value in stored.items() if ".auto_model." in name}
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    weights = {_short(name): value for name, value in named.items()}
    for node in graph.node:
        biases = [name for name in node.input if name in named and name.endswith(".bias")]
        factors = [products[name] for name in node.input if name in products]
        if node.op_type == "Add" and biases and factors:
            weights[_short(biases[0]).removesuffix("bias") + "weight"] = stored[factors[0]].T
    return {name: np.ascontiguousarray(value) for name, value in weights.items()}


def _short(name: str) -> str:
    return name.split(".auto_model.", 1)[1]


if __name__ == "__main__":
    main()
