import json
import os
import re
from urllib.parse import urlsplit

import pytest

from tests.demo.runs import ROOT
from tests.e2e.service import service

SCREENSHOT = ROOT / "docs" / "images" / "openapi.png"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A service whose register is empty."""
    with service(tmp_path_factory.mktemp("docs") / "data") as running:
        yield running


class DocsPage:
    """The page at /docs as a person uses it, and what the browser says meanwhile."""

    def __init__(self, browser, address: str, width: int):
        """Open the page in a window of a width."""
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.goto(f"{address}/docs")
        self.page.wait_for_selector(".opblock")

    def authorize(self, key: str):
        """Press Authorize and give a key."""
        self.page.click(".auth-wrapper > .authorize")
        self.page.fill(".modal-ux input", key)
        self.page.click(".modal-ux .auth-btn-wrapper .authorize")
        self.page.click(".modal-ux .btn-done")

    def block(self, method: str, path: str):
        """The block of one operation, opened."""
        shown = re.compile(rf"^{re.escape(path)}$")
        path_cell = self.page.locator(".opblock-summary-path", has_text=shown)
        operation = self.page.locator(f".opblock-{method.lower()}", has=path_cell).first
        if "is-open" not in (operation.get_attribute("class") or ""):
            operation.locator(".opblock-summary-control").click()
        operation.locator("button.execute").wait_for()
        return operation

    def execute(self, method: str, path: str, **fields: str):
        """Press Execute on what the page proposes; path parameters may be given. The status and the JSON answered."""
        block = self.block(method, path)
        for name, value in fields.items():
            block.locator(f'tr[data-param-name="{name}"] input').fill(value)
        with self.page.expect_response(lambda response: response.request.method == method) as answered:
            block.locator("button.execute").click()
        response = answered.value
        block.locator(".live-responses-table .response").first.wait_for()
        body = response.body()
        return response.status, json.loads(body) if body else None


@pytest.fixture
def docs(browser, served):
    """The page in a wide window, with nothing to complain about until its test's end."""
    opened = DocsPage(browser, served[0], 1280)
    yield opened
    assert opened.complaints == []
    assert opened.hosts == {urlsplit(served[0]).netloc}
    opened.page.close()


def test_the_whole_job_from_the_page(docs, served):
    """Authorize; then the proposals, unedited: register, consent, permit, withdraw, deny, explain, search."""
    docs.authorize(served[1])
    status, processing = docs.execute("POST", "/v1/processings")
    assert (status, processing["id"]) == (201, "ads-mail")
    assert docs.execute("GET", "/v1/processings")[0] == 200
    assert docs.execute("GET", "/v1/processings/{id}")[1]["id"] == "ads-mail"
    status, consent = docs.execute("POST", "/v1/consents")
    assert (status, consent["state"]) == (201, "in_force")
    status, permit = docs.execute("POST", "/access/v1/evaluation")
    assert (status, permit["decision"], permit["context"]["consent"]) == (200, True, consent["id"])
    status, batch = docs.execute("POST", "/access/v1/evaluations")
    assert (status, [each["decision"] for each in batch["evaluations"]]) == (200, [True, False])
    status, withdrawn = docs.execute("POST", "/v1/withdrawals")
    assert (status, withdrawn["withdrawn"]) == (200, [consent["id"]])
    status, deny = docs.execute("POST", "/access/v1/evaluation")
    assert (status, deny["decision"], deny["context"]["reason"]) == (200, False, "consent_withdrawn")
    assert docs.execute("POST", "/v1/explanations")[1]["context"]["reason"] == "consent_withdrawn"
    assert [each["id"] for each in docs.execute("POST", "/v1/consents/search")[1]["items"]] == [consent["id"]]
    history = docs.execute("GET", "/v1/consents/{id}/history", id=consent["id"])[1]
    assert [each["kind"] for each in history["items"]] == ["granted", "withdrawn"]


def test_the_first_operation_stands_on_the_first_screen(docs):
    """Authorize, and the first operation, are seen without scrolling at a desktop's size; everything is a link away."""
    for part in (docs.page.locator(".auth-wrapper > .authorize"), docs.page.locator(".opblock").first):
        box = part.bounding_box()
        assert box["y"] + box["height"] <= 900
    docs.page.click("nav >> text=Everything")
    docs.page.wait_for_selector(".opblock")
    assert docs.page.locator(".opblock").count() > 60


def test_key_of_a_mail_server_from_the_page(docs, served):
    """A key is made, listed and revoked from the page; in the place of the caller's own, curl is told a placeholder."""
    docs.authorize(served[1])
    status, made = docs.execute("POST", "/v1/keys")
    assert (status, made["key"][:6]) == (201, "sceau_")
    assert made["id"] in {each["id"] for each in docs.execute("GET", "/v1/keys")[1]["items"]}
    assert docs.execute("DELETE", "/v1/keys/{id}", id=made["id"]) == (204, None)
    assert "Bearer YOUR_KEY" in docs.page.locator(".curl").first.inner_text()
    assert served[1] not in docs.page.locator("body").inner_text()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off(browser, served, width):
    """At a desktop's and a phone's width the page, an open operation included, does not scroll sideways."""
    opened = DocsPage(browser, served[0], width)
    opened.block("POST", "/v1/consents")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.complaints == []
    opened.page.close()


def test_screenshot_for_the_readme(browser, served, tmp_path):
    """The picture in docs/images is a PNG of under 300 kB; SCEAU_TEST_SCREENSHOT makes it anew."""
    target = SCREENSHOT if os.environ.get("SCEAU_TEST_SCREENSHOT") else tmp_path / "page.png"
    opened = DocsPage(browser, served[0], 1280)
    opened.block("POST", "/access/v1/evaluation").scroll_into_view_if_needed()
    opened.page.set_viewport_size({"width": 1280, "height": 1400})
    opened.page.evaluate("window.scrollTo(0, 0)")
    opened.page.screenshot(path=target)
    opened.page.close()
    for picture in (target, SCREENSHOT):
        content = picture.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert len(content) < 300_000
