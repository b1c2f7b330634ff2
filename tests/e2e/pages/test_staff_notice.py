import re

import pytest

from app.core.staff import first_notice
from tests.e2e.pages.axe import findings
from tests.e2e.pages.consent import Operator
from tests.e2e.pages.looking import SCHEMES, each_language_and_width, give_key, look, picture_of, window
from tests.e2e.service import service

WHOM_TO_ASK = {
    "fr": "Adressez-vous à l’équipe de sécurité, qui tient la liste des accès ; signalez-lui tout incident.",
    "en": "Ask the security team, which keeps the list of who has access; report any incident to it at once.",
}
CONFIRM = {"fr": "J’ai pris connaissance de ce texte", "en": "I have read this text and taken note of it"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The operator of a service with a complete notice."""
    data = tmp_path_factory.mktemp("staff") / "data"
    with service(data, SCEAU_JOBS="false") as (address, key):
        operator = Operator(address, key)
        operator.ok("/v1/staff/notices", completed())
        yield operator
        operator.client.close()


def completed():
    """The text that ships, as an operator completes it."""
    return {
        language: {"title": text.title, "body": re.sub(r"\[[^]]*\]", WHOM_TO_ASK[language], text.body)}
        for language, text in first_notice().items()
    }


@each_language_and_width
def test_staff_notice(browser, site, axe, tmp_path, lang, width):  # noqa: PLR0917 - one of a table
    """No sideways scrolling, nothing grave for axe-core, light and dark, before and after; nothing from elsewhere."""
    for scheme in SCHEMES:
        with window(browser, site.address, width=width, scheme=scheme) as page:
            page.goto(f"{site.address}/staff/notice?lang={lang}")
            assert findings(page, axe) == []
            give_key(page, site.person("Ada Exemple", "audit:read"))
            page.wait_for_selector("article.notice")
            for name in ("staff-notice", "staff-acknowledged"):
                if name == "staff-acknowledged":
                    page.get_by_role("button", name=CONFIRM[lang]).click()
                    page.wait_for_selector(".note.good")
                look(page, axe, width, picture_of(name, width, lang, tmp_path) if scheme == "light" else None)
