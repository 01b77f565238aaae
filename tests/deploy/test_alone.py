"""`mergeladder serve --no-ray` as a subprocess: one process, asked, changed and stopped."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import pytest

from deploy.attempt import SMALLER, node_folder
from merge_builder.ladder import rung_at
from serving.engine.engine import load_engine
from serving.engine.types import Encoded

START_AT_MOST = 120  # seconds, on a busy machine
WORDS = "w1 w2 w3"


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A free one; what its server notes on disk is this test's own."""
    with TemporaryDirectory() as folder, socket.socket() as free:  # tmp_path is too long for sockets' paths
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr("tempfile.tempdir", folder)
        free.bind(("127.0.0.1", 0))
        own: int = free.getsockname()[1]
        free.close()
        yield own


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [Path(sys.executable).with_name("mergeladder"), "serve", "--no-ray", *arguments]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], beginning: str) -> list[str]:
    """What it printed on stderr up to the line that begins so."""
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith(beginning):
        line = process.stderr.readline()
        assert line, f"it ended: {''.join(lines)}"
        lines.append(line)
    return lines


def test_one_process_answers_changes_its_rung_and_drains(ladder, port):
    rungs = ladder.manifest.rungs
    note = node_folder(ladder.manifest.revision, port) / "cpu.going-to"  # as a server leaves it that died on its way
    note.parent.mkdir()
    note.write_text("0")
    with started(ladder.root, "--rung", "#0", "--port", port) as process:
        *_, ready, opened = read_until(process, "open")
        assert ready.startswith(f"ready at http://127.0.0.1:{port}: rung #")
        assert "died" in ready
        assert opened.startswith(f"open http://127.0.0.1:{port} ")
        assert not note.exists()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            (node,) = client.get("/v1/nodes").raise_for_status().json()["nodes"]
            assert (node["address"], node["ready"]) == (f"http://127.0.0.1:{port}", True)
            assert rungs[int(node["rung"][1:])].bytes <= SMALLER * rungs[0].bytes
            assert client.get("/-/healthz").text == "success"
            assert client.post("/admin/v1/budget", json={"rung": "#1"}).status_code == 202
            while client.get("/v1/nodes").json()["nodes"][0]["change"]["state"] == "running":
                time.sleep(0.02)
            body = {"inputs": [WORDS], "parameters": {"return_logits": True}}
            answer = client.post("/v1/tasks/mood/predict", json=body).raise_for_status().json()
            assert answer["model"]["rung"] == "#1"
            np.testing.assert_allclose(answer["logits"], [logits(ladder, 1, "mood", WORDS)], atol=1e-5)
            assert 'mergeladder_inputs_total{replica="' in client.get("/metrics").text
        assert _children(process.pid) == ""
        assert not [line for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines() if "/ray/" in line]
        assert answer_across_a_stop(process, port).startswith(b"HTTP/1.1 200")
        assert process.wait(30) == 0


def test_a_stop_while_it_loads_is_no_failure(ladder, port):
    with started(ladder.root, "--port", port) as process:
        end = time.monotonic() + START_AT_MOST
        while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text():
            assert time.monotonic() < end
            time.sleep(0.01)
        process.terminate()
        assert process.stderr is not None
        assert process.stderr.read() == "stopped before it was ready\n"
        assert process.wait(30) == 0


def logits(ladder, rung: int, task: str, text: str) -> np.ndarray:
    """By an engine in this process."""
    engine = load_engine(ladder, rung_at(ladder.manifest, rung))
    (ids,) = engine.tokenizer.encode([text], None, max_length=engine.max_length(task), truncate=True)
    return engine.run([Encoded(ids.input_ids, ids.token_type_ids, (task,))]).logits[0][task]


def answer_across_a_stop(process: subprocess.Popen[str], port: int) -> bytes:
    """The answer to a request of which half has come when the server is told to stop, and the rest comes after."""
    body = json.dumps({"inputs": [WORDS]}).encode()
    lines = ["POST /v1/tasks/mood/predict HTTP/1.1", "Host: test", f"Content-Length: {len(body)}"]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body[:5])
        process.send_signal(signal.SIGTERM)
        read_until(process, "stopping")
        connection.sendall(body[5:])
        return b"".join(iter(lambda: connection.recv(65536), b""))


def _children(pid: int) -> str:
    return "".join(task.joinpath("children").read_text() for task in Path(f"/proc/{pid}/task").iterdir())
