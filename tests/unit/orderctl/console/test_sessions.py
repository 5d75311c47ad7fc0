"""Calls for a page fail soon, whatever else is set for them."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config

from orderctl.console.sessions import CONNECT_SECONDS, READ_SECONDS, hurried


@pytest.mark.parametrize("given", [None, Config(proxies={}, read_timeout=60)])
def test_clients_give_up_early_and_keep_what_else_was_set(given: Config | None) -> None:
    core = botocore.session.Session()
    if given:
        core.set_default_client_config(given)
    session = hurried(boto3.Session(botocore_session=core, region_name="eu-central-1"))

    config: Any = session.client("sqs").meta.config

    assert config.connect_timeout == CONNECT_SECONDS
    assert config.read_timeout == READ_SECONDS
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}
    assert config.proxies == ({} if given else None)
