"""A pico ladder of images built by merge_builder, image files as strangers send them, and the oracle for both.

The oracle is transformers' own model and own image processor, over what `merge_builder.export` makes of the rung.
"""

from collections.abc import AsyncIterator

import httpx
import pytest

from merge_builder.ladder import Ladder, rung_at
from serving.api.app import create_app
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

from ...images import Ask, build_ladder, picture, transformers_answers


@pytest.fixture(scope="session")
def image_ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    return build_ladder(tmp_path_factory.mktemp("images"))


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
    return transformers_answers(image_ladder, rung, tmp_path_factory.mktemp("exported"))


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
