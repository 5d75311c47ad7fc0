"""What `orderctl deploy` says beside the deployment itself."""

from __future__ import annotations

import pytest

from orderctl.commands import deploy


def test_waiting_for_the_names_of_deleted_queues_is_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    deploy._wait_for_names(0.01)
    shown = capsys.readouterr()
    assert "Waited for SQS" in shown.out
    assert "within 60 seconds" in shown.err


def test_names_that_are_free_need_no_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    deploy._wait_for_names(0)
    assert capsys.readouterr() == ("", "")
