"""The console in Chromium: what two people, a person's request and a new key come to, by mouse and by keyboard."""

import pytest

from tests.e2e.lived_in import fill
from tests.e2e.pages.consent import ADS, Operator
from tests.e2e.pages.looking import SCHEMES, WIDTHS, each_language_and_width, give_key, look, picture_of, tab_to, window
from tests.e2e.service import service
from tests.support.api import processing

PERSON = "p3-0@exemple.example"
PAGES = {
    "home": "/console",
    "register": "/console/register",
    "processing": f"/console/register/{ADS}",
    "controllers": "/console/controllers",
    "propose": f"/console/register/{ADS}/new",
    "people": "/console/people",
    "person": "/console/person",
    "renewals": "/console/renewals",
    "report": "/console/report",
    "staff": "/console/staff",
    "callers": "/console/callers",
}
ZOOMED = [pytest.param(640, id="200 %", marks=pytest.mark.deep), pytest.param(320, id="400 %")]
"""A window of 1,280 pixels, in CSS pixels, when everything in it is that much larger (WCAG 1.4.4, 1.4.10)."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A service that was used for a while: its address and a key."""
    data = tmp_path_factory.mktemp("console") / "data"
    with service(data, SCEAU_JOBS="false", SCEAU_WEBHOOK_NETWORKS="127.0.0.0/8") as (address, key):
        operator = Operator(address, key)
        fill(operator, data)
        operator.client.close()
        yield address, key


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A service in which two persons decide: its address, and the keys of both."""
    data = tmp_path_factory.mktemp("two") / "data"
    with service(data, SCEAU_JOBS="false", SCEAU_REGISTER_APPROVAL="two") as (address, key):
        operator, scopes = Operator(address, key), ("register:read", "register:write", "register:approve")
        yield address, [operator.person(name, *scopes) for name in ("Ada Exemple", "Bob Exemple")]
        operator.client.close()


def sign_in(page, address, key, lang="en"):
    """Come from the address of the console, be asked for the key, and give it."""
    page.goto(f"{address}/console?lang={lang}")
    give_key(page, key)
    page.wait_for_url("**/console?lang=*")


def find(page, address, lang="en"):
    """Open a person's page by its form."""
    page.goto(f"{address}/console/people?lang={lang}")
    page.fill("input[name=id]", PERSON)
    page.press("input[name=id]", "Enter")
    page.wait_for_url("**/console/person?lang=*")


def test_signing_in_by_keyboard(page, site):
    """With Tab and Enter alone: past the frame to the key, to the console, to its menu, out again."""
    address, key = site
    page.goto(f"{address}/console?lang=fr")
    assert tab_to(page, "key") == ["Aller au contenu", "In English", "key"]
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console?lang=fr")
    assert page.inner_text("h1") == "Console"
    assert key not in page.content()
    tab_to(page, "Registre")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/register?lang=fr")
    assert page.get_by_role("link", name="Registre", exact=True).get_attribute("aria-current") == "page"
    page.get_by_role("button", name="Se déconnecter").press("Enter")
    page.wait_for_url("**/console/sign-in?lang=fr")
    page.goto(f"{address}/console/register")
    assert page.locator("#key").count() == 1


@each_language_and_width
def test_every_page(browser, site, axe, tmp_path, lang, width):  # noqa: PLR0917 - one of a table
    """With every form unfolded no sideways scrolling, and nothing grave for axe-core; a picture of it folded.

    Nothing is asked of another site. Colours are those of every language: what is dark is looked at in one.
    """
    address, key = site
    for scheme in SCHEMES if lang == "fr" else ("light",):
        with window(browser, address, width=width, scheme=scheme) as page:
            pictured = scheme == "light"
            page.goto(f"{address}/console?lang={lang}")
            look(page, axe, width, picture_of("console-sign-in", width, lang, tmp_path) if pictured else None)
            sign_in(page, address, key, lang)
            find(page, address, lang)
            for name, path in PAGES.items():
                page.goto(f"{address}{path}?lang={lang}")
                look(page, axe, width, picture_of(f"console-{name}", width, lang, tmp_path) if pictured else None)
                assert page.locator("h1").count() == 1, path


@pytest.mark.parametrize("width", ZOOMED)
def test_every_page_enlarged(page, site, width):
    """At 200 % and at 400 % nothing is cut off to the side, with every form unfolded."""
    address, key = site
    page.set_viewport_size({"width": width, "height": 450})
    sign_in(page, address, key)
    find(page, address)
    for path in PAGES.values():
        page.goto(f"{address}{path}?lang=fr")
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_charts_are_readable(page, site):
    """On a phone the labels of charts are no smaller than 10 pixels, and no part of a bar is outside its chart."""
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, *site)
    assert page.locator("svg[role=img]").count() == 2
    for chart in page.locator("svg[role=img]").all():
        outer = chart.bounding_box()
        for label in chart.locator("text").all():
            box = label.bounding_box()
            assert box["height"] >= 10
            assert box["x"] >= outer["x"] - 1
            assert box["x"] + box["width"] <= outer["x"] + outer["width"] + 1


def test_it_prints(page, site):
    """On paper there is no menu and no button, and every table is whole."""
    page.set_viewport_size({"width": 794, "height": 1123})
    sign_in(page, *site)
    page.goto(f"{site[0]}/console/register?lang=en")
    page.emulate_media(media="print")
    assert not page.locator(".sign-out").is_visible()
    assert not page.locator(".menu").is_visible()
    for region in page.locator(".scroll").all():
        assert region.evaluate("e => getComputedStyle(e).overflowX") == "visible"


def test_what_waits_and_what_is_wrong(browser, two, axe, tmp_path):
    """What a second person reads before they approve; a form that was refused leads to its fields; pictures."""
    address, (ada, bob) = two
    proposes, approves = Operator(address, ada), Operator(address, bob)
    body = processing("stats-mail", purpose="statistics", name={"fr": "Statistiques", "en": "Statistics"})
    proposes.ok("/v1/processings", body)
    approves.ok("/v1/rulings", {"processing": "stats-mail", "version": 1, "approved": True, "reason": "Read."})
    version = {**body, "retention": "P60D", "material": True}
    del version["id"]
    proposes.ok("/v1/processings/stats-mail/versions", version)
    for each in (proposes, approves):
        each.client.close()
    for width in WIDTHS:
        page = browser.new_page(viewport={"width": width, "height": 900})
        sign_in(page, address, bob, "fr")
        page.goto(f"{address}/console/register/stats-mail?lang=fr")
        page.get_by_text("Approuver", exact=True).first.click()
        look(page, axe, width, picture_of("console-approve", width, "fr", tmp_path))
        page.goto(f"{address}/console/register/stats-mail?lang=fr")
        page.context.close()
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    sign_in(page, address, ada, "fr")
    page.goto(f"{address}/console/propose?lang=fr")
    page.get_by_role("button", name="Proposer ce traitement").click()
    page.wait_for_selector("[role=alert]")
    look(page, axe, 1280, picture_of("console-refused", 1280, "fr", tmp_path))
    page.get_by_role("alert").get_by_role("link", name="Référence", exact=True).click()
    assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    page.context.close()
