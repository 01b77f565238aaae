"""Bearer keys: who may ask. A file holds the SHA-256 of each key, never a key.

alice:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90

Blank lines and lines that begin with # are skipped. The file is read again when it changes.
"""

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from merge_builder.errors import InputError

Accepts = Callable[[str], bool]
SHORTEST_KEY = 16  # the hashes have no salt: a key must be too long to be guessed

_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}):([0-9a-f]{64})")
log = logging.getLogger("mergeladder.api")


def hash_key(name: str, key: str) -> str:
    """The line of a key file for `key`.

    Raises:
        InputError: the name or the key will not do.
    """
    if len(key) < SHORTEST_KEY:
        raise InputError(f"the key has {len(key)} characters: take at least {SHORTEST_KEY}, as `openssl rand -hex 32`")
    line = f"{name}:{_sha256(key)}"
    if not _LINE.fullmatch(line):
        raise InputError(f"{name!r} cannot name a key: take up to 64 letters, digits, and the signs . _ -")
    return line


def read_keys(path: Path) -> Mapping[str, str]:
    """The keys' hashes by name.

    Raises:
        InputError: the file cannot be read, holds no key, or a line is not of the form `name:sha256`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the key file {path} cannot be read: {error}") from error
    keys: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if not match or match[1] in keys:  # the line is not told: it may hold a key
            raise InputError(
                f"{path} line {number} is not `name:sha256` with a name of its own: make it by `mergeladder hash-key`"
            )
        keys[match[1]] = match[2]
    if not keys:
        raise InputError(f"the key file {path} holds no key: add one by `mergeladder hash-key`")
    return keys


def accepts_keys_in(path: Path) -> Accepts:
    """A function that tells whether a key is in the file now; as long as a change cannot be read, the old keys hold.

    Every hash is compared, in constant time.

    Raises:
        InputError: as `read_keys`, now.
    """
    hashes, seen = list(read_keys(path).values()), _stamp(path)

    def accepts(key: str) -> bool:
        nonlocal hashes, seen
        if (stamp := _stamp(path)) != seen:
            seen = stamp
            try:
                hashes = list(read_keys(path).values())
                log.info("%d keys read from %s", len(hashes), path)
            except InputError as error:
                log.error("the keys stay as they were: %s", error)
        offered = _sha256(key)
        return sum([hmac.compare_digest(offered, known) for known in hashes]) > 0

    return accepts


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
