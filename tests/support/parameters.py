"""What a parameter could be given by mistake or by malice."""

from __future__ import annotations

from typing import Final

_NUMBERS: Final = (
    *("0", "1", "-1", "+1", "007", "0.5", "1.0", ".5", "1.", "1e3", "1E-2", "0x10", "1_000"),
    *("NaN", "Infinity", "-Infinity", "inf", "5,6", "5;6"),
)
_PADDED: Final = (" 5", "5 ", "5\n", "", " ")
_DIGITS_OF_OTHER_SCRIPTS: Final = ("\N{ARABIC-INDIC DIGIT FIVE}", "\N{FULLWIDTH DIGIT FIVE}")
_LONG: Final = ("9" * 40, "0." + "9" * 40, "a" * 300)
_TEXT: Final = ("null", "true", "*", "../..", "${AWS::AccountId}", "<script>", "\x1b[2J")

HOSTILE: Final = (*_NUMBERS, *_PADDED, *_DIGITS_OF_OTHER_SCRIPTS, *_LONG, *_TEXT)
