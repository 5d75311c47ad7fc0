"""A call of an API goes to its service at once.

MiniStack 1.5.33 first asks, for every request, whether it is for a website, a load balancer, a
catalog and twenty other things that are told by a path or by a name of a host. A POST to the bare
address is for none of them. It also asks whether calls are to be recorded, which they are not here.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app as ministack_app

from orderctl.localcloud import seams
from orderctl.localcloud.processes import LOOPBACK

_ASKING = (
    "_handle_pre_body_request",
    "_handle_post_body_shortcuts",
    "_handle_special_data_plane_request",
)


def install() -> None:
    """Ask only for what may be something else."""
    for name in _ASKING:
        ask = _unless_an_api(seams.original(ministack_app, name))
        seams.replace(ministack_app, name, ask)
    seams.replace(ministack_app, "_maybe_record_cloudtrail", lambda *_: None)


def is_an_api(method: str, path: str, headers: dict[str, str]) -> bool:
    """Whether a request can only be for the API of a service."""
    return method == "POST" and path == "/" and headers.get("host", "").startswith(LOOPBACK)


def _unless_an_api(
    handle: Callable[..., Awaitable[object]],
) -> Callable[..., Awaitable[object]]:
    async def ask(
        method: str,
        path: str,
        headers: dict[str, str],
        *more: Any,  # noqa: ANN401 - MiniStack's
        **named: Any,  # noqa: ANN401 - MiniStack's
    ) -> object:
        if is_an_api(method, path, headers):
            return None
        return await handle(method, path, headers, *more, **named)

    return ask
