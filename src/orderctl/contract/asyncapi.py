"""The events and the order updates as an AsyncAPI document."""

from __future__ import annotations

from typing import Any, Final

from orderctl.contract.schemas import ORDER_UPDATE, VERSION, build_schemas, inline
from orders.events import ROUTING

_COMPONENTS: Final = "#/components/schemas/"
_BUS: Final = "order-events"
_TOPIC: Final = "order-updates"


def build_asyncapi() -> dict[str, Any]:
    """Build the AsyncAPI document of the bus and the topic, from the types of the events."""
    documents = build_schemas()
    events = {name: source for source, name in ROUTING.values()}
    sources = sorted(set(events.values()))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Order pipeline",
            "version": str(VERSION),
            "description": "What the pipeline publishes. Consumers ignore fields that they do not "
            "know. An event can arrive twice, late and in any order; updates of one order arrive "
            "in order.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {
            _BUS: {
                "address": "order-events",
                "description": "The EventBridge bus. The payload is an event's detail; its name "
                "here is the detail-type.",
                "messages": {name: _message(name) for name in sorted(events)},
            },
            _TOPIC: {
                "address": "order-updates.fifo",
                "description": "The SNS topic. The message group is the order's id.",
                "messages": {ORDER_UPDATE: _message(ORDER_UPDATE)},
            },
        },
        "operations": {
            **{
                source: _publish(_BUS, f"Only {source} may publish these.", *names)
                for source in sources
                for names in [sorted(name for name in events if events[name] == source)]
            },
            "order-updates": _publish(_TOPIC, "How an order stands.", ORDER_UPDATE),
        },
        "components": {
            "messages": {
                name: {
                    "name": name,
                    "title": documents[name]["title"],
                    "summary": documents[name]["description"],
                    "payload": {"$ref": _COMPONENTS + name},
                }
                for name in sorted({*events, ORDER_UPDATE})
            },
            "schemas": _schemas({name: documents[name] for name in {*events, ORDER_UPDATE}}),
        },
    }


def _message(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{name}"}


def _publish(channel: str, summary: str, *names: str) -> dict[str, Any]:
    return {
        "action": "send",
        "summary": summary,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _schemas(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The schemas of the details, and those that they refer to."""
    referred = {
        name: inline(schema, _COMPONENTS)
        for document in documents.values()
        for name, schema in document.get("$defs", {}).items()
    }
    own = {name: inline(document, _COMPONENTS) for name, document in sorted(documents.items())}
    return {**own, **referred}
