"""The server that a team writes first: FastAPI, a transformers model a task, and a plain batcher a task.

    python plain.py EXPERTS PORT

Requests that arrive while the models are busy are answered in one padded batch a task, at most 32 of them.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from transformers import AutoModelForSequenceClassification, AutoTokenizer

MAX_BATCH = 32


class Model:
    """One task's model with a queue of its own."""

    def __init__(self, folder: Path, computing: asyncio.Lock) -> None:
        self.model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.labels = self.model.config.id2label
        self.queue: asyncio.Queue[tuple[str, asyncio.Future[dict[str, Any]]]] = asyncio.Queue()
        self.computing = computing

    async def ask(self, text: str) -> dict[str, Any]:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((text, answer))
        return await answer

    async def work(self) -> None:
        while True:
            first = await self.queue.get()
            async with self.computing:
                batch = [first]
                while len(batch) < MAX_BATCH and not self.queue.empty():
                    batch.append(self.queue.get_nowait())
                results = await asyncio.to_thread(self.compute, [text for text, _ in batch])
            for (_, answer), result in zip(batch, results, strict=True):
                answer.set_result(result)

    @torch.inference_mode()
    def compute(self, texts: list[str]) -> list[dict[str, Any]]:
        inputs = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        scores, best = self.model(**inputs).logits.softmax(-1).max(-1)
        return [
            {"label": self.labels[label], "score": score}
            for label, score in zip(best.tolist(), scores.tolist(), strict=True)
        ]


def create_app(experts: Path) -> FastAPI:
    app = FastAPI()
    computing = asyncio.Lock()
    models = {folder.name: Model(folder, computing) for folder in sorted(experts.iterdir()) if folder.is_dir()}
    workers: list[asyncio.Task[None]] = []

    @app.get("/ready")
    async def ready() -> bool:
        if not workers:
            workers.extend(asyncio.create_task(model.work()) for model in models.values())
        return True

    @app.post("/predict/{task}")
    async def predict(task: str, body: dict[str, str]) -> dict[str, Any]:
        return await models[task].ask(body["text"])

    return app


if __name__ == "__main__":
    torch.set_num_threads(1)
    uvicorn.run(create_app(Path(sys.argv[1])), port=int(sys.argv[2]), access_log=False, log_level="warning")
