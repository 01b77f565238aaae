"""Forms as httpx and curl write them, and as nobody should."""

import subprocess
from pathlib import Path
from shutil import which

import httpx
import pytest

from serving.api.errors import InvalidRequest
from serving.api.forms import is_form, read_form

PNG, JPEG = b"\x89PNG\r\n\x1a\n\r\n--no boundary", b"\xff\xd8\r\n\r\n\x00"
KIND = 'multipart/form-data; boundary="b d"'


def form(*parts: bytes, end: bytes = b"--b d--\r\n") -> bytes:
    return b"".join(b"--b d\r\n" + part + b"\r\n" for part in parts) + end


def part(name: str, content: bytes, more: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content


def test_what_httpx_writes() -> None:
    files = [("image", ("a.png", PNG, "image/png")), ("image", ('für "uns"; name=x.jpg', JPEG, "image/jpeg"))]
    request = httpx.Request("POST", "http://x", files=files, data={"parameters": '{"top_k": 2}', "tasks": ["a", "b"]})

    assert read_form(request.read(), request.headers["Content-Type"]) == {
        "inputs": [{"image": PNG}, {"image": JPEG}],
        "parameters": {"top_k": 2},
        "tasks": ["a", "b"],
    }


@pytest.mark.skipif(which("curl") is None, reason="no curl")
def test_what_curl_writes(tmp_path: Path, serve) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    found = []

    async def app(scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        found.append(read_form(body + message["body"], dict(scope["headers"])[b"content-type"].decode()))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    fields = (
        "-F",
        f"image=@{tmp_path / 'a.png'}",
        "-F",
        'parameters={"top_k": 1};type=application/json',
        "-F",
        "tasks=all",
    )
    subprocess.run(["curl", "-sS", *fields, serve(app)], check=True, timeout=20)

    assert found == [{"inputs": [{"image": PNG}], "parameters": {"top_k": 1}, "tasks": "all"}]


def test_headers_in_any_order_and_case_and_a_name_without_quotes() -> None:
    one = b'content-type: image/png\r\ncontent-DISPOSITION:form-data; filename="name=b.png"; name=image\r\n\r\n' + PNG
    assert read_form(b"a preamble\r\n" + form(one), KIND) == {"inputs": [{"image": PNG}]}


def test_an_empty_form_has_no_inputs() -> None:
    assert read_form(form(), KIND) == {"inputs": []}


def test_the_word_all_among_names_is_a_name() -> None:
    assert read_form(form(part("tasks", b"all"), part("tasks", b"b")), KIND)["tasks"] == ["all", "b"]
    assert read_form(form(part("tasks", b"b")), KIND)["tasks"] == ["b"]


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        (form(part("image", PNG)), "multipart/form-data", "states no boundary"),
        (form(part("image", PNG), end=b""), KIND, "does not end with its boundary"),
        (b"", KIND, "does not end with its boundary"),
        (b"{}", KIND, "does not end with its boundary"),
        (form(b"no headers"), KIND, "part 0 of the form has no name"),
        (form(part("image", PNG), b"Content-Type: image/png\r\n\r\n"), KIND, "part 1 of the form has no name"),
        (form(part("image", PNG, "; x=" + "y" * 4000)), KIND, "part 0 of the form has no name in its first"),
        (form(part("picture", PNG)), KIND, "part 'picture' is not known: send image"),
        (form(part("p" * 999, PNG)), KIND, "part 'p{40}' is not known"),
        (form(*2 * [part("parameters", b"{}")]), KIND, "'parameters' is there twice"),
        (form(part("parameters", b"{")), KIND, "parameters: is not JSON"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: str, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        read_form(body, content_type)


def test_only_a_form_is_one() -> None:
    assert is_form("Multipart/Form-Data; boundary=x")
    assert not any(map(is_form, ("", "application/json", "multipart/mixed; boundary=x", "text/plain")))
