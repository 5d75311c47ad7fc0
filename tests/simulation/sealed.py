"""What stays as it is once it is made, though its type does not say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sealed:
    """A value of which nobody changes anything; who wants to takes a copy."""

    value: Any
