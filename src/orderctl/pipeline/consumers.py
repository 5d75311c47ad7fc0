"""The consumers of the queues: their event source mappings, which can be paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orderctl.errors import OrderctlError
from orderctl.waiting import wait_until
from orders.circuit_breaker.circuits import Circuits
from orders.clock import utc_now

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 180.0  # AWS may take a minute or two
_IN_BETWEEN = ("Creating", "Enabling", "Disabling", "Updating")


class Consumer:
    """An event source mapping, which hands a queue's messages to its function."""

    def __init__(
        self, functions: LambdaClient, name: str, mapping: str, circuits: Circuits | None = None
    ) -> None:
        """Take a consumer.

        Args:
            functions: a client.
            name: its name.
            mapping: the UUID of its event source mapping.
            circuits: where its circuit is, if it has one.
        """
        self.name = name
        self._functions = functions
        self._mapping = mapping
        self._circuits = circuits

    def state(self) -> str:
        """The state of its mapping, such as Enabled or Disabling."""
        return self._functions.get_event_source_mapping(UUID=self._mapping)["State"]

    def switch(self, *, on: bool) -> bool:
        """Turn it on or off, and wait until that is done.

        The circuit breaker never turns on what was turned off here. What is turned on here it
        turns off only for another reason.

        Returns:
            Whether this changed anything.

        Raises:
            OrderctlError: it did not reach the state in time.
        """
        target = "Enabled" if on else "Disabled"
        if self._circuits:
            note = self._circuits.release if on else self._circuits.hold
            note(self.name, utc_now())
        # AWS refuses a change while another is under way.
        if self._wait_until_settled() == target:
            return False
        self._functions.update_event_source_mapping(UUID=self._mapping, Enabled=on)
        state = self._wait_until_settled()
        if state != target:
            raise OrderctlError(
                f"{self.name} is {state} after {_PATIENCE_SECONDS:.0f} s, not {target}. "
                "Try again: AWS may still be changing it."
            )
        return True

    def _wait_until_settled(self) -> str:
        return wait_until(
            self.state,
            patience_seconds=_PATIENCE_SECONDS,
            poll_seconds=_POLL_SECONDS,
            enough=lambda state: state not in _IN_BETWEEN,
        )
