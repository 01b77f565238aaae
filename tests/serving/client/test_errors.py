"""The client's exceptions and the server's table are one list."""

from pathlib import Path

import serving.client
from serving.api.errors import INTERNAL, KINDS
from serving.client.errors import TYPES, MergeLadderApiError, ServerFailed, api_error


def test_every_type_of_the_server_has_its_own_exception() -> None:
    for kind in (*KINDS.values(), INTERNAL):
        error = api_error(kind.type, "a message", "inputs[2]", "r-1", kind.status)

        assert type(error) is TYPES[kind.type]
        told = (error.type, str(error), error.param, error.request_id, error.status)
        assert told == (kind.type, "a message", "inputs[2]", "r-1", kind.status)


def test_all_are_distinct_exported_and_documented() -> None:
    documented = (Path(__file__).parents[3] / "docs/client.md").read_text(encoding="utf-8")

    assert len(set(TYPES.values())) == len(TYPES)
    for kind in TYPES.values():
        assert issubclass(kind, MergeLadderApiError)
        assert getattr(serving.client, kind.__name__) is kind
        assert f"`{kind.__name__}`" in documented


def test_a_type_of_a_newer_server_is_the_one_nearest_to_its_status() -> None:
    error = api_error("on_fire", "help", status=500)

    assert (type(error), error.type) == (ServerFailed, "on_fire")
