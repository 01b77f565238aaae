"""A pod waits for as long as anything listens on the port or is still being answered there."""

import socket
from pathlib import Path

from deploy.drain import is_open


def test_a_port_is_open_while_something_listens_or_a_connection_lives() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    assert is_open(port)

    client = socket.create_connection(("127.0.0.1", port))
    accepted, _ = listener.accept()
    listener.close()
    assert is_open(port)  # it is still being answered

    accepted.close()
    client.close()
    assert not is_open(port)


def test_both_families_are_looked_at_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    head = "  sl  local_address rem_address   st\n"
    table = tmp_path / "tcp6"
    table.write_text(head + f"   0: {'0' * 32}:1F40 {'0' * 32}:0000 0A\n   1: {'0' * 32}:1F41 {'0' * 32}:0001 06\n")

    assert is_open(8000, [tmp_path / "tcp", table])
    assert not is_open(8001, [table])  # a connection that has ended
