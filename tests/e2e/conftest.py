"""`mergeladder serve` as a subprocess, with the real Ray Serve, and transformers as the oracle of its answers."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Timer

import httpx
import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from merge_builder.build import build
from merge_builder.export import export
from merge_builder.ladder import Ladder
from merge_builder.recipe import load_recipe

START_AT_MOST = 240  # seconds: on a busy machine Ray takes minutes
DRAIN_AT_MOST = 60  # seconds
Text = tuple[str, str | None]  # a text and the one it is paired with


@dataclass(frozen=True)
class Served:
    port: int
    process: subprocess.Popen[str]
    client: httpx.Client

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> tuple[int, str]:
        """The exit code and what was printed since the server was ready."""
        out, err = self.process.communicate(timeout=DRAIN_AT_MOST)
        return self.process.returncode, out + err


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    """`mergeladder serve` with `arguments` in `folder` on a free port, from ready to stopped."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("mergeladder")), "serve", *arguments, "--port", str(port)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_until_ready(process, port)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                yield Served(port, process, client)
        finally:
            process.terminate()
            process.wait(DRAIN_AT_MOST)


def _wait_until_ready(process: subprocess.Popen[str], port: int) -> None:
    """Reads what the server says up to the line that names its address to a person; fails with all it said instead."""
    assert process.stderr is not None
    printed = []
    too_late = Timer(START_AT_MOST, process.terminate)  # ends the loop below
    too_late.start()
    try:
        for line in process.stderr:
            printed.append(line)
            if line.startswith(f"open http://127.0.0.1:{port}"):
                return
    finally:
        too_late.cancel()
    pytest.fail(f"the server did not start: {''.join(printed)}")


@pytest.fixture(scope="session")
def ladder(recipe_file: Path) -> Ladder:
    return build(load_recipe(recipe_file), recipe_file.parent / "served", threads=1)


@pytest.fixture(scope="session")
def expected_logits(
    ladder: Ladder, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int, str, Sequence[Text]], np.ndarray]:
    """`expected_logits(rung index, task, texts)` by transformers' own model from the exported checkpoint."""
    torch.set_num_threads(1)

    @cache
    def load(rung: int, task: str) -> tuple[BertForSequenceClassification, AutoTokenizer]:
        folder = tmp_path_factory.mktemp("exported") / task
        export(ladder, task, ladder.manifest.rungs[rung], folder)
        return BertForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)

    def logits(rung: int, task: str, texts: Sequence[Text]) -> np.ndarray:
        model, tokenizer = load(rung, task)
        with torch.inference_mode():
            rows = [
                model(**tokenizer(text, pair, truncation=True, return_tensors="pt")).logits[0].numpy()
                for text, pair in texts
            ]
        return np.stack(rows)

    return logits


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., object]:
    """`serve(argument, ...)`: a context with the `Served`, started in a folder that has packages of our names."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("deploy", "serving", "merge_builder"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise ImportError('this is the user's own package')")
    return partial(serving, folder)
