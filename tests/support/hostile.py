"""What a customer, a publisher or a library might say to harm whoever reads it in a terminal."""

from __future__ import annotations

import re

HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil\x1b\\"  # clear, title, link
    "\x9b31m\x85\x7f\x08\r\v\f\0"  # C1, DEL, C0
    "\u202egnp.exe\u202c\u2066\u2069\u200b\u200d\ufeff\u2028\u2029\u3164\ufe0f\U000e0041"
    "\ud800[red][link=http://evil]:smile:[/]"
)
"""Text that clears a screen, sets a title, turns what follows around, hides, and is no Unicode."""

WELL_FORMED = HOSTILE.replace("\ud800", "").replace("\0", "")
"""The same for what takes Unicode only, as AWS does."""

IN_A_MESSAGE = "".join(each for each in WELL_FORMED if each >= " " or each in "\t\n\r")
"""The same for a message, of which SQS allows no other control characters than these."""

# What rich itself says to a terminal: colours, the cursor, and lines that are drawn again.
_OF_RICH = re.compile(r"\x1b\[[0-9;]*[mKA]|\x1b\[\?25[lh]|\r")
_OF_HOSTILE_ALONE = ("\x1b[2J", "\x1b]", "\x9b")


def assert_harmless(shown: str, *, in_terminal: bool = False) -> None:
    """Fail when there is anything in a text that commands a terminal or deceives its reader."""
    rest = _OF_RICH.sub("", shown) if in_terminal else shown
    bad = sorted({each for each in rest if not each.isprintable() and each != "\n"})
    assert not bad, f"{bad} in {rest[:2000]!r}"
    assert not any(each in shown for each in _OF_HOSTILE_ALONE)
    assert not set(rest) & set("\u3164\ufe0f")
