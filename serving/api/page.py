"""The page at `/` for people: ask the tasks, see their answers, and the ladder with the rung that gave them.

One HTML file. It loads nothing from elsewhere and sends what is typed or picked to nobody but this server's own routes;
its Content-Security-Policy makes the browser hold it to that.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Literal, TypedDict

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from merge_builder.ladder import Manifest
from serving.service import Service


class Sharing(TypedDict):
    """How many versions of every block each rung uses.

    At rung 0 it is one a task. The merge at place i of `merges`, from rung i to rung i + 1, leaves the block
    `blocks[merges[i][0]]` with `merges[i][1]` versions.
    """

    blocks: list[str]
    merges: list[tuple[int, int]]


def routes(service: Service) -> APIRouter:
    """The page, rendered once: all that changes while the server runs, it asks of `/v1`."""
    router = APIRouter()
    html = render(service.manifest, service.engine.modality)
    headers = {
        "Content-Security-Policy": policy(html),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }

    @router.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)

    return router


def render(manifest: Manifest, modality: Literal["text", "image"]) -> str:
    """The page as HTML, where people type a text or pick an image."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html").render(sharing=sharing(manifest), modality=modality)


def sharing(manifest: Manifest) -> Sharing:
    """The versions that each merge leaves; a group without a stored version keeps what its members used."""
    blocks = {block.name: place for place, block in enumerate(manifest.blocks)}
    stored = {(version.block, frozenset(version.tasks)) for version in manifest.versions}
    used = {name: {task.name: frozenset({task.name}) for task in manifest.tasks} for name in blocks}
    merges = []
    for step in manifest.trace:
        merged, own = frozenset(step.left + step.right), used[step.block]
        if (step.block, merged) in stored:
            own.update(dict.fromkeys(merged, merged))
        merges.append((blocks[step.block], len(set(own.values()))))
    return Sharing(blocks=list(blocks), merges=merges)


def policy(html: str) -> str:
    """The Content-Security-Policy: the style and the script that are in `html`, and requests to where it is from."""
    [style] = re.findall("<style>(.*?)</style>", html, re.DOTALL)
    [script] = re.findall("<script>(.*?)</script>", html, re.DOTALL)
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
