"""Mailboxes that several people share: every holder who is named must consent, whatever was decided under its name."""

from datetime import UTC, datetime
from functools import partial

import pytest

from tests.faults.service import eventually
from tests.support.api import question, running, subject
from tests.support.databases import new_database

CONTACT = "contact"


def _share(api, *holders, mailbox=CONTACT, shared=True):
    body = {"subject": subject(mailbox), "shared": shared, "holders": [subject(each) for each in holders]}
    return api.call("POST", "/v1/subjects/mailboxes", body)


def _shared(api, *holders, **more):
    answer = _share(api, *holders, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _consented(api, *names, processing="ads"):
    for name in names:
        api.decide(name, processing)


@pytest.fixture(params=["leased", "strict"])
def asked(request):
    """A service that answers from memory, and one that reads the primary for each question."""
    with new_database() as database, running(database, cache=request.param) as api:
        if request.param == "leased":
            eventually(lambda: api.ok("GET", "/readyz")["leased"])
        api.register("ads")
        yield api


def test_every_holder_must_consent(asked):
    """Not shared, the mailbox's own consent is enough; shared by two, theirs are wanted; one withdraws, and none is."""
    _consented(asked, CONTACT)
    assert asked.reason(CONTACT, "ads") == "consent_in_force"
    assert _shared(asked, "yves", "rose")["holders"] == 2
    assert asked.reason(CONTACT, "ads") == "other_party"
    _consented(asked, "yves")
    assert asked.reason(CONTACT, "ads") == "other_party"
    _consented(asked, "rose")
    assert [asked.reason(CONTACT, "ads") for _ in range(2)] == ["consent_in_force"] * 2
    asked.withdraw("rose", "ads")
    assert asked.reason(CONTACT, "ads") == "other_party"


def test_a_statement_takes_the_place_of_the_one_before(asked):
    """Another holder must consent too; with none named nobody can; `shared: false` gives the mailbox back to one."""
    _consented(asked, CONTACT, "yves")
    first = _shared(asked, "yves")
    assert asked.reason(CONTACT, "ads") == "consent_in_force"
    assert _shared(asked, "yves") == first
    assert _shared(asked, "yves", "rose")["id"] != first["id"]
    assert asked.reason(CONTACT, "ads") == "other_party"
    assert _shared(asked)["holders"] == 0
    assert asked.reason(CONTACT, "ads") == "other_party"
    assert _shared(asked, shared=False)["shared"] is False
    assert asked.reason(CONTACT, "ads") == "consent_in_force"
    assert _share(asked, shared=False).status_code == 404


def test_a_minor_who_holds_a_mailbox_cannot_consent_alone(asked):
    """An age that is stated of a holder counts for the mailbox at once."""
    _consented(asked, CONTACT, "yves")
    _shared(asked, "yves")
    assert asked.reason(CONTACT, "ads") == "consent_in_force"
    age = {"age_band": "under_15", "stated_by": "operator", "checked_how": "account_data"}
    asked.ok("POST", "/v1/subjects/ages", {"subject": subject("yves"), **age})
    assert asked.reason(CONTACT, "ads") == "other_party"


def test_the_mailbox_takes_part_in_the_correspondence_of_another(asked):
    """Where local users' consents are wanted, that of a shared mailbox is wanted of each of its holders."""
    asked.register("training", purpose="service_improvement", party_mode="all_local_users")
    _consented(asked, "alice", CONTACT, processing="training")
    parties = [{"id": CONTACT, "local": True}]
    assert asked.reason("alice", "training", participants=parties) == "consent_in_force"
    _shared(asked, "yves")
    assert asked.reason("alice", "training", participants=parties) == "other_party"
    _consented(asked, "yves", processing="training")
    assert asked.reason("alice", "training", participants=parties) == "consent_in_force"


@pytest.mark.parametrize("leaves", ["closures", "erasures"])
def test_the_place_of_a_holder_who_left_is_not_taken_by_the_next(asked, leaves):
    """A closed or erased account consents to nothing; whoever has the name next is no holder until that is stated."""
    _consented(asked, CONTACT, "yves")
    _shared(asked, "yves")
    assert asked.reason(CONTACT, "ads") == "consent_in_force"
    asked.ok("POST", f"/v1/subjects/{leaves}", {"subject": subject("yves")})
    assert asked.reason(CONTACT, "ads") == "other_party"
    _consented(asked, "yves")
    assert asked.reason(CONTACT, "ads") == "other_party"
    _shared(asked, "yves")
    assert asked.reason(CONTACT, "ads") == "consent_in_force"


def test_the_next_holder_of_the_address_starts_with_nothing(asked):
    """Closing the mailbox's account forgets who shared it."""
    _shared(asked, "yves")
    asked.ok("POST", "/v1/subjects/closures", {"subject": subject(CONTACT)})
    _consented(asked, CONTACT)
    assert asked.reason(CONTACT, "ads") == "consent_in_force"


def test_under_its_other_names_the_mailbox_has_the_same_holders(asked):
    """A statement holds under every linked name; a name is linked to a shared mailbox once it has the same holders."""
    link = {"from": subject(CONTACT), "to": subject("info"), "basis": "provider_account"}
    asked.ok("POST", "/v1/subjects/links", link)
    _consented(asked, CONTACT, "info", "post")
    _shared(asked, "yves")
    assert [asked.reason(name, "ads") for name in (CONTACT, "info")] == ["other_party"] * 2
    link["to"] = subject("post")
    refused = asked.call("POST", "/v1/subjects/links", link)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:sceau:problem:holders-differ")
    _shared(asked, "yves", mailbox="post")
    asked.ok("POST", "/v1/subjects/links", link)


def test_a_holder_is_a_person(api):
    """No mailbox is a holder of itself, under any of its names, or of another; no holder is a mailbox."""
    api.ok("POST", "/v1/subjects/links", {"from": subject(CONTACT), "to": subject("info"), "basis": "user_proved"})
    for own in (CONTACT, "info"):
        assert _share(api, own).json()["type"] == "urn:sceau:problem:same-subject"
    _shared(api, "yves")
    for mailbox, holder in (("sales", CONTACT), ("sales", "info"), ("yves", "rose")):
        refused = _share(api, holder, mailbox=mailbox)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:sceau:problem:holder-is-mailbox")
    assert _share(api, "yves", shared=False).status_code == 422
    assert _share(api, *(f"holder{number}" for number in range(51))).status_code == 422


def test_an_explanation_knows_who_shared_it_then(api):
    """What is explained as known before the statement is judged without it; the rule that decides now is 18."""
    api.register("ads")
    _consented(api, CONTACT)
    before = datetime.now(UTC).isoformat()
    _shared(api, "yves")
    now = api.ok("POST", "/v1/explanations", question(CONTACT, "ads"))
    assert (now["context"]["reason"], now["rules"][-1]["rule"]) == ("other_party", "18")
    then = api.ok("POST", "/v1/explanations", {**question(CONTACT, "ads"), "known_at": before})
    assert then["context"]["reason"] == "consent_in_force"


def test_another_worker_forgets_a_mailbox_with_what_its_holder_said():
    """A worker that remembers the permit of a mailbox denies once another has answered a holder's withdrawal."""
    with new_database() as database, running(database, cache="leased") as one, running(database, cache="leased") as two:
        one.register("ads")
        _consented(one, CONTACT, "yves")
        _shared(one, "yves")
        for each in (one, two):
            eventually(partial(lambda worker: worker.ok("GET", "/readyz")["leased"], each))
            assert [each.reason(CONTACT, "ads") for _ in range(2)] == ["consent_in_force"] * 2
        one.withdraw("yves", "ads")
        assert two.reason(CONTACT, "ads") == "other_party"
