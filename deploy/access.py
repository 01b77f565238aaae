"""Who may ask a server: anyone, or those who hold a key."""

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from merge_builder.errors import InputError


@dataclass(frozen=True)
class Access:
    """Files of keys, for all routes and for those under /admin; `insecure` lets anyone ask who can reach the server."""

    keys: Path | None = None
    admin_keys: Path | None = None
    insecure: bool = False


OPEN = Access()


def check_access(access: Access, host: str) -> Access:
    """`access` with absolute paths.

    Raises:
        InputError: a key file will not do, or there is none and other machines can reach `host`.
    """
    from serving.api.keys import read_keys

    for path in (access.keys, access.admin_keys):
        if path is not None:
            read_keys(path)
    if is_unguarded(access, host):
        raise InputError(
            f"anyone who can reach {host} could ask this server: give --keys FILE (made by `mergeladder hash-key`), "
            "listen on --host 127.0.0.1, or say --insecure"
        )
    keys, admin_keys = access.keys and access.keys.resolve(), access.admin_keys and access.admin_keys.resolve()
    return Access(keys, admin_keys, access.insecure)


def is_unguarded(access: Access, host: str) -> bool:
    """Whether anyone could ask at `host` from another machine, and nobody has said that this is meant.

    Raises:
        InputError: `host` is no address of this machine.
    """
    return access.keys is None and not access.insecure and not _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"{host} is no address of this machine ({error.strerror}): choose another --host") from error
    return all(ipaddress.ip_address(address[4][0]).is_loopback for address in found)
