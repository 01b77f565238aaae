"""A multipart form as the object that its JSON twin would be: image files are sent as they are, without base64.

curl -F image=@one.jpg -F image=@two.png -F 'parameters={"top_k": 1}' -F tasks=all URL/v1/predict

Every part `image` is an input, in order; `parameters` is JSON; `tasks` is one name a part, or "all". The body is in
memory already, and bounded, so it is cut where its boundary stands and nothing is written to disk.
"""

import re
from typing import Any

from pydantic_core import from_json

from serving.api.errors import InvalidRequest

CONTENT_TYPE = "multipart/form-data"
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(
    rb'^content-disposition:[ \t]*form-data(?:;[ \t]*(?!name=)[^=;"\s]+=(?:"[^"\r\n]*"|[^;"\s]*))*'
    rb';[ \t]*name=(?:"([^"\r\n]*)"|([^\s;"]+))',
    re.IGNORECASE | re.MULTILINE,
)
_LONGEST_HEADERS = 2048  # bytes of a part's
_LONGEST_NAME = 40
_WORDS = ("all", "auto")


def is_form(content_type: str) -> bool:
    """Whether a body of this `Content-Type` is read as a form."""
    return content_type.partition(";")[0].strip().lower() == CONTENT_TYPE


def read_form(body: bytes, content_type: str) -> dict[str, Any]:
    """`{"inputs": [{"image": bytes}, ...], "parameters": ..., "tasks": ...}`; the last two only where there are parts.

    Raises:
        InvalidRequest: it is no form, or has a part that is not known; the message names it.
    """
    form: dict[str, Any] = {"inputs": []}
    tasks: list[str] = []
    for name, content in _parts(body, content_type):
        if name == "image":
            form["inputs"].append({"image": content})
        elif name == "tasks":
            tasks.append(content.decode(errors="replace"))
        elif name == "parameters" and name not in form:
            form[name] = _json(content)
        else:
            problem = "is there twice" if name == "parameters" else "is not known: send image, parameters or tasks"
            raise InvalidRequest(f"the form's part {name!r} {problem}", name)
    if tasks:
        form["tasks"] = tasks[0] if len(tasks) == 1 and tasks[0] in _WORDS else tasks
    return form


def _parts(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """The name and the content of each part (RFC 2046, 5.1.1, and RFC 7578)."""
    if (stated := _BOUNDARY.search(content_type)) is None:
        raise InvalidRequest(f"the Content-Type is {CONTENT_TYPE} and states no boundary", "Content-Type")
    boundary = (stated[1] or stated[2]).encode("latin-1", "replace")
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not parts or not parts.pop().startswith(b"--"):
        raise InvalidRequest("the form is cut off: it does not end with its boundary")
    return [_part(place, part) for place, part in enumerate(parts)]


def _part(place: int, part: bytes) -> tuple[str, bytes]:
    end = part.find(b"\r\n\r\n", 0, _LONGEST_HEADERS)
    named = _NAME.search(part, 0, max(0, end))
    if named is None:
        raise InvalidRequest(f"part {place} of the form has no name in its first {_LONGEST_HEADERS} bytes")
    name = named[1] if named[1] is not None else named[2]
    return name.decode(errors="replace")[:_LONGEST_NAME], part[end + 4 :]


def _json(content: bytes) -> Any:
    try:
        return from_json(content)
    except ValueError:
        raise InvalidRequest("parameters: is not JSON", "parameters") from None
