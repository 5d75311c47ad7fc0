"""Makes the pages of `make docs` out of what is written for a reader of the repository."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
START: Final = "index.md"

_LINK: Final = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README as the first page, and the pictures that pages show from elsewhere."""
    files.append(File.generated(config, START, content=(ROOT / "README.md").read_text()))
    for path in (ROOT / "bench" / "results").glob("*.svg"):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead each link of a page to where it leads in the repository.

    What is not on the site, such as source code, is only named.

    Raises:
        PluginError: a link leads to a file that does not exist.
    """
    uri = page.file.src_uri
    source = "README.md" if uri == START else f"docs/{uri}"

    def lead(link: re.Match[str]) -> str:
        picture, text, target, anchor = link.groups()
        if ":" in target:
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if not (ROOT / path).exists():
            raise PluginError(f"{source} has a link to {path}, which does not exist")
        on_site = START if path == "README.md" else path.removeprefix("docs/")
        if files.get_file_from_path(on_site) is None:
            return text
        relative = posixpath.relpath(on_site, posixpath.dirname(uri) or ".")
        return f"{picture}[{text}]({relative}{anchor or ''})"

    return _LINK.sub(lead, markdown)
