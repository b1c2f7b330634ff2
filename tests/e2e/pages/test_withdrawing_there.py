"""Withdrawing where one stands, the page at `/`, and what is seen first after an answer: in a browser, on a phone."""

import re

import pytest

from tests.e2e.pages.consent import ADS, STATISTICS, press
from tests.e2e.pages.looking import LANGUAGES, PHONE, SCHEMES, each_language_and_width, look, picture_of, window
from tests.e2e.service import service
from tests.support.api import subject

TOP = "e => e.getBoundingClientRect().top"
SEEN_FIRST = 160
"""Pixels from the upper edge: above a confirmation stands at most the name of what was answered."""


def given(browser, operator, name, *processings, lang="fr"):
    """The address of everything about somebody who consented to these."""
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(operator.link(name, *processings, lang=lang))
    for each in processings:
        press(page, each, "accept")
    page.context.close()
    wanted = {"subject": subject(name), "kind": "overview", "authentication": "signed_in"}
    return f"{operator.ok('/v1/consent-links', wanted)['url']}?lang={lang}"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_where_one_stands_is_on_the_first_screen(phone, browser, operator, lang):
    """Until when, and the button that withdraws: seen without scrolling; one press, and the next answer is no."""
    who = f"first-{lang}@exemple-courriel.example"
    phone.goto(given(browser, operator, who, ADS, lang=lang))
    for wanted in (".note.good", "button[value=withdraw]"):
        box = phone.locator(wanted).first.bounding_box()
        assert box["y"] + box["height"] <= PHONE["height"]
    assert {"fr": "inclus", "en": "inclusive"}[lang] in phone.locator(".note.good").first.inner_text()
    assert operator.decision(who) == (True, "consent_in_force")
    with phone.expect_navigation():
        phone.click("button[value=withdraw]")
    assert operator.decision(who) == (False, "consent_withdrawn")
    note = phone.locator(f"#answer-{ADS} .note")
    assert {"fr": "Accord retiré le", "en": "Consent withdrawn on"}[lang] in note.inner_text()
    assert 0 <= note.evaluate(TOP) <= SEEN_FIRST
    assert phone.locator("button").count() == 0


@pytest.mark.parametrize("both", [False, True], ids=["one is asked", "two are asked"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_after_accepting_the_confirmation_is_the_first_thing_seen(phone, operator, lang, both):
    """The card of what was answered comes to the top of the window: its name, then until when the consent holds."""
    name = f"confirmed-{lang}-{both}@exemple-courriel.example"
    phone.goto(operator.link(name, *((ADS, STATISTICS) if both else (ADS,)), lang=lang))
    press(phone, ADS, "accept")
    assert 0 <= phone.locator(f"#answer-{ADS} h2").evaluate(TOP) < phone.locator(f"#answer-{ADS} .note").evaluate(TOP)
    assert phone.locator(f"#answer-{ADS} .note").evaluate(TOP) <= SEEN_FIRST
    if both:
        press(phone, STATISTICS, "accept")
        assert 0 <= phone.locator(f"#answer-{STATISTICS} .note").evaluate(TOP) <= SEEN_FIRST


def test_control_of_what_is_seen_first(phone, operator):
    """Control: the same page opened anew begins with its title, and the card is further down."""
    phone.goto(operator.link("reopened@exemple-courriel.example", ADS))
    press(phone, ADS, "accept")
    phone.goto(phone.url.partition("#")[0])
    assert phone.locator(f"#answer-{ADS} .note").evaluate(TOP) > SEEN_FIRST


@each_language_and_width
def test_the_root_can_be_read(browser, operator, axe, tmp_path, lang, width):  # noqa: PLR0917 - one of a table
    """200, no cookie, nothing from elsewhere, nothing grave for axe-core; light and dark, either language."""
    for scheme in SCHEMES:
        with window(browser, operator.address, width=width, scheme=scheme) as page:
            answer = page.goto(f"{operator.address}/?lang={lang}")
            assert answer is not None
            assert answer.status == 200
            look(page, axe, width, picture_of("home", width, lang, tmp_path) if scheme == "light" else None)
            assert page.get_by_role("link", name="dpo@exemple-courriel.example").count() >= 1
            assert page.context.cookies() == []
            with page.expect_navigation():
                page.click(".languages a")
            assert page.evaluate("document.documentElement.lang") == ({*LANGUAGES} - {lang}).pop()


def _pages(pdf):
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_receipts_fit_a_phone_and_one_page_of_paper(page, operator, tmp_path):
    """The person's own, and the one that the operator gets of the API; unfolded, the text that was shown prints too."""
    name = "paper@exemple-courriel.example"
    page.set_viewport_size(PHONE)
    page.goto(operator.link(name, ADS, lang="fr"))
    press(page, ADS, "accept")
    with page.expect_download() as saved:
        page.click("a[href$='receipt=html']")
    saved.value.save_as(tmp_path / "own.html")
    (consent,) = operator.ok("/v1/consents/search", {"subject": subject(name)})["items"]
    headers = {"Accept": "text/html", "Accept-Language": "fr"}
    (tmp_path / "record.html").write_text(
        operator.client.get(f"/v1/consents/{consent['id']}/receipt", headers=headers).text
    )
    for each in ("own", "record"):
        page.goto(f"file://{tmp_path}/{each}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert _pages(page.pdf(format="A4", path=tmp_path / f"{each}.pdf")) == 1
    with page.expect_download() as signed:
        page.click("a[download]")
    signed.value.save_as(tmp_path / "receipt.jwt")
    assert (tmp_path / "receipt.jwt").read_text().count(".") == 2
    page.goto(f"file://{tmp_path}/own.html")
    page.click("summary")
    assert _pages(page.pdf(format="A4")) > 1


@pytest.fixture(scope="module")
def branded(tmp_path_factory):
    """The address and the key of a service with a name and a colour of its operator's."""
    data = tmp_path_factory.mktemp("branded") / "data"
    with service(data, SCEAU_BRAND="Exemple Messagerie, #0b5d4e") as (address, key):
        yield address, key


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_accent_can_be_read(browser, branded, axe, tmp_path, scheme):
    """The operator's colour is used, lighter in the dark, and nothing is too pale for axe-core: on sign-in and root."""
    address, _ = branded
    for path in ("/", "/console"):
        with window(browser, address, width=390, scheme=scheme) as page:
            page.goto(f"{address}{path}")
            accent = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--accent')").strip()
            assert (accent == "#0b5d4e") is (scheme == "light")
            look(page, axe, 390, tmp_path / f"branded-{scheme}.png")
