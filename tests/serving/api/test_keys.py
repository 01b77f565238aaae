"""Bearer keys over the real application."""

import hashlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from merge_builder.errors import InputError
from serving.api.app import create_app
from serving.api.keys import hash_key, read_keys
from serving.service import Service

pytestmark = pytest.mark.anyio
ALICE, BOB, ADMIN = "alice-key-0123456789", "bob-key-0123456789", "admin-key-0123456789"


def write(path: Path, **keys: str) -> Path:
    lines = [f"{name}:{hashlib.sha256(key.encode()).hexdigest()}" for name, key in keys.items()]
    path.write_text("\n".join(["# who may ask", "", *lines]))
    return path


@pytest.fixture
async def client(service: Service, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    keys, admin = write(tmp_path / "keys", alice=ALICE, bob=BOB), write(tmp_path / "admin", root=ADMIN)
    transport = httpx.ASGITransport(create_app(service, keys=keys, admin_keys=admin))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def status(client: httpx.AsyncClient, key: str | None, path: str = "/v1/tasks") -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return (await client.get(path, headers=headers)).status_code


async def test_every_key_of_the_file_passes_and_nothing_else(client: httpx.AsyncClient) -> None:
    assert [await status(client, key) for key in (ALICE, BOB)] == [200, 200]
    assert [
        await status(client, key) for key in (None, "", ALICE[:-1], ADMIN, hashlib.sha256(ALICE.encode()).hexdigest())
    ] == [401] * 5
    assert (await client.get("/v1/tasks", headers={"Authorization": f"Basic {ALICE}"})).status_code == 401
    assert (await client.get("/v1/tasks", headers={b"Authorization": b"bearer \xff\xfe"})).status_code == 401


@pytest.mark.parametrize(
    "path", ["/v1/tasks", "/v1/ladder", "/v2", "/v2/models/ant", "/docs", "/openapi.json", "/nothing"]
)
async def test_all_routes_ask_for_a_key_but_health_and_metrics(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert [await status(client, None, open) for open in ("/v2/health/live", "/v2/health/ready", "/metrics")] == [
        200
    ] * 3


async def test_the_body_of_the_refusal(client: httpx.AsyncClient) -> None:
    v1, v2 = await client.get("/v1/tasks"), await client.get("/v2/models")

    assert v1.json()["error"]["type"] == "unauthorized"
    assert "Authorization: Bearer KEY" in v1.json()["error"]["message"]
    assert list(v2.json()) == ["error"]


async def test_admin_routes_have_keys_of_their_own(client: httpx.AsyncClient, service: Service, tmp_path: Path) -> None:
    assert [await status(client, key, "/admin/v1/budget") for key in (None, ALICE, ADMIN)] == [401, 401, 404]
    without = httpx.ASGITransport(create_app(service, keys=tmp_path / "keys"))
    async with httpx.AsyncClient(transport=without, base_url="http://test") as other:
        assert await status(other, ALICE, "/admin/v1/budget") == 401


async def test_the_file_is_read_again_when_it_changes(client: httpx.AsyncClient, tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    write(tmp_path / "keys", bob=BOB, carol="carol-key-0123456789")
    assert [await status(client, key) for key in (ALICE, BOB, "carol-key-0123456789")] == [401, 200, 200]
    (tmp_path / "keys").write_text("carol-key-0123456789")  # what somebody may write who takes it for a file of keys
    assert [await status(client, key) for key in (ALICE, BOB)] == [401, 200]
    (tmp_path / "keys").unlink()
    assert await status(client, BOB) == 200

    assert "the keys stay as they were" in caplog.text
    assert not any(key in caplog.text for key in (ALICE, BOB, "carol-key"))


def test_a_line_made_by_hash_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(hash_key("alice", ALICE))

    assert read_keys(tmp_path / "keys") == {"alice": hashlib.sha256(ALICE.encode()).hexdigest()}


@pytest.mark.parametrize(("name", "key"), [("alice", "short"), ("a:b", ALICE), ("", ALICE)])
def test_names_and_keys_that_will_not_do(name: str, key: str) -> None:
    with pytest.raises(InputError):
        hash_key(name, key)


@pytest.mark.parametrize("text", ["", "# nothing", ALICE, f"alice:{ALICE}", f"a:{'0' * 64}\na:{'1' * 64}"])
def test_files_that_will_not_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(InputError, match="hash-key") as refused:
        read_keys(tmp_path / "keys")
    assert ALICE not in str(refused.value)
