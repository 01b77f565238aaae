"""The page at `/`: what it is told of the ladder, and what it lets the browser do."""

import httpx
import pytest

from merge_builder.ladder import Ladder, rung_at
from serving.api.page import policy, render, sharing


def test_sharing_is_what_the_rungs_say(pico_ladder: Ladder) -> None:
    manifest = pico_ladder.manifest
    told = sharing(manifest)
    counts = [len(manifest.tasks)] * len(manifest.blocks)

    assert told["blocks"] == [block.name for block in manifest.blocks]
    assert len(told["merges"]) == len(manifest.rungs) - 1
    for index, (block, left) in enumerate(told["merges"], start=1):
        counts[block] = left
        pointers = rung_at(manifest, index).versions.values()
        assert counts == [len({version.id for version in own.values()}) for own in pointers]
    assert set(counts) == {1}


def test_a_merge_without_a_stored_version_leaves_the_versions_as_they_were(pico_ladder: Ladder) -> None:
    manifest, last = pico_ladder.manifest, pico_ladder.manifest.trace[-1]
    everybody = {task.name for task in manifest.tasks}
    kept = tuple(v for v in manifest.versions if v.block != last.block or set(v.tasks) != everybody)

    assert sharing(manifest)["merges"][-1][1] == 1
    assert sharing(manifest.model_copy(update={"versions": kept}))["merges"][-1][1] == 2


@pytest.mark.anyio
async def test_the_page_may_load_nothing_from_elsewhere(client: httpx.AsyncClient, pico_ladder: Ladder) -> None:
    response = await client.get("/")

    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.text == render(pico_ladder.manifest, "text")
    assert "://" not in response.text.replace("http://www.w3.org/2000/svg", "")
    assert response.headers["Content-Security-Policy"] == policy(response.text)
    assert "default-src 'none'" in policy(response.text)
    assert "unsafe" not in policy(response.text)
