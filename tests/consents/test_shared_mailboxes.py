"""A mailbox that several people share has no user who could consent for it, so it has no consents."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.service import wait_for_lease
from tests.support.api import question, refused, running, subject
from tests.support.consent_page import Person, ask_link, link
from tests.support.consents import grant
from tests.support.databases import new_database
from tests.support.imports import imported, row
from tests.support.people import people


def _share(api, mailbox, *, shared=True, **more):
    return api.call("POST", "/v1/subjects/mailboxes", {"subject": subject(mailbox), "shared": shared, **more})


def _shared(api, mailbox, *, shared=True):
    answer = _share(api, mailbox, shared=shared)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def api(shared):
    """A service with a processing; each test uses names of its own."""
    shared.register("ads")
    return shared


@pytest.fixture
def contact():
    """The name of a mailbox that no other test knows."""
    return people("contact")[0]


@pytest.fixture(scope="module", params=["leased", "strict"])
def asked(request):
    """A service that answers from memory, and one that reads the primary for each question."""
    with new_database() as database, running(database, cache=request.param) as api:
        if request.param == "leased":
            wait_for_lease(api)
        api.register("ads")
        api.register("training", purpose="service_improvement", party_mode="all_local_users")
        api.register("spam", purpose="unsolicited_content_detection")
        yield api


def test_what_rests_on_consent_is_denied_and_the_rest_is_untouched(asked):
    """Marking a mailbox as shared closes its consents and denies what needs one; a purpose of III stays permitted."""
    contact, never_decided = people("contact", "never-decided")
    consent = asked.decide(contact, "ads")["id"]
    assert asked.reason(contact, "ads") == "consent_in_force"
    marked = _shared(asked, contact)
    assert marked["ended"] == [consent]
    assert asked.ok("GET", f"/v1/consents/{consent}")["state"] == "closed"
    assert [asked.reason(contact, about) for about in ("ads", "training")] == ["other_party"] * 2
    assert asked.evaluate(contact, "spam")["decision"] is True
    assert _shared(asked, never_decided)["ended"] == []
    assert asked.reason(never_decided, "ads") == "other_party"
    assert _shared(asked, contact) == {**marked, "ended": []}


def test_it_stands_in_the_way_where_parties_are_asked(asked, contact, alice):
    """A shared mailbox among the participants denies a processing that asks other parties, and no other processing."""
    parties = [{"id": contact, "local": True}]
    for name, about in ((alice, "ads"), (alice, "training"), (contact, "training")):
        asked.decide(name, about)
    assert asked.reason(alice, "training", participants=parties) == "consent_in_force"
    _shared(asked, contact)
    assert asked.reason(alice, "training", participants=parties) == "other_party"
    assert asked.reason(alice, "ads", participants=parties) == "consent_in_force"


def test_nothing_comes_back_with_the_end_of_the_mark(asked, contact):
    """A mailbox that is no longer shared has no decision from before, and can consent anew."""
    asked.decide(contact, "ads")
    _shared(asked, contact)
    assert _shared(asked, contact, shared=False)["shared"] is False
    assert asked.reason(contact, "ads") == "no_consent"
    assert refused(_share(asked, contact, shared=False)) == (404, "not-found")
    asked.decide(contact, "ads")
    assert asked.reason(contact, "ads") == "consent_in_force"


def test_a_consent_is_refused_by_every_way(api, contact):
    """A shared mailbox's consent is refused in every way of giving it; its refusal and withdrawal are recorded."""
    page = Person(api, link(api, contact, "ads"))
    form = page.open().filled("accept", "ads")
    _shared(api, contact)
    consent = grant(contact, "ads")
    assert refused(api.call("POST", "/v1/consents", consent)) == (409, "mailbox-shared")
    [item] = api.ok("POST", "/v1/consents/batch", {"items": [consent]})["items"]
    assert (item["status"], item["problem"]["type"].rpartition(":")[2]) == (409, "mailbox-shared")
    assert "mailbox-shared" in str(imported(api, row(1, contact)))
    assert page.send(form).status == 410
    assert refused(ask_link(api, contact, "ads")) == (409, "mailbox-shared")
    api.decide(contact, "ads", "refused")
    assert api.withdraw(contact, "ads")["withdrawn"] == []
    assert api.reason(contact, "ads") == "other_party"


def test_it_is_nobodys_name(api, contact, alice):
    """A shared mailbox cannot be linked to a person in either order, and takes no list of holders."""
    _shared(api, contact)
    for one, other in ((contact, alice), (alice, contact)):
        body = {"from": subject(one), "to": subject(other), "basis": "user_proved"}
        assert refused(api.call("POST", "/v1/subjects/links", body)) == (409, "mailbox-shared")
    assert _share(api, contact, holders=[subject(alice)]).status_code == 422


def test_the_other_names_of_the_account_that_it_had_are_closed_with_it(api):
    """The other names of a mailbox's account are closed when it is marked as shared, and are not shared themselves."""
    contact, info = people("contact", "info")
    api.link_names(info, contact)
    api.decide(info, "ads")
    _shared(api, contact)
    assert [api.reason(name, "ads") for name in (contact, info)] == ["other_party", "no_consent"]


@pytest.mark.parametrize("leaves", ["closures", "erasures"])
def test_the_next_holder_of_the_address_starts_with_nothing(api, leaves, contact):
    """After a closure or erasure of a shared mailbox, the address is no longer shared, and can consent."""
    _shared(api, contact)
    api.ok("POST", f"/v1/subjects/{leaves}", {"subject": subject(contact)})
    assert api.reason(contact, "ads") == "no_consent"
    api.decide(contact, "ads")
    assert api.reason(contact, "ads") == "consent_in_force"


def test_an_explanation_names_the_rule(api, contact):
    """An explanation about a shared mailbox names rule 9b; an export says since when the mailbox is shared."""
    marked = _shared(api, contact)
    explanation = api.ok("POST", "/v1/explanations", question(contact, "ads"))
    assert (explanation["context"]["reason"], explanation["rules"][-1]["rule"]) == ("other_party", "9b")
    export = api.ok("POST", "/v1/subjects/exports", {"subject": subject(contact)})
    assert export["shared_since"] == marked["effective_at"].replace("+00:00", "Z")


def test_a_mark_beside_a_consent_leaves_none_in_force(api):
    """A consent at once with the mark of a shared mailbox is closed or refused."""
    for _ in range(12):
        [mailbox] = people("contact")
        with ThreadPoolExecutor(2) as pool:
            granted = pool.submit(api.call, "POST", "/v1/consents", grant(mailbox, "ads"))
            marked = pool.submit(_shared, api, mailbox)
        if granted.result().status_code == 201:
            assert marked.result()["ended"] == [granted.result().json()["id"]]
        else:
            assert refused(granted.result()) == (409, "mailbox-shared")
        assert api.reason(mailbox, "ads") == "other_party"
