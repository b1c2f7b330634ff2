"""What the consent page records proves itself: the act, the text as it was shown, its language and its hash."""

from importlib.metadata import version

import pytest

from tests.support.consent_page import Person, ask_link, consents, history, link

ALL = ("ads-mail", "stats-mail", "better-mail")


def test_the_evidence(shared):
    """What is recorded proves itself: act, default, language, version, hash as on the page, authentication, link."""
    how = {"authentication": "signed_in_strong", "age_band": "minor_15_plus"}
    made = ask_link(shared, "proof", "ads-mail", **how).json()
    person = Person(shared, made["url"].removeprefix("https://sceau.example.fr"), "en")
    page = person.open()
    person.press("accept", "ads-mail")
    (recorded,) = history(shared, "proof")
    assert recorded["evidence"] == {
        "method": "web_form",
        "positive_act": "button_clicked",
        "default_state": "unselected",
        "separate_from_terms": True,
        "conditional": False,
        "language": "en",
        "notice_version": 1,
        "presented_text_sha256": page.fingerprint("ads-mail"),
        "presented_page_sha256": recorded["evidence"]["presented_page_sha256"],
        "authentication": "signed_in_strong",
        "link": made["id"],
        "build": f"{version('sceau')} unknown",
    }
    assert recorded["capacity"] == {"given_by": "self", "age_band": "minor_15_plus"}
    (consent,) = consents(shared, "proof")
    assert consent["state"] == "in_force"


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_hash_can_be_recomputed_and_its_text_read(shared, lang):
    """An outsider's computation from the page gives its hash, shown after the answer; the API has the text."""
    person = Person(shared, link(shared, f"outsider-{lang}", *ALL), lang)
    page = person.open()
    for each in ALL:
        assert page.fingerprint(each) == page.stated[each]
        assert page.stated[each] not in page.text()  # whoever has decided nothing has nothing to prove
    after = person.press("accept", "stats-mail")
    assert after.stated["ads-mail"] not in after.text()
    assert f"<code>{page.stated['stats-mail']}</code>" in after.html
    assert after.text().count("Preuve" if lang == "fr" else "Proof") == 1  # folded, of what was answered
    kept = shared.ok("GET", f"/v1/presented-texts/{page.stated['stats-mail']}")
    assert kept["text"].split("\n") == [" ".join(line.split()) for line in page.said["stats-mail"]]
