"""The template as CloudFormation reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orderctl.deploying.template import parse

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """The whole template; short forms such as !Ref are spelled out."""
    return dict(parse(TEMPLATE.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources by logical id."""
    found: dict[str, dict[str, Any]] = template["Resources"]
    return found
