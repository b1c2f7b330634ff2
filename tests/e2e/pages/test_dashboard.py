import pytest

from tests.e2e.lived_in import fill
from tests.e2e.pages.axe import findings
from tests.e2e.pages.consent import Operator
from tests.e2e.pages.looking import LANGUAGES, SCHEMES, WIDTHS, give_key, look, picture_of, tab_to, window
from tests.e2e.service import service


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A service that was used for a while: its address and a key."""
    data = tmp_path_factory.mktemp("dashboard") / "data"
    with service(data, SCEAU_JOBS="false", SCEAU_WEBHOOK_NETWORKS="127.0.0.0/8") as (address, key):
        operator = Operator(address, key)
        fill(operator, data)
        operator.client.close()
        yield address, key


def sign_in(page, site, lang="en"):
    """Come from the address of the dashboard, be asked for the key, and give it."""
    address, key = site
    page.goto(f"{address}/dashboard?lang={lang}")
    give_key(page, key)
    page.wait_for_url("**/dashboard?lang=*")


def test_signing_in_by_keyboard(browser, site):
    """With Tab and Enter alone: past the frame to the key, to the dashboard, to its sections, out again."""
    address, key = site
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/dashboard?lang=fr")
    assert tab_to(page, "key") == ["Aller au contenu", "In English", "key"]
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard?lang=fr")
    assert page.inner_text("h1") == "Tableau de bord"
    assert key not in page.content()
    tab_to(page, "Se déconnecter")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard/sign-in?lang=fr")
    page.goto(f"{address}/dashboard")
    assert page.locator("#key").count() == 1
    page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_dashboard(browser, site, axe, tmp_path, lang, width):  # noqa: PLR0917 - one of a table
    """No sideways scrolling, nothing grave for axe-core, light and dark; nothing asked of another site; a picture."""
    for scheme in SCHEMES:
        with window(browser, site[0], width=width, scheme=scheme) as page:
            page.goto(f"{site[0]}/dashboard?lang={lang}")
            for name in ("sign-in", "dashboard"):
                if name == "dashboard":
                    sign_in(page, site, lang)
                    assert page.locator("svg[role=img]").count() == 2
                look(page, axe, width, picture_of(name, width, lang, tmp_path) if scheme == "light" else None)


def test_control_of_the_checker(browser, site, axe):
    """Control: a chart without its title and a text too pale are found."""
    page = browser.new_page()
    sign_in(page, site)
    page.evaluate("document.querySelector('svg').removeAttribute('aria-labelledby')")
    page.evaluate("document.querySelector('svg').replaceChildren()")
    page.evaluate("document.querySelector('h1').style.color = '#ddd'")
    found = " ".join(findings(page, axe))
    assert "svg-img-alt" in found
    assert "color-contrast" in found
    page.context.close()


def test_charts_are_readable(browser, site):
    """On a phone the labels of charts are no smaller than 10 pixels, and no part of a bar is outside its chart."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    sign_in(page, site)
    for chart in page.locator("svg[role=img]").all():
        outer = chart.bounding_box()
        for label in chart.locator("text").all():
            box = label.bounding_box()
            assert box["height"] >= 10
            assert box["x"] >= outer["x"] - 1
            assert box["x"] + box["width"] <= outer["x"] + outer["width"] + 1
    page.context.close()


def test_it_prints(browser, site):
    """On paper there is no navigation and no button, and every table is whole."""
    page = browser.new_page(viewport={"width": 794, "height": 1123})
    sign_in(page, site)
    page.emulate_media(media="print")
    assert not page.locator(".sign-out").is_visible()
    assert not page.locator(".sections").is_visible()
    for region in page.locator(".scroll").all():
        assert region.evaluate("e => getComputedStyle(e).overflowX") == "visible"
    page.context.close()
