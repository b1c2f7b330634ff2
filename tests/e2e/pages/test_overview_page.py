"""The page about everything that is held about a person, in a browser: read, unfolded, saved, printed."""

import pytest

from tests.e2e.pages.consent import ADS, STATISTICS, press
from tests.e2e.pages.looking import SCHEMES, each_language_and_width, look, picture_of, window
from tests.faults.service import eventually
from tests.support.api import question, subject

PERSON = "reader@exemple-courriel.example"


@pytest.fixture(scope="module")
def overview(browser, operator):
    """The address of the page of somebody who answered, withdrew, and about whom decisions were taken."""
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(operator.link(PERSON, ADS, STATISTICS))
    press(page, ADS, "accept")
    press(page, STATISTICS, "refuse")
    for processing in (ADS, ADS, STATISTICS):
        operator.ok("/access/v1/evaluation", question(PERSON, processing))
    press(page, STATISTICS, "accept")
    page.goto(operator.link(PERSON, STATISTICS, kind="withdraw"))
    press(page, STATISTICS, "withdraw")
    page.context.close()
    body = {"subject": subject(PERSON)}
    eventually(lambda: operator.client.post("/v1/subjects/exports", json=body).json()["decisions_by_day"])
    wanted = {**body, "kind": "overview", "authentication": "signed_in"}
    return operator.ok("/v1/consent-links", wanted)["url"]


@each_language_and_width
def test_it_can_be_read(browser, operator, axe, overview, tmp_path, lang, width):  # noqa: PLR0917 - one of a table
    """No sideways scrolling and nothing grave for axe-core, unfolded, light and dark."""
    for scheme in SCHEMES:
        with window(browser, operator.address, width=width, scheme=scheme) as page:
            page.goto(f"{overview}?lang={lang}")
            picture = picture_of("overview", width, lang, tmp_path) if scheme == "light" else None
            shown = page.get_by_text("Exemple Courriel SAS").first
            assert not shown.is_visible()  # the text that was shown is folded
            look(page, axe, width, picture)
            assert shown.is_visible()
