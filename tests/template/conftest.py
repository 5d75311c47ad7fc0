"""The template as CloudFormation reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cfnlint.decode.cfn_yaml
import pytest

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """The whole template; short forms such as !Ref are spelled out."""
    decoded: dict[str, Any] = cfnlint.decode.cfn_yaml.load(str(TEMPLATE))
    return decoded


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources by logical id."""
    found: dict[str, dict[str, Any]] = template["Resources"]
    return found
