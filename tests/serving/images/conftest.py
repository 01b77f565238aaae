"""A pico ladder of images built by merge_builder, image files as strangers send them, and the oracle for both.

The oracle is transformers' own model and own image processor, over what `merge_builder.export` makes of the rung.
"""

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import (
    AutoImageProcessor,
    BitImageProcessorPil,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
)

from merge_builder.build import build
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import load_recipe
from serving.api.app import create_app
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

LABELS = {"hue": ("red", "green", "blue"), "shape": ("round", "square"), "size": ("s", "m", "l", "xl")}
SIDE, TOKENS = 20, 1 + 5 * 5  # of an image as the model sees it: pixels; the class token and patches of 4 x 4
Ask = Callable[[str, bytes], NDArray[np.float32]]


@pytest.fixture(scope="session")
def image_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """Three tasks of one random DINOv2, whose processor resizes, crops and normalises."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("images")
    config = Dinov2Config(
        hidden_size=24, num_attention_heads=3, mlp_ratio=2, num_hidden_layers=2, image_size=SIDE, patch_size=4
    )
    base = Dinov2Model(config)
    base.save_pretrained(root / "base")
    crop = {"height": SIDE, "width": SIDE}
    BitImageProcessorPil(size={"shortest_edge": 24}, crop_size=crop).save_pretrained(root / "base")
    for task, labels in LABELS.items():
        expert = Dinov2ForImageClassification(
            Dinov2Config(**config.to_dict() | {"id2label": dict(enumerate(labels))}, num_labels=len(labels))
        )
        expert.dinov2.load_state_dict({n: t + 0.2 * torch.randn(t.shape) for n, t in base.state_dict().items()})
        torch.nn.init.normal_(expert.classifier.weight)
        expert.save_pretrained(root / task)
    tasks = "".join(f"\n  {task}: {{model: {task}}}" for task in LABELS)
    (root / "recipe.yaml").write_text(f"base: base\ntasks:{tasks}\nmethod: {{name: average}}\n")
    return build(load_recipe(root / "recipe.yaml"), root / "sights", threads=1)


@pytest.fixture(scope="session")
def rung(image_ladder: Ladder) -> int:
    """A rung where some blocks are shared and some are not."""
    return len(image_ladder.manifest.rungs) // 2


@pytest.fixture
def engine(image_ladder: Ladder, rung: int) -> Engine:
    return load_engine(image_ladder, rung_at(image_ladder.manifest, rung))


@pytest.fixture
async def service(engine: Engine) -> AsyncIterator[Service]:
    service = Service(engine, Choice(None, "asked for"))
    await service.start()
    yield service
    await service.aclose()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the application in this process."""
    transport = httpx.ASGITransport(create_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture(scope="session")
def expected(image_ladder: Ladder, rung: int, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """`expected(task, file)`: the logits, float32 of shape (labels,), that transformers computes."""
    root = tmp_path_factory.mktemp("exported")
    for task in LABELS:
        export(image_ladder, task, image_ladder.manifest.rungs[rung], root / task)
    processors = {task: AutoImageProcessor.from_pretrained(root / task, backend="pil") for task in LABELS}
    models = {task: Dinov2ForImageClassification.from_pretrained(root / task).eval() for task in LABELS}

    def ask(task: str, file: bytes) -> NDArray[np.float32]:
        pixels = processors[task](images=Image.open(io.BytesIO(file)), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            logits: NDArray[np.float32] = models[task](pixels).logits[0].numpy()
        return logits

    return ask


def picture(seed: int, format: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    """A file of coloured patches, wide and high as `size` tells."""
    cells = np.random.default_rng(seed).integers(0, 256, (4, 5, 4), np.uint8)
    file = io.BytesIO()
    Image.fromarray(cells).convert(mode).resize(size, Image.Resampling.NEAREST).save(file, format)
    return file.getvalue()


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    """Image files of every format and of several kinds and sizes."""
    return {
        "png": picture(1),
        "tall jpeg": picture(2, "JPEG", size=(33, 90)),
        "grey jpeg": picture(3, "JPEG", "L"),
        "cmyk jpeg": picture(4, "JPEG", "CMYK"),
        "png with alpha": picture(5, "PNG", "RGBA"),
        "webp": picture(6, "WEBP"),
        "gif": picture(7, "GIF", "P"),
        "tiny bmp": picture(8, "BMP", size=(3, 2)),
    }


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, bytes]) -> Path:
    """A folder that holds them."""
    for name, file in files.items():
        (tmp_path / name).write_bytes(file)
    return tmp_path
