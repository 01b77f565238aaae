"""The page of a ladder of images in a real Chromium: a file is picked, and every task answers."""

from pathlib import Path

import httpx
import pytest

from merge_builder.ladder import rung_at
from serving.api.app import create_app
from serving.engine.engine import load_engine
from serving.service import Choice, Service

from ....images import LABELS, TOKENS, build_ladder, picture


@pytest.fixture
def url(tmp_path: Path, serve) -> str:
    ladder = build_ladder(tmp_path)
    return serve(create_app(Service(load_engine(ladder, rung_at(ladder.manifest, 0)), Choice(None, "asked for"))))


def pick(browser, path: Path) -> None:
    """Choose the file and send the form."""
    document = browser.send("DOM.getDocument")["root"]["nodeId"]
    field = browser.send("DOM.querySelector", nodeId=document, selector="#image")["nodeId"]
    browser.send("DOM.setFileInputFiles", nodeId=field, files=[str(path)])
    browser.run("document.getElementById('ask').requestSubmit()")
    browser.wait("!document.getElementById('status').textContent.startsWith('Asking')")


def test_a_picked_image_is_answered_as_the_interface_does(browser, url: str, tmp_path: Path) -> None:
    photo, other = tmp_path / "one.jpg", tmp_path / "no.png"
    photo.write_bytes(picture(1, "JPEG"))
    other.write_text("no image")
    browser.open(url)
    pick(browser, photo)
    plain = httpx.post(f"{url}/v1/predict", files={"image": photo.read_bytes()}, data={"tasks": "all"}).json()
    best = browser.run("[...document.querySelectorAll('.card')].map((card) => card.innerText.split('\\n').slice(0, 2))")

    assert sorted(best) == [[task, plain["results"][task]["predictions"][0][0]["label"]] for task in sorted(LABELS)]
    assert f"{TOKENS} tokens" in browser.run("document.getElementById('status').innerText")
    assert not browser.run("document.getElementById('text')")
    assert browser.run("document.getElementById('image').labels.length") == 1
    assert not browser.complaints

    pick(browser, other)
    assert "inputs[0] is no image file" in browser.run("document.getElementById('problem').innerText")
