"""axe, offline: the WCAG rules on a page as it stands, once per look."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from playwright.sync_api import Page

WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
OF_COLOUR = ("color-contrast", "link-in-text-block")  # all that a scheme can change
_SCRIPT = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
_RUN = "only => axe.run(document, {runOnly: only, resultTypes: ['violations']}).then(found => found.violations)"


@dataclass(frozen=True, slots=True)
class Look:
    """One way to see a page."""

    scheme: Literal["light", "dark"]
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.scheme}-{self.width}"


# In this order a page changes one thing at a time.
LOOKS = (Look("light", 1440, 900), Look("dark", 1440, 900), Look("dark", 390, 844), Look("light", 390, 844))


def put_on(page: Page, look: Look) -> None:
    page.set_viewport_size({"width": look.width, "height": look.height})
    page.emulate_media(color_scheme=look.scheme)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def faults_of(page: Page, look: Look) -> list[str]:
    """What axe holds against the page: rule, then where, then why.

    All rules on light at a desk and dark on a phone, which meets both widths and both schemes; else what colours can break.
    """
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(_SCRIPT)
    only: dict[str, Any] = (
        {"type": "tag", "values": WCAG} if look in (LOOKS[0], LOOKS[2]) else {"type": "rule", "values": OF_COLOUR}
    )
    return [
        f"{look}: {fault['id']} at {node['target']}: {_why(node)}"
        for fault in page.evaluate(_RUN, only)
        for node in fault["nodes"]
    ]


def overflow_of(page: Page) -> list[str]:
    """What makes the page scroll sideways (WCAG 1.4.10), and what can be pressed but lies off its left edge for good."""
    found: list[str] = page.evaluate(
        """() => {
            const told = e => e.tagName.toLowerCase() + '.' + (e.getAttribute('class') || '');
            const wide = document.documentElement.scrollWidth > innerWidth;
            const past = [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1);
            const lost = [...document.querySelectorAll('a[href],button,input,textarea,select,summary')].filter(e =>
                e.checkVisibility({visibilityProperty: true}) && !e.closest('.ag-skip') && e.getBoundingClientRect().left < -1);
            return [...(wide ? ['scrolls sideways: ' + past.slice(0, 3).map(told).join(', ')] : []),
                ...lost.map(e => 'off the left edge: ' + told(e) + ' ' + e.innerText)];
        }"""
    )
    return found


def small_targets_of(page: Page) -> list[str]:
    """What can be pressed but is less than 24 by 24 px. Stricter than WCAG 2.5.8, which lets room around a target make up for
    its size; excused are words inside a sentence, a box whose label is large enough, and bars of
    a histogram or points of a graph, beside which stand fields for the same times or a table with the same links (its exception
    “equivalent”).
    """
    found: list[str] = page.evaluate(
        """() => {
            const inText = e => getComputedStyle(e).display === 'inline' &&
                [...e.parentElement.childNodes].some(n => n !== e && n.nodeType === Node.TEXT_NODE && n.data.trim().length > 1);
            const isSmall = e => { const box = e.getBoundingClientRect();
                return box.width && box.height && (box.width < 23.5 || box.height < 23.5); };
            return [...document.querySelectorAll('a[href],button,input,select,textarea,summary')]
                .filter(e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && isSmall(e))
                .filter(e => !inText(e) && !e.closest('.ag-skip, .h-slot, .mt-slot, .mt-dot')
                    && ![...(e.labels || [])].some(label => !isSmall(label)))
                .map(e => { const box = e.getBoundingClientRect();
                    const name = (e.innerText || e.getAttribute('aria-label') || '').slice(0, 40);
                    return `target of ${Math.round(box.width)} by ${Math.round(box.height)} px: ` +
                        `${e.tagName.toLowerCase()}.${e.getAttribute('class') || ''} ${name}`; });
        }"""
    )
    return found


def _why(node: dict[str, Any]) -> str:
    return " ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])[:300]
