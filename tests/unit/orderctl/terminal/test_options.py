"""The parameters that are given with ``--param``."""

from __future__ import annotations

from pathlib import Path

import pytest

from orderctl.errors import UsageError
from orderctl.terminal.options import parse_parameters


def test_parameters_come_from_files_too_and_the_last_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text('{"BatchSize": "100", "BatchingWindowSeconds": "1"}')
    wanted = {"BatchSize": "50", "BatchingWindowSeconds": "1", "NamePrefix": "a="}
    given = parse_parameters(("BatchSize=7", f"@{path}", "BatchSize=50", "NamePrefix=a="))
    assert given == wanted


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        ("{", "is not JSON"),
        ("[]", "an object of texts"),
        ('{"BatchSize": 100}', "an object of texts"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, why: str) -> None:
    path = tmp_path / "set.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=why) as caught:
        parse_parameters((f"@{path}",))
    assert str(path) in str(caught.value)
