"""A cold start loads what it needs, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orders

SOURCE = Path(orders.__path__[0]).parent
HANDLERS = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in SOURCE.glob("orders/*/handler.py")
)
SCRIPT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sorted(sys.modules))
"""
UNNEEDED = (
    "asyncio",
    "boto3",
    "botocore",
    "email",
    "html",
    "http",
    "logging",
    "urllib3",
    "xml",
)


def loaded(client: str) -> set[str]:
    """What all handlers together load, by top-level package."""
    result = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT, *HANDLERS],
        env={
            **os.environ,
            "AWS_CLIENT": client,
            "PYTHONPATH": f"{SOURCE}:{Path(sys.modules['msgspec'].__path__[0]).parent}",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in result.stdout.split()}


def test_the_lean_client_needs_neither_the_sdk_nor_its_company() -> None:
    assert len(HANDLERS) > 5
    modules = loaded("lean")
    assert modules.isdisjoint(UNNEEDED), modules & set(UNNEEDED)
    assert "ssl" in modules, "TLS is loaded while the function starts, not with the first order"


def test_the_sdk_is_there_when_it_is_chosen() -> None:
    assert "botocore" in loaded("sdk")
