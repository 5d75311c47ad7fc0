"""`orderctl run`: in a terminal it goes on with its page, elsewhere it ends by itself."""

from __future__ import annotations

import os
import pty
import re
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from support.command_line import PROGRAM, typed
from support.pipeline import STACK

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(STACK is not None, reason="it starts a local cloud of its own"),
]
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+/\?token=[\w-]+(?=\s)")


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, state: Path, *arguments: str) -> None:
        self.shown = b""
        environment = os.environ | {"ORDERCTL_STATE_DIR": str(state), "TERM": "xterm"}
        self._pid, self._screen = pty.fork()
        if not self._pid:
            os.execve(PROGRAM, [str(PROGRAM), *arguments], environment)  # noqa: S606 — ours

    def until(self, pattern: re.Pattern[bytes]) -> str:
        """Read what it shows until there is something."""
        while not (found := pattern.search(self.shown)):
            self.shown += os.read(self._screen, 65536)
        return found[0].decode()

    def press(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def end(self) -> int:
        """Read the rest, and return its exit status."""
        try:
            while some := os.read(self._screen, 65536):
                self.shown += some
        except OSError:  # so the end of a terminal is read
            pass
        os.close(self._screen)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def page(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(address, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


@pytest.mark.parametrize("keys", [b"\r", b"\x03"], ids=["Enter", "Ctrl-C"])
def test_in_a_terminal_it_goes_on_with_its_page_until_it_is_ended(
    tmp_path: Path, keys: bytes
) -> None:
    terminal = Terminal(tmp_path, "run", "--orders", "2")
    terminal.press(b"\r")  # long before: that ends nothing
    address = terminal.until(_ADDRESS)

    assert "Order pipeline" in page(address)
    last = [line for line in terminal.shown.decode().splitlines() if line.strip()][-3:]
    assert "Enter or Ctrl-C ends it." in last[0]
    assert last[2].strip() == address
    terminal.press(keys)
    assert terminal.end() == 0
    assert "The local cloud was stopped." in terminal.shown.decode()
    with pytest.raises(urllib.error.URLError):
        page(address)
    assert not list(tmp_path.glob("*.json"))


def test_elsewhere_it_ends_by_itself(tmp_path: Path) -> None:
    ended = typed(os.environ | {"ORDERCTL_STATE_DIR": str(tmp_path)}, "run", "--orders", "2")

    assert ended.returncode == 0
    assert "✓ 2 of 2 orders accepted" in ended.stdout
    assert "run --stay" in ended.stdout


def test_in_a_terminal_it_ends_by_itself_if_asked_to(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "run", "--orders", "2", "--no-stay")

    assert terminal.end() == 0
    assert not _ADDRESS.search(terminal.shown)
