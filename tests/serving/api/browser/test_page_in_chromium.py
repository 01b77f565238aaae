"""What people get from the page in a real Chromium: typed by keyboard, read from the screen, sent nowhere else."""

import base64
import dataclasses
import os
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from merge_builder.ladder import rung_at
from serving.api.app import create_app
from serving.engine.engine import Engine
from serving.service import Choice, Service

EVIL = "<img src=x onerror=document.title='owned'>"


def service_of(engine: Engine) -> Service:
    return Service(engine, Choice(budget=None, reason="the largest rung that fits 300 MiB"))


@pytest.fixture
def url(engine: Engine, serve) -> str:
    return serve(create_app(service_of(engine)))


def ask(browser, text: str) -> None:
    """Type a text and press the button with the keyboard."""
    browser.run("document.getElementById('text').focus()")
    browser.send("Input.insertText", text=text)
    browser.press("Enter", modifiers=2)
    browser.wait("!document.getElementById('status').textContent.startsWith('Asking')")


def told(browser, element: str) -> str:
    return browser.run(f"document.getElementById('{element}').innerText")


def test_every_task_answers_what_the_interface_answers(browser, url: str, engine: Engine) -> None:
    browser.open(url)
    ask(browser, "w1 w2 w3")
    body = {"inputs": ["w1 w2 w3"], "tasks": "all"}
    plain = httpx.post(f"{url}/v1/predict", json=body).json()["results"]
    shown = browser.run(
        "[...document.querySelectorAll('.card')].map((card) => [card.querySelector('h3').innerText, "
        "[...card.querySelectorAll('li')].map((line) => line.innerText.split('\\n'))])"
    )

    assert shown == [
        [task, [[p["label"], f"{100 * p['score']:.1f} %"] for p in answer["predictions"][0]]]
        for task, answer in plain.items()
    ]
    assert told(browser, "status").startswith(f"3 answers by rung {engine.rung.name} ({engine.rung.size.ratio:.2f}x)")
    assert "5 tokens" in told(browser, "status")
    assert not browser.complaints


def test_the_ladder_its_rung_and_what_is_shared(browser, url: str, engine: Engine) -> None:
    manifest = engine.ladder.manifest
    engine.swap(rung_at(manifest, len(manifest.rungs) * 3 // 4))
    browser.open(url)
    pointers = engine.rung.versions.values()
    versions = [len({version.id for version in own.values()}) for own in pointers]
    cells, names = (
        browser.run(f"[...document.querySelectorAll('{list_} li')].map((one) => one.{part})")
        for list_, part in (("#blocks", "innerText"), ("#named", "textContent"))
    )

    assert 0 < versions.count(1) < len(versions)
    assert f"{versions.count(1)} of {len(versions)} blocks are shared by all tasks" in told(browser, "shared")
    assert f"rung {engine.rung.name}: {engine.rung.size.ratio:.2f}x" in told(browser, "shared")
    assert cells == [str(count) for count in versions]
    assert names == [
        f"{name}: {'shared by all tasks' if count == 1 else f'{count} versions'}"
        for name, count in zip(engine.rung.versions, versions, strict=True)
    ]
    assert told(browser, "why") == "Why this rung: the largest rung that fits 300 MiB"
    assert browser.run("document.querySelector('#picture .told').textContent").startswith(f"now {engine.rung.name},")


def test_a_changed_rung_is_seen_with_the_next_answer(browser, url: str, engine: Engine) -> None:
    browser.open(url)
    last = rung_at(engine.ladder.manifest, len(engine.ladder.manifest.rungs) - 1)
    engine.swap(last)
    ask(browser, "w1")
    blocks = len(engine.ladder.manifest.blocks)

    assert f"by rung {last.name} (1.00x)" in told(browser, "status")
    assert f"{blocks} of {blocks} blocks are shared by all tasks" in told(browser, "shared")


def test_only_the_picked_tasks_are_asked_with_the_keyboard_alone(browser, url: str) -> None:
    browser.open(url)
    for key in ("Tab", "Tab", "Enter"):  # to "None" and press it
        browser.press(key)
    ask(browser, "w1")
    assert told(browser, "problem") == "Pick at least one task."
    browser.run("document.getElementById('none').focus()")
    for key in ("Tab", "Tab", " "):  # to the second task
        browser.press(key)
    browser.run("document.getElementById('text').focus()")
    browser.press("Enter", modifiers=2)
    browser.wait("document.querySelectorAll('.card').length")

    assert browser.run("[...document.querySelectorAll('.card h3')].map((name) => name.innerText)") == ["bee"]
    assert told(browser, "problem") == ""
    assert told(browser, "status").startswith("1 answer by")


def test_a_second_text_is_compared(browser, url: str) -> None:
    browser.open(url)
    browser.run("document.querySelector('details').open = true; document.getElementById('pair').focus()")
    browser.send("Input.insertText", text="w7")
    ask(browser, "w1")
    pair = {"inputs": [{"text": "w1", "text_pair": "w7"}]}
    tokens = httpx.post(f"{url}/v1/tasks/ant/predict", json=pair).json()["usage"]["tokens"]

    assert f"{tokens} tokens" in told(browser, "status")


def test_no_text_becomes_markup(browser, engine: Engine, serve) -> None:
    ladder = engine.ladder
    tasks = tuple(task.model_copy(update={"labels": (EVIL, *task.labels[1:])}) for task in ladder.manifest.tasks)
    manifest = ladder.manifest.model_copy(update={"tasks": tasks})
    evil = dataclasses.replace(engine, ladder=dataclasses.replace(ladder, manifest=manifest))
    browser.open(serve(create_app(Service(evil, Choice(None, reason=EVIL)))))
    ask(browser, EVIL)

    assert EVIL in told(browser, "cards")
    assert told(browser, "why") == f"Why this rung: {EVIL}"
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.run("document.title") == "pico · MergeLadder"
    assert not browser.complaints


def test_requests_go_to_this_server_only_and_the_text_in_bodies_only(browser, url: str) -> None:
    browser.open(url)
    ask(browser, "w1 confidential")
    asked = {request for request in browser.requests if not request.startswith("data:")}

    assert asked == {f"{url}/", f"{url}/v1/tasks", f"{url}/v1/ladder", f"{url}/v1/predict"}
    blocked = browser.run("fetch('http://127.0.0.2:9/').then(() => 'sent', () => 'blocked')")
    assert blocked == "blocked"
    assert any("Content Security Policy" in str(complaint) for complaint in browser.complaints)


def test_an_error_is_told(browser, url: str) -> None:
    browser.open(url)
    ask(browser, "   ")

    assert "inputs[0] has no text" in told(browser, "problem")
    assert told(browser, "status") == ""


def locked(app: ASGIApp) -> ASGIApp:
    """Answers 401 under /v1 where the key is not `sesame`."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization")
        if not scope.get("path", "").startswith("/v1") or given == b"Bearer sesame":
            await app(scope, receive, send)
            return
        body = b'{"error": {"type": "unauthorized", "message": "a key is needed", "param": null, "request_id": "1"}}'
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return middleware


def test_a_server_that_wants_a_key_gets_it_from_the_person(browser, engine: Engine, serve) -> None:
    browser.open(serve(locked(create_app(service_of(engine)))))
    assert told(browser, "problem") == "a key is needed"
    assert browser.run("document.activeElement.id") == "key"

    browser.send("Input.insertText", text="sesame")
    browser.run("document.getElementById('unlock').requestSubmit()")
    browser.wait("!document.getElementById('ladder').hidden")
    ask(browser, "w1")
    assert told(browser, "status").startswith("3 answers by")
    assert browser.run("document.getElementById('unlock').hidden")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1100), ("dark", 1100), ("light", 400)])
def test_it_fits_the_screen_and_can_be_read(browser, url: str, scheme: str, width: int, tmp_path: Path) -> None:
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.open(url)
    ask(browser, "w1 w2 w3")
    picture = browser.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]
    kept = Path(os.environ.get("MERGELADDER_SCREENSHOTS", tmp_path)) / f"page-{scheme}-{width}.png"
    kept.write_bytes(base64.b64decode(picture))
    luminance = "((c) => c.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0) / 3)"
    paper, ink = (
        browser.run(f"{luminance}(getComputedStyle(document.body).{p})") for p in ("backgroundColor", "color")
    )

    assert browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert (paper > 200 and ink < 60) if scheme == "light" else (paper < 60 and ink > 200)
    unnamed = "[...document.querySelectorAll('input, textarea')].filter((field) => !field.labels.length).length"
    assert browser.run(unnamed) == 0
