"""Every state of the consent page, looked at: by the accessibility checker, and in the pictures of docs/images."""

import os

import pytest

from tests.e2e.pages.axe import findings
from tests.e2e.pages.consent_views import VIEWS, opened, unfold
from tests.e2e.pages.looking import IMAGES

IN_THE_DARK = {"ask-one", "answered", "renewal-one"}
"""The states of which there is a dark picture too."""


def picture(page, name, path):
    """A picture of the whole page, nothing focused; of a first request, of what is seen before any scrolling."""
    # Optional chaining: while a page loads, nothing has the focus, and activeElement may be null.
    page.evaluate("document.activeElement?.blur()")
    if name != "error":  # which is the answer to a form, and not at an address
        page.goto(page.url.partition("#")[0])
    if name == "details":
        page.locator("section summary").first.click()
        page.evaluate("document.activeElement?.blur()")
    if name == "ask":
        page.screenshot(path=path)
        return
    # A bar that stays at the foot of the window would lie over the middle of a picture of the whole page.
    page.evaluate("document.querySelectorAll('.all').forEach(bar => { bar.style.position = 'static'; })")
    page.screenshot(path=path, full_page=True)


@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.deep)])
@pytest.mark.parametrize("lang", ["fr", pytest.param("en", marks=pytest.mark.deep)])
@pytest.mark.parametrize("name", sorted(VIEWS))
def test_every_page(browser, operator, axe, tmp_path, name, lang, width):  # noqa: PLR0917 - one of a table
    """No sideways scrolling, nothing grave for axe-core (also unfolded, also dark), a picture for docs/images."""
    folder = IMAGES if os.environ.get("SCEAU_TEST_SCREENSHOT") else tmp_path
    # Colours are those of every language and width: what is dark is looked at in one, and where there is a picture.
    for scheme in ("dark", "light") if (lang, width) == ("fr", 1280) or name in IN_THE_DARK else ("light",):
        page = opened(browser, operator, name, width, lang, color_scheme=scheme)
        if scheme == "light" or name in IN_THE_DARK:
            dark = "-dark" if scheme == "dark" else ""
            path = f"consent-{name}-{width}-{lang}{dark}.png"
            picture(page, name, folder / path)
            for where in {folder, IMAGES}:
                kept = (where / path).read_bytes()
                assert kept[:8] == b"\x89PNG\r\n\x1a\n"
                assert len(kept) < 500_000
        unfold(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert findings(page, axe) == []
        page.context.close()
