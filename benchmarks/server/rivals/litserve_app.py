"""LitServe with a transformers model a task, batched by LitServe and computed task by task.

python litserve_app.py EXPERTS PORT
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import litserve
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

EXPERTS = Path(sys.argv[1])


class Api(litserve.LitAPI):
    """All tasks behind one route; a batch may mix them."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe passes it by name
        torch.set_num_threads(1)
        folders = [folder for folder in sorted(EXPERTS.iterdir()) if folder.is_dir()]
        self.models = {f.name: AutoModelForSequenceClassification.from_pretrained(f).eval() for f in folders}
        self.tokenizer = AutoTokenizer.from_pretrained(folders[0])

    def decode_request(self, request: dict[str, str]) -> tuple[str, str]:
        return request["task"], request["text"]

    def batch(self, inputs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return inputs

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    @torch.inference_mode()
    def predict(self, inputs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        places = defaultdict(list)
        for place, (task, _) in enumerate(inputs):
            places[task].append(place)
        answers: list[dict[str, Any]] = [{}] * len(inputs)
        for task, own in places.items():
            model, texts = self.models[task], [inputs[place][1] for place in own]
            tokens = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            scores, best = model(**tokens).logits.softmax(-1).max(-1)
            for place, label, score in zip(own, best.tolist(), scores.tolist(), strict=True):
                answers[place] = {"label": model.config.id2label[label], "score": score}
        return answers

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Api(max_batch_size=32, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1)
    server.run(port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
