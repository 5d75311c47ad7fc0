"""A date is that of the second in which it is asked for."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from orderctl.localcloud import dates


def test_the_date_moves_on_with_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    for now in (1_000.2, 1_000.9, 1_001.0):
        monkeypatch.setattr("orderctl.localcloud.dates.time.time", lambda now=now: now)
        assert dates._now(usegmt=True) == formatdate(int(now), usegmt=True)
