import subprocess

from tests.e2e.browser import provide_chromium


def test_the_browser_is_debians(browser):
    """What is driven is the Chromium that Debian built, not one that Playwright brought along."""
    told = subprocess.run([provide_chromium(), "--version"], capture_output=True, text=True, check=True).stdout
    assert "Debian" in told
    assert browser.version in told.split()
