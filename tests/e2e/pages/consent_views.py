"""Each state of the consent page, and how a browser comes to it."""

from typing import Any, Final

from playwright.sync_api import Browser, Page

from tests.e2e.pages.consent import ADS, STATISTICS, Operator, press

_BOTH: Final = (ADS, STATISTICS)
VIEWS: Final[dict[str, tuple[tuple[tuple[str, str], ...], str, tuple[str, ...]]]] = {
    "ask": ((), "decide", _BOTH),
    "ask-one": ((), "decide", (ADS,)),
    "details": ((), "decide", (ADS,)),
    "renewal": (((ADS, "accept"), (STATISTICS, "accept")), "again", _BOTH),
    "renewal-one": (((ADS, "accept"),), "again", (ADS,)),
    "declined": (((ADS, "accept"),), "decline", (ADS,)),
    "refused": (((ADS, "refuse"),), "decide", (ADS,)),
    "answered": (((ADS, "accept"), (STATISTICS, "refuse")), "decide", _BOTH),
    "withdraw": (((ADS, "accept"), (STATISTICS, "accept")), "withdraw", _BOTH),
    "child": ((), "child", (ADS,)),
    "parent": ((), "parent", (ADS,)),
    "teen": ((), "teen", (ADS,)),
    "awaiting": (((ADS, "accept"),), "child", (ADS,)),
    "withdrawn": (((ADS, "accept"), (ADS, "withdraw")), "decide", (ADS,)),
    "ended": ((), "ended", _BOTH),
    "error": ((), "error", _BOTH),
}
"""By name: the buttons pressed on the way, what then happens, and what the link is about."""


def opened(browser: Browser, operator: Operator, name: str, width: int, lang: str, **context: Any) -> Page:
    """One of those pages, in a window of its own."""
    presses, then, about = VIEWS[name]
    who = f"alice-{name}-{width}-{lang}-{'-'.join(map(str, context.values()))}@exemple-courriel.example"
    page = browser.new_context(viewport={"width": width, "height": 844}, **context).new_page()
    if then == "ended":
        page.goto(f"{operator.address}/consent/none?lang={lang}")
    elif then in {"child", "parent"}:
        page.goto(operator.joint(who, then, lang))
    elif then == "teen":
        page.goto(operator.link(who, *about, lang=lang, age_band="minor_15_plus"))
    else:
        page.goto(operator.link(who, *about, lang=lang))
    for processing, what in presses:
        press(page, processing, what)
    if then in {"again", "decline", "withdraw"}:
        page.goto(operator.link(who, *about, kind="withdraw" if then == "withdraw" else "decide", lang=lang))
    if then == "decline":
        press(page, ADS, "decline")
    if then == "error":  # a form that is none of the page's
        page.eval_on_selector("section input[name=seal]", "e => { e.value = '0'; }")
        press(page, ADS, "accept")
    return page


def unfold(page: Page) -> None:
    """Open every fold of a page."""
    for fold in page.locator("summary").all():
        fold.click()
