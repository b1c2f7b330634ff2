"""Debian's Chromium, driven by Playwright, with nothing but this machine's loopback to talk to."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.e2e.debian import provide


def provide_chromium() -> str:
    """Where Chromium is, installed from Debian if it is missing.

    Raises Unavailable when that cannot be done here.
    """
    return provide("chromium", ("chromium", "fonts-dejavu-core"), "the pages are tried in Chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that resolves no name but localhost, and reaches nothing but this machine."""
    rules = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=provide_chromium(), args=[rules, "--no-proxy-server"])
        try:
            yield browser
        finally:
            browser.close()
