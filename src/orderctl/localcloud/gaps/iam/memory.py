"""What is on record of callers, remembered for a tenth of a second.

MiniStack 1.5.33 looks up a caller's key and policies anew, several times for each request, and asks
them anew. On AWS a change of them takes effect after some seconds ("Changes that I make are not
always immediately visible", IAM user guide). Here they are looked up ten times a second, and again
at once when one may have changed.
"""

import inspect
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from ministack.services import iam, sts
from ministack.services.cloudformation import provisioners

from orderctl.localcloud import seams

_REMEMBERED_SECONDS = 0.1
# Whatever changes users, roles, their keys and their policies.
_CHANGING = (
    (iam, "handle_request"),
    (sts, "handle_request"),
    (provisioners, "_provision_resource"),
    (provisioners, "_update_resource"),
    (provisioners, "_delete_resource"),
)

_Found = TypeVar("_Found")

_known: dict[Hashable, Any] = {}
_known_since = 0.0


def install() -> None:
    """Forget when something changes."""
    for module, name in _CHANGING:
        seams.replace_everywhere(module, name, _forgetting(seams.original(module, name)))


def remembered(asked: Hashable, look_up: Callable[[], _Found]) -> _Found:
    """What is known; looked up when it is not, or when that was a while ago."""
    if time.monotonic() - _known_since > _REMEMBERED_SECONDS:
        _forget()
    if asked not in _known:
        _known[asked] = look_up()
    found: _Found = _known[asked]
    return found


def _forget() -> None:
    global _known_since  # noqa: PLW0603 - one cloud a process
    _known.clear()
    _known_since = time.monotonic()


def _forgetting(change: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, after which everything is looked up again."""

    async def change_and_forget(*of: object, **more: object) -> object:
        try:
            return await change(*of, **more)
        finally:
            _forget()

    def change_now_and_forget(*of: object, **more: object) -> object:
        try:
            return change(*of, **more)
        finally:
            _forget()

    return change_and_forget if inspect.iscoroutinefunction(change) else change_now_and_forget
