"""`mergeladder hash-key`."""

import hashlib
import io

import pytest


def test_the_line_of_a_key_from_standard_input(mergeladder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("0123456789abcdef\n"))
    made = mergeladder("hash-key", "alice")

    assert (made.code, made.out) == (0, f"alice:{hashlib.sha256(b'0123456789abcdef').hexdigest()}\n")


def test_a_key_that_can_be_guessed(mergeladder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    refused = mergeladder("hash-key", "alice")

    assert (refused.code, refused.out) == (2, "")
    assert "openssl rand -hex 32" in refused.err
    assert "secret" not in refused.err
