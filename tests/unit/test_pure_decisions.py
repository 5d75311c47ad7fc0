"""Decisions are plain functions over plain values: importing them loads no AWS client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import orders

PACKAGE = Path(orders.__path__[0])
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("decisions.py")
)

SCRIPT = """
import importlib, sys
sys.modules.update(dict.fromkeys(["boto3", "botocore", "orders.aws"]))  # None: no import
importlib.import_module(sys.argv[1])
"""


def test_there_are_decisions() -> None:
    assert len(MODULES) >= 3


@pytest.mark.parametrize("module", MODULES)
def test_importing_a_decision_touches_no_aws(module: str) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT, module], check=True)
