import hashlib
import unicodedata
from urllib.parse import urlsplit

import pytest

from tests.e2e.pages.axe import findings
from tests.e2e.pages.consent import ADS, BUTTON, STATISTICS, press
from tests.e2e.pages.consent_views import opened
from tests.e2e.pages.looking import LANGUAGES, WIDTHS

SAID = """e => {
    const copy = e.cloneNode(true);
    for (const date of copy.querySelectorAll("[data-filled]")) date.textContent = "…";
    return copy.textContent;
}"""


@pytest.fixture
def tab(browser, operator):
    """A phone's window without scripts, which talks to the service alone and finds nothing to complain about."""
    with_nothing = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = with_nothing.new_page()
    complaints, hosts = [], set()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    yield page
    assert [each for each in complaints if "responded with a status of 404" not in each] == []
    assert hosts <= {urlsplit(operator.address).netloc}
    assert with_nothing.cookies() == []
    with_nothing.close()


def test_accept_makes_a_permit_and_the_withdraw_link_a_deny(tab, operator):
    """In French, without scripts: link, page, accept, permit; then in English: withdraw link, one press, deny."""
    tab.goto(operator.link("cycle"))
    assert operator.decision("cycle") == (False, "no_consent")
    press(tab, ADS, "accept")
    assert operator.decision("cycle") == (True, "consent_in_force")
    assert operator.decision("cycle", STATISTICS) == (False, "no_consent")
    assert "Accord en vigueur jusqu’au" in tab.inner_text("main")
    tab.goto(operator.link("cycle", ADS, kind="withdraw", lang="en"))
    press(tab, ADS, "withdraw")
    assert operator.decision("cycle") == (False, "consent_withdrawn")
    assert "You withdrew your consent on" in tab.inner_text("main")


def test_keyboard_only(page, operator):
    """With Tab and Enter alone: past the frame, to refuse, to where one stands; what has focus is always outlined."""
    page.goto(operator.link("keyboard"))
    seen = []
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [e.tagName, e.value || e.textContent.trim(), s.outlineStyle, s.outlineWidth]; })()"
        )
        seen.append(focused[:2])
        assert focused[2:] == ["solid", "3px"], focused
        if focused[:2] == ["BUTTON", "refuse"]:
            break
    assert seen[0][1] == "Aller au contenu"
    assert [each for each in seen if each[0] == "BUTTON"] == [["BUTTON", "accept"], ["BUTTON", "refuse"]]
    page.keyboard.press("Enter")
    page.wait_for_url("**#answer-ads-mail")
    assert operator.decision("keyboard") == (False, "consent_refused")
    assert page.evaluate("document.activeElement.id") == "answer-ads-mail"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "accept"


def styles(page):
    """The computed styles and the size of accept and of refuse; what is rounded only by the size."""
    style = """e => { const s = getComputedStyle(e), b = e.getBoundingClientRect();
        return [Math.round(b.width), Math.round(b.height), ...[...s].map(n => n + ': ' + s[n])]; }"""
    rounded = ("inline-size", "width", "perspective-origin", "transform-origin")
    both = (page.eval_on_selector(BUTTON.format(ADS, what), style) for what in ("accept", "refuse"))
    return [[each for each in one if not str(each).startswith(rounded)] for one in both]


def test_the_two_buttons_are_alike(browser, operator):
    """Every computed style and the size of accept and refuse are the same, at both widths, light and dark."""
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            page.goto(operator.link(f"alike-{width}-{scheme}"))
            accept, refuse = styles(page)
            assert len(accept) > 200
            assert accept == refuse
            context.close()


def test_control_of_the_comparison_of_buttons(page, operator):
    """Control: a button of another colour is not alike."""
    page.goto(operator.link("unlike"))
    page.locator(BUTTON.format(ADS, "refuse")).evaluate("e => e.style.setProperty('background-color', 'rgb(9, 9, 9)')")
    accept, refuse = styles(page)
    assert accept != refuse


@pytest.mark.parametrize("lang", LANGUAGES)
def test_hash_recomputed_in_the_browser(page, browser, operator, lang):
    """What the browser shows gives, by the recipe of docs/consent-page.md, the hash that is recorded."""
    page.goto(operator.link(f"hash-{lang}", ADS, lang=lang))
    answers = [" ".join(each.evaluate(SAID).split()) for each in page.locator("[data-said]").all()]
    digest = hashlib.sha256(unicodedata.normalize("NFC", "\n".join(answers)).encode()).hexdigest()
    assert page.get_attribute("section", "data-text-sha256") == digest
    in_page = page.evaluate("""async () => {
        const said = [...document.querySelectorAll("[data-said]")];
        const said_of = e => {
            const copy = e.cloneNode(true);
            for (const date of copy.querySelectorAll("[data-filled]")) date.textContent = "…";
            return copy.textContent.replace(/\\s+/g, " ").trim();
        };
        const lines = said.map(said_of);
        const bytes = new TextEncoder().encode(lines.join("\\n").normalize("NFC"));
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
        return [...hash].map(b => b.toString(16).padStart(2, "0")).join("");
    }""")
    assert in_page == digest
    press(page, ADS, "accept")
    kept = operator.client.get(f"/v1/presented-texts/{digest}").json()["text"]
    assert kept.split("\n") == answers


def test_sent_twice(browser, operator):
    """The same form from two windows: the second answer is a clear page, and one event is recorded."""
    address = operator.link("twice", ADS)
    context = browser.new_context()
    first, second = context.new_page(), context.new_page()
    for page in (first, second):
        page.goto(address)
    for name in ("form", "seal", "processing", "shown"):
        field = f"section input[name={name}]"
        second.eval_on_selector(field, "(e, value) => { e.value = value; }", first.get_attribute(field, "value"))
    press(first, ADS, "accept")
    with second.expect_response("**/consent/**") as answered:
        press(second, ADS, "accept")
    assert answered.value.status == 409
    assert "Votre réponse n’a été enregistrée qu’une fois." in second.inner_text("[role=alert]")
    assert second.evaluate("document.activeElement.id") == "answers"
    (consent,) = operator.ok("/v1/consents/search", {"subject": {"type": "user", "id": "twice"}})["items"]
    assert operator.history(consent["id"]) == ["granted"]
    context.close()


@pytest.mark.parametrize("altered", ["unknown", "altered", "cut"])
def test_a_link_that_leads_nowhere(tab, operator, altered):
    """Unknown, altered, cut short: a clear page with a way on, and no button."""
    path = operator.link("nowhere").partition("?")[0]
    address = {"unknown": f"{operator.address}/consent/none", "altered": path[:-2] + "..", "cut": path[:-5]}[altered]
    answer = tab.goto(f"{address}?lang=fr")
    assert answer.status == 404
    assert "Ce lien n’est plus valable" in tab.inner_text("h1")
    assert tab.locator("button").count() == 0


def test_a_scanner_that_follows_links_changes_nothing(page, operator):
    """A visit that loads everything, follows every link of the page and comes again leaves nothing behind."""
    address = operator.link("scanner")
    for _ in range(2):
        page.goto(address)
        for anchor in [each.get_attribute("href") for each in page.locator("a").all()]:
            if not anchor.startswith("http"):
                page.goto(address.partition("?")[0] + (anchor if anchor[0] in "?#" else ""))
    assert operator.decision("scanner") == (False, "no_consent")
    consents = operator.ok("/v1/consents/search", {"subject": {"type": "user", "id": "scanner"}})
    assert consents["items"] == []


def test_control_of_the_checker(browser, operator, axe):
    """Control: a button without a name and a text too pale are found."""
    page = opened(browser, operator, "ask", 390, "fr", reduced_motion="reduce")
    page.evaluate("document.querySelector('button').textContent = ''")
    page.evaluate("document.querySelector('h1').style.color = '#ddd'")
    violations = " ".join(findings(page, axe))
    assert "button-name" in violations
    assert "color-contrast" in violations
    page.context.close()


def test_large_text_and_a_narrow_window(browser, operator):
    """At 320 px and at twice the size of text nothing is cut off (WCAG 1.4.4, 1.4.10)."""
    page = opened(browser, operator, "ask", 320, "fr", locale="fr-FR")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for button in page.locator("button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
        assert box["height"] >= 44
    page.context.close()
