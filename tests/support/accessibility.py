"""What a page must be for people who do not see well or have no mouse, looked up in a browser."""

from __future__ import annotations

import re
from typing import Any, Final

from playwright.sync_api import Page

LEAST_CONTRAST: Final = 4.5
MOST_SHIFT: Final = 0.02
_NAMELESS: Final = re.compile(
    r"- (?:button|link|textbox|searchbox|combobox|slider|spinbutton|checkbox|img|region)(?! \")"
)


def nameless(page: Page) -> list[str]:
    """The controls, pictures and regions for which a screen reader has no name."""
    return [
        line.strip()
        for line in page.locator("body").aria_snapshot().splitlines()
        if _NAMELESS.search(line)
    ]


def too_faint(page: Page) -> list[str]:
    """The texts whose contrast is too low, each with it."""
    found: list[list[Any]] = page.evaluate(_CONTRASTS)
    return sorted({f"{text}: {ratio:.2f}" for text, ratio in found if ratio < LEAST_CONTRAST})


def too_wide(page: Page) -> bool:
    """Whether the page must be scrolled sideways."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return wide


def watch_shifts(page: Page) -> None:
    """Note from now on, on every page, what moves without having been touched."""
    page.add_init_script(_WATCH_SHIFTS)


def shift(page: Page) -> float:
    """How much has moved on the page since it was opened (cumulative layout shift)."""
    moved: float = page.evaluate("window.layoutShift")
    return moved


def tab_stops(page: Page) -> list[str]:
    """Press Tab through the whole page, and return what gets the focus, in order.

    Fails where one cannot see that something has it.
    """
    stops: list[str] = []
    page.evaluate("document.activeElement.blur()")
    while True:
        page.keyboard.press("Tab")
        name, visible, known = page.evaluate(_FOCUSED)
        if known or not name:
            return stops
        assert visible, f"{name} does not show that it has the focus"
        stops.append(name)


_WATCH_SHIFTS: Final = """
window.layoutShift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.layoutShift += entry.value;
  }
}).observe({ type: "layout-shift", buffered: true });
"""

_FOCUSED: Final = """() => {
  const it = document.activeElement;
  if (!it || it === document.body) return ["", false, false];
  const known = it.dataset.seenByTest === "yes";
  it.dataset.seenByTest = "yes";
  const style = getComputedStyle(it);
  const box = it.getBoundingClientRect();
  const visible = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
    && box.width > 0 && box.bottom > 0 && box.top < innerHeight;
  const name = `${it.localName} ${it.name || it.textContent.trim().slice(0, 40) || it.id}`;
  return [name, visible, known];
}"""

_CONTRASTS: Final = """() => {
  const parse = (text) => {
    const numbers = (text.match(/[\\d.]+/g) ?? []).map(Number);
    return numbers.length >= 3 ? [...numbers.slice(0, 3), numbers[3] ?? 1] : [0, 0, 0, 0];
  };
  const over = ([r, g, b, a], under) =>
    [r, g, b].map((value, index) => value * a + under[index] * (1 - a));
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const style = getComputedStyle(element);
    const own = element.localName === "g" ? element.querySelector(":scope > rect") : null;
    const colour = own ? parse(getComputedStyle(own).fill) : parse(style.backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.data.trim();
    const tag = element.localName;
    if (!text || ["title", "script", "style", "option"].includes(tag)) continue;
    if (!element.getClientRects().length || element.closest(":disabled")) continue;
    const style = getComputedStyle(element);
    const inSvg = element.namespaceURI.endsWith("svg");
    const under = behind(element);
    const front = over(parse(inSvg ? style.fill : style.color), under);
    found.push([text.slice(0, 40), ratio(front, under)]);
  }
  return found;
}"""
