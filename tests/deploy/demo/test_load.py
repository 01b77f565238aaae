"""The mixed load against a real HTTP server in this process."""

import json
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from deploy.demo.load import Load, mixed_load
from merge_builder.progress import silent

REQUESTS = [("/good", {"n": 0}), ("/good", {"n": 1}), ("/bad", {"n": 2})]


@pytest.fixture
def server() -> Iterator[tuple[str, Counter[int]]]:
    """Its URL, and how often it got each of REQUESTS."""
    seen: Counter[int] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen[json.loads(self.rfile.read(int(self.headers["Content-Length"])))["n"]] += 1
            self.send_response(200 if self.path == "/good" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", seen
        listening.shutdown()


def test_every_request_is_sent_timed_and_the_failed_ones_counted(server):
    url, seen = server
    load = mixed_load(url, REQUESTS, seconds=0.5, clients=4, progress=silent)
    assert set(seen) == {0, 1, 2}
    assert len(load.latencies) == seen.total()
    assert load.failed == seen[2]
    assert load.seconds >= 0.5
    assert sum(load.latencies) <= 4 * load.seconds


def test_percentiles():
    load = Load(tuple(second / 100 for second in range(101)), seconds=1, failed=0)
    assert (load.percentile(50), load.percentile(95)) == (0.5, pytest.approx(0.95))
