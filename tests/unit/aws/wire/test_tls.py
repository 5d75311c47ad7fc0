"""Against which roots the other side of a connection is verified."""

from __future__ import annotations

import importlib.util
import socket
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orders.aws.wire import tls

MADE: ssl.SSLContext = ssl.create_default_context()


@pytest.fixture
def cafiles(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The file of roots that each context is made with, filled as they are made."""
    made: list[str | None] = []

    def make(cafile: str | None = None) -> ssl.SSLContext:
        made.append(cafile)
        return MADE

    monkeypatch.setattr(ssl, "create_default_context", make)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    return made


def system_has(monkeypatch: pytest.MonkeyPatch, cafile: str | None, capath: str | None) -> None:
    paths = SimpleNamespace(cafile=cafile, capath=capath)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)


def context() -> ssl.SSLContext:
    made: Any = tls._context
    return made.__wrapped__()  # type: ignore[no-any-return]


def test_a_bundle_that_was_named_is_taken(
    monkeypatch: pytest.MonkeyPatch, cafiles: list[str | None]
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/a/bundle.pem")
    system_has(monkeypatch, "/of/the/system", None)
    assert context() is MADE
    assert cafiles == ["/a/bundle.pem"]


@pytest.mark.parametrize(("cafile", "capath"), [("/a/file", None), (None, "/a/folder")])
def test_the_roots_of_the_system_are_taken(
    monkeypatch: pytest.MonkeyPatch,
    cafiles: list[str | None],
    cafile: str | None,
    capath: str | None,
) -> None:
    system_has(monkeypatch, cafile, capath)
    assert context() is MADE
    assert cafiles == [None]


def test_without_them_those_of_the_sdk_are_taken(
    monkeypatch: pytest.MonkeyPatch, cafiles: list[str | None]
) -> None:
    system_has(monkeypatch, None, None)
    assert context() is MADE
    (roots,) = cafiles
    assert roots
    assert "BEGIN CERTIFICATE" in Path(roots).read_text(encoding="utf-8")


@pytest.mark.parametrize("found", ["no SDK", "an SDK in one file"])
def test_without_any_roots_nothing_is_trusted(
    monkeypatch: pytest.MonkeyPatch, cafiles: list[str | None], found: str
) -> None:
    spec = importlib.util.spec_from_loader("botocore", None) if found != "no SDK" else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    system_has(monkeypatch, None, None)
    with pytest.raises(ssl.SSLError, match="set AWS_CA_BUNDLE'"):
        context()
    assert cafiles == []


def test_a_connection_that_cannot_be_secured_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> ssl.SSLContext:
        raise FileNotFoundError

    monkeypatch.setattr(tls, "_context", fail)
    with socket.socket() as opened:
        with pytest.raises(FileNotFoundError):
            tls.secure(opened, "localhost")
        assert opened.fileno() == -1
