"""Every place of a JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def with_everywhere(document: Any, text: str) -> Iterator[Any]:  # noqa: ANN401 - any JSON value
    """The document again and again, each time with a text in another place.

    In place of each value, as a further field of each object and instead of its name, and as a
    further entry of each list.
    """
    yield text
    match document:
        case dict():
            yield {**document, text: text}
            for name, value in document.items():
                rest = {other: kept for other, kept in document.items() if other != name}
                yield {**rest, text: value}
                for changed in with_everywhere(value, text):
                    yield {**rest, name: changed}
        case list():
            yield [*document, text]
            for number, value in enumerate(document):
                for changed in with_everywhere(value, text):
                    yield [*document[:number], changed, *document[number + 1 :]]
