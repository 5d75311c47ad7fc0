"""`orderctl schemas`: writes the contract, and the reference of the JSON output, to docs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orderctl import paths
from orderctl.commands import app, load
from orderctl.contract.asyncapi import build_asyncapi
from orderctl.contract.compatibility import find_breaks
from orderctl.contract.openapi import build_openapi
from orderctl.contract.schemas import PLACE_ORDER, VERSION, build_schemas
from orderctl.errors import OrderctlError
from orderctl.terminal import console, json_reference

DIRECTORY = paths.ROOT / "docs" / "schemas"
REFERENCE = paths.ROOT / "docs" / "json.md"

_VERSION_DIRECTORY = f"v{VERSION}"


@app.command(help_epilogue="Example: orderctl schemas --check")
def schemas(*, check: bool = False) -> None:
    """Write JSON Schemas, OpenAPI and AsyncAPI to docs/schemas, and docs/json.md, in a checkout.

    A change that breaks those who use the contract is refused.

    Args:
        check: Only check whether they are up to date.

    Raises:
        OrderctlError: A field was removed or narrowed; or with --check, some are out of date.
    """
    if not paths.IS_CHECKOUT:
        raise OrderctlError("This is not a checkout of the project, so there are no docs to write.")
    texts = build_texts()
    if breaks := list(find_all_breaks(DIRECTORY)):
        raise OrderctlError(
            "This breaks those who use the contract:\n"
            + "".join(f"  {line}\n" for line in breaks)
            + "Nothing was written. Leave the field as it is and add another one beside it; or "
            "publish what is new under a detail-type of its own."
        )
    outdated = find_outdated(texts, DIRECTORY)
    reference = json_reference.write(load())
    is_new = not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != reference
    where = paths.display_path(DIRECTORY)
    if check and (outdated or is_new):
        files = [f"{where}/{name}" for name in outdated] + [paths.display_path(REFERENCE)] * is_new
        raise OrderctlError(f"Out of date with the code: {', '.join(files)}. Run: make schemas")
    if not check:
        _write(texts, outdated)
        REFERENCE.write_text(reference, encoding="utf-8")
    changed = f", {len(outdated)} of them changed" if outdated else ""
    console.out().print(f"{len(texts)} documents in {where} are up to date{changed}.")
    console.out().print(f"{paths.display_path(REFERENCE)} is up to date, too.")


def build_texts() -> dict[str, str]:
    """All documents, by their path below docs/schemas."""
    return {
        **{_path(name): text(schema) for name, schema in build_schemas().items()},
        "openapi.json": text(build_openapi()),
        "asyncapi.json": text(build_asyncapi()),
    }


def find_all_breaks(directory: Path) -> Iterator[str]:
    """Find what in the contract breaks those who use the one on file, each with its schema.

    Args:
        directory: Where the one on file is.
    """
    now = build_schemas()
    for path in sorted((directory / _VERSION_DIRECTORY).glob("*.json")):
        if path.stem not in now:
            yield f"{path.stem}: is removed"
            continue
        before = json.loads(path.read_text())
        is_published = path.stem != PLACE_ORDER
        for change in find_breaks(before, now[path.stem], is_published=is_published):
            yield f"{path.stem}: {change}"


def find_outdated(texts: Mapping[str, str], directory: Path) -> list[str]:
    """The files that are out of date, missing, or no longer needed.

    Args:
        texts: What should be there, by path.
        directory: Where.
    """
    files = [*directory.glob("*.json"), *directory.glob(f"{_VERSION_DIRECTORY}/*.json")]
    there = {path.relative_to(directory).as_posix(): path.read_text() for path in files}
    return sorted(
        name for name in texts.keys() | there.keys() if texts.get(name) != there.get(name)
    )


def text(schema: Mapping[str, Any]) -> str:
    """A document as its file contains it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _path(name: str) -> str:
    return f"{_VERSION_DIRECTORY}/{name}.json"


def _write(texts: Mapping[str, str], names: list[str]) -> None:
    for name in names:
        path = DIRECTORY / name
        if name in texts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[name])
        else:
            path.unlink()
