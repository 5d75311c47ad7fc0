"""What `make outage` tells of an outage is that every order ended, and that the circuit closed."""

from __future__ import annotations

import re
import subprocess
import sys

from bench.processes import ROOT


def test_after_a_short_outage_every_order_has_ended() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "bench.outage", "--minutes", "1", "--around", "1", "--rate", "20"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "3,600 orders at 20 a second, 1,200 in 1 minutes of outage" in told
    assert "circuit: opened 1 times" in told
    assert re.search(r"all 3,600 orders had ended \d+ minutes after it", told)
