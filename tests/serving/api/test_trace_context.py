"""`traceparent` by the W3C's grammar, and as it comes back."""

import httpx
import pytest

from serving.api.trace_context import read_trace

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    "header", [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01-what-the-future-brings"]
)
def test_a_valid_one_is_continued(header: str) -> None:
    trace = read_trace(header)

    assert trace is not None
    assert trace.header.split("-")[:2] == ["00", TRACE]
    assert trace.header.split("-")[3] == header.split("-")[3]
    assert trace.span_id != PARENT
    assert read_trace(trace.header) is not None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
    ],
)
def test_an_invalid_one_is_as_none(header: str | None) -> None:
    assert read_trace(header) is None


@pytest.mark.anyio
async def test_it_comes_back_with_errors_too_and_only_where_one_was_sent(client: httpx.AsyncClient) -> None:
    for path in ("/v1/tasks", "/nothing"):
        response = await client.get(path, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        assert response.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert "traceparent" not in (await client.get("/v1/tasks")).headers
