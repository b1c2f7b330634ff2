"""Debian's Chromium, driven by Playwright, with nothing but this machine's loopback to talk to."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright


class Unavailable(Exception):
    """There is no Chromium and none can be installed here."""


def provide_chromium() -> str:
    """Where Chromium is, installed from Debian if it is missing.

    Raises Unavailable when this user may not install packages.
    """
    found = shutil.which("chromium")
    if found is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise Unavailable("the API page is tried in Chromium: install it first (Debian: apt install chromium)")
        print("e2e: installing chromium from Debian", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"]):
            subprocess.run(["apt-get", "--quiet", *arguments], env=quiet, check=True, stdout=subprocess.DEVNULL)
        found = shutil.which("chromium")
    if found is None:
        raise Unavailable("Debian's package chromium brought no program of that name")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that resolves no name and reaches no address but 127.0.0.1."""
    rules = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=provide_chromium(), args=[rules, "--no-proxy-server"])
        try:
            yield browser
        finally:
            browser.close()
