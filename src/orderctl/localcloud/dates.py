"""The date of a response is written once a second, and that of a signature read once.

MiniStack 1.5.33 does so for each request.
"""

import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from ministack import app as ministack_app
from ministack.core import sigv4

from orderctl.localcloud import seams

_DATES = 64

_of_second = lru_cache(1)(formatdate)


def install() -> None:
    """Remember the dates of this moment."""
    seams.replace(ministack_app, "formatdate", _now)
    read = seams.original(sigv4, "_amz_datetime")
    seams.replace(sigv4, "_amz_datetime", lru_cache(_DATES)(read))


def _now(**form: Any) -> str:  # noqa: ANN401 - as `formatdate` takes it
    return _of_second(int(time.time()), **form)
