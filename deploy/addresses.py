"""Addresses to listen on: whether one is free, and how this machine reaches it."""

import socket

from merge_builder.errors import InputError


def check_address(host: str, port: int) -> None:
    """Refuse an address that nothing could listen on now.

    Raises:
        InputError: it is another machine's, or taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: OSError) -> InputError:
    """What is told where it could not be listened on."""
    why = error.strerror or error
    return InputError(f"cannot listen on {host} port {port} ({why}): choose another --host or --port")


def reachable(host: str) -> str:
    """A name by which this machine reaches a server that listens on `host`, as URLs write it."""
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host
