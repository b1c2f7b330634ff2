import hashlib
import unicodedata

import pytest

from tests.e2e.pages.axe import findings
from tests.e2e.pages.consent import ADS, BUTTON, press
from tests.e2e.pages.consent_views import opened
from tests.e2e.pages.looking import LANGUAGES, WIDTHS

SAID = """e => {
    const copy = e.cloneNode(true);
    for (const date of copy.querySelectorAll("[data-filled]")) date.textContent = "…";
    return copy.textContent;
}"""


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
