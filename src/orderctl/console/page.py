"""The frame of every page, and turning elements into an answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import htpy as h
from htpy import Element, Node
from markupsafe import Markup
from starlette.responses import HTMLResponse

from orderctl.terminal.console import clean

PAGES = (
    ("/", "Flow"),
    ("/orders", "Orders"),
    ("/dead-letters", "Dead letters"),
    ("/operate", "Operate"),
    ("/film", "Film"),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it was sent, to be shown so again."""

    action: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Setting:
    """What every page shows, and what it needs to change something."""

    stack: str
    where: str
    """Such as the local cloud, or a region of AWS."""
    form_token: str
    may_change: bool
    practises: bool = False
    """Whether something may go wrong on purpose: in the local cloud."""
    sent: Sent | None = None
    """What was sent last, if it is to be shown again."""

    def typed(self, action: str) -> Mapping[str, str]:
        """What was typed in a form that is to be shown again; empty for any other."""
        return self.sent.fields if self.sent and self.sent.action == action else {}


def to_html(content: Node) -> str:
    """Elements as text, in which no character can mislead its reader.

    htpy escapes what could be taken for HTML. What the terminal must not show (see `clean`) is
    replaced here too, in one place, whoever wrote it.
    """
    return "\n".join(clean(line) for line in str(h.fragment[content]).split("\n"))


def made(html: str) -> Node:
    """What `to_html` has made, as part of a page."""
    return Markup(html)  # noqa: S704 - it is escaped already


def answer(content: Node, status: int = HTTPStatus.OK) -> HTMLResponse:
    """Elements as an answer."""
    return HTMLResponse(to_html(content), status)


def document(setting: Setting, title: str, path: str, content: Node) -> Element:
    """A whole page.

    Args:
        setting: what every page shows.
        title: its title.
        path: the entry of the menu that it belongs to.
        content: what it is about.
    """
    return h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(name="viewport", content="width=device-width, initial-scale=1"),
            h.meta(name="color-scheme", content="light dark"),
            h.title[f"{title} · {setting.stack}"],
            h.link(rel="icon", href="/static/icon.svg", type="image/svg+xml"),
            h.link(rel="stylesheet", href="/static/console.css"),
            h.script(src="/static/htmx.min.js", defer=True),
            h.script(src="/static/console.js", defer=True),
        ],
        h.body[
            h.a(".skip", href="#main")["Skip to the content"],
            h.header(".top")[
                h.a(".brand", href="/")[h.strong["Order pipeline"]],
                h.nav(aria_label="Pages")[
                    [
                        h.a(href=href, aria_current="page" if href == path else None)[name]
                        for href, name in PAGES
                    ]
                ],
                h.p(".where")[
                    h.span[f"{setting.stack}, {setting.where}"],
                    None if setting.may_change else h.span(".tag")["read-only"],
                ],
                h.p("#connection.connection", role="status", aria_live="polite")["connecting"],
            ],
            h.main("#main", tabindex="-1")[content],
        ],
    ]


def notice(text: str, tone: str = "bad", link: str = "") -> Element:
    """A remark above the content, and where to see more of it; the keyboard goes on from there."""
    role = "alert" if tone == "bad" else "status"
    return h.p(f".notice.{tone}", role=role, tabindex="-1", autofocus=True)[
        text, link and [" ", h.a(href=link)["See it"]]
    ]


def columns(*names: str, numbers: Collection[str] = ()) -> Element:
    """The head of a table.

    Args:
        names: the names of the columns.
        numbers: which columns have numbers; their names stand on the right, above them.
    """
    heads = [
        h.th(scope="col", class_="number" if name in numbers else None)[name] for name in names
    ]
    return h.thead[h.tr[heads]]
