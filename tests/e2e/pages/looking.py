"""How pages behind a sign-in are looked at: in a window that is listened to, by keyboard, with a picture."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.demo.runs import ROOT
from tests.e2e.pages.axe import findings

IMAGES = ROOT / "docs" / "images"
WIDTHS = (390, 1280)
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
LANGUAGES = ("fr", "en")
Scheme = Literal["dark", "light"]
SCHEMES: Final[tuple[Scheme, ...]] = ("dark", "light")
"""The last one is the one of the pictures."""
each_language_and_width = pytest.mark.parametrize(
    ("lang", "width"),
    [
        ("fr", 390),
        ("en", 1280),
        pytest.param("fr", 1280, marks=pytest.mark.deep),
        pytest.param("en", 390, marks=pytest.mark.deep),
    ],
)
"""Two of the four run each time: each language once, and each width."""


def give_key(page: Page, key: str) -> None:
    """Type a key into the form that asks for one."""
    page.fill("#key", key)
    page.press("#key", "Enter")


@contextmanager
def window(
    browser: Browser, address: str, *, width: int, height: int = 900, scheme: Scheme = "light", **more: Any
) -> Iterator[Page]:
    """A window whose console has nothing to complain of, and which asks nothing of another site."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)
    page = context.new_page()
    complaints: list[str] = []
    requested: set[str] = set()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: requested.add(request.url.split("/")[2]))
    yield page
    assert complaints == []
    assert requested - {""} == {address.removeprefix("http://")}  # a file that was saved is of no site
    context.close()


def look(page: Page, axe: str, width: int, picture: Path | None) -> None:
    """No sideways scrolling and nothing grave for axe-core with all unfolded; first a picture, where one is wanted."""
    if picture is not None:
        page.screenshot(path=picture, full_page=True)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert findings(page, axe) == []


def picture_of(name: str, width: int, lang: str, otherwise: Path) -> Path:
    """Where the picture of a page goes: to the others when pictures are made anew, else elsewhere."""
    folder = IMAGES if os.environ.get("SCEAU_TEST_SCREENSHOT") else otherwise
    return folder / f"{name}-{width}-{lang}.png"


def tab_to(page: Page, wanted: str) -> list[str]:
    """Press Tab until something of that id or text has the focus, seen each time; what had it on the way."""
    names: list[str] = []
    while wanted not in names:
        assert len(names) < 10, names
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    return names
