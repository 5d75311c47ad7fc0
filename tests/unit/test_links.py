"""What the documents link to is there; `make docs` looks at the anchors, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orderctl import paths

DOCUMENTS = sorted([*paths.ROOT.glob("*.md"), *(paths.ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    targets = LINK.findall(document.read_text(encoding="utf-8"))
    assert [each for each in targets if not (document.parent / each).exists()] == []
