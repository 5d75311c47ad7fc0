"""Ports and addresses of the local cloud."""

import socket
from collections.abc import Iterator

import pytest

from orderctl.errors import OrderctlError
from orderctl.localcloud import lifecycle
from orderctl.localcloud.lifecycle import free_ports
from orderctl.localcloud.processes import LOOPBACK, any_free_port
from orderctl.pipeline.stack import reachable


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_was_asked_for_is_used_or_is_an_error(taken_port: int) -> None:
    free = any_free_port()
    assert next(free_ports(free)) == free
    with pytest.raises(OrderctlError, match=f"Port {taken_port} is taken by another program"):
        next(free_ports(taken_port))


def test_the_next_free_port_is_used_when_none_was_asked_for(
    taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "DEFAULT_PORT", taken_port)
    assert next(free_ports(None)) > taken_port


def test_no_free_port_at_all_is_an_error(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "DEFAULT_PORT", taken_port)
    monkeypatch.setattr(lifecycle, "_PORTS_TO_TRY", 1)
    with pytest.raises(OrderctlError, match=r"are all taken\. Give a free one with --port"):
        next(free_ports(None))


def test_outputs_get_the_addresses_of_this_machine() -> None:
    outputs = {
        "ApiId": "abc",
        "StageName": "live",
        "ApiUrl": "https://abc.execute-api.us-east-1.amazonaws.com/live",
        "PaymentsDLQUrl": "https://sqs.us-east-1.amazonaws.com/000000000000/payments-dlq",
        "EventBusName": "order-events",
    }
    assert reachable(outputs, "http://127.0.0.1:4566") == {
        "ApiId": "abc",
        "StageName": "live",
        "ApiUrl": "http://127.0.0.1:4566/_aws/execute-api/abc/live",
        "PaymentsDLQUrl": "http://127.0.0.1:4566/000000000000/payments-dlq",
        "EventBusName": "order-events",
    }
