import unicodedata

import pytest

from app.ledger.identifiers import Pseudonyms
from tests.support.api import PSEUDONYM_KEY, question, running, subject
from tests.support.databases import rows
from tests.support.people import people

VAULT = "SELECT sealed_for, wrapped_key FROM subject_vault"
COMPOSED, DECOMPOSED = "zoé@exemple.fr", unicodedata.normalize("NFD", "zoé@exemple.fr")


def _since(before, now):
    return [each for each in now if each not in before]


def _locator(name, kind="user"):
    return Pseudonyms(bytes.fromhex(PSEUDONYM_KEY)).locator(kind, name)


@pytest.mark.parametrize("other", ["ZOÉ@exemple.fr", "Zoé@EXEMPLE.FR", DECOMPOSED, DECOMPOSED.upper()])
def test_one_subject_in_every_writing(asking, other):
    """Capitals and Unicode composition make no other subject: a withdrawal in one writing ends a consent in another."""
    assert COMPOSED != DECOMPOSED
    consent = asking.decide(COMPOSED, "ads-mail")
    assert asking.reason(other, "ads-mail") == "consent_in_force"
    assert asking.withdraw(other)["withdrawn"] == [consent["id"]]
    assert asking.reason(COMPOSED, "ads-mail") == "consent_withdrawn"


def test_ids_are_apart_where_the_setting_says_exact(database):
    """With `exact` ids that differ in capitals are two subjects; a type may be the exception."""
    with running(database, subject_ids="address,mxid=exact") as asking:
        asking.agreed("ads-mail", "Alice")
        assert asking.reason("alice", "ads-mail") == "consent_in_force"
        body = {"subject": subject("@Alice:x", "mxid"), "processing": "ads-mail"}
        asking.ok("POST", "/v1/withdrawals", body)
        consent = asking.decide("ignored", "ads-mail", subject=subject("@alice:x", "mxid"))
        assert consent["state"] == "in_force"


def test_a_type_is_a_namespace(asking, alice):
    """One id in two types is two subjects."""
    asking.decide(alice, "ads-mail")
    asking.ok("POST", "/v1/withdrawals", {"subject": subject(alice, "mailbox")})
    assert asking.reason(alice, "ads-mail") == "consent_in_force"


def test_white_space_and_look_alikes_are_other_subjects(asking, alice):
    """Only case and composition are folded: an id with a space or a look-alike letter is another subject."""
    asking.decide(alice, "ads-mail")
    for other in (f"{alice} ", f"\u0430{alice[1:]}", f"{alice}\u200b", alice.replace("i", "1")):
        assert asking.reason(other, "ads-mail") == "no_consent"


def test_a_participant_is_normalised_like_the_subject(asking):
    """A participant is matched with the subject of that id in any spelling."""
    asking.register("training", purpose="service_improvement", party_mode="all_local_users")
    alice, bob = people("alice", "Bob")
    for name in (alice, bob):
        asking.decide(name, "training")
    permit = asking.evaluate(alice, "training", participants=[{"id": bob.upper(), "local": True}])
    assert permit["decision"] is True


def test_the_id_is_kept_in_the_vault_alone(asking, shared_database, alice):
    """An id stands in the database encrypted, once, and its subject under a pseudonym."""
    vault = "SELECT subject_ref, sealed_for, sealed_id FROM subject_vault"
    others = rows(shared_database, vault)
    asking.decide(alice.title(), "ads-mail")
    asking.decide(alice, "ads-mail", "refused")
    ((ref, sealed_for, sealed),) = _since(others, rows(shared_database, vault))
    assert sealed_for == _locator(alice) != ref
    assert b"lice" not in sealed


def test_an_erasure_closes_the_consents_and_destroys_the_id(asking, shared_database, alice):
    """An erasure ends every consent and destroys the vault's row; the ledger keeps its entries under the pseudonym."""
    vault = rows(shared_database, VAULT)
    events = "SELECT kind, id FROM consent_event ORDER BY seq"
    before = rows(shared_database, events)
    consents = {asking.decide(alice, name)["id"] for name in ("ads-mail", "stats")}
    erased = asking.erase(alice.upper())
    assert set(erased["closed"]) == consents
    assert asking.reason(alice, "ads-mail") == "no_consent"
    assert rows(shared_database, VAULT) == vault
    kinds = [kind for kind, _ in _since(before, rows(shared_database, events))]
    assert kinds == ["granted", "granted", "closed", "erased"]
    history = asking.ok("GET", f"/v1/consents/{min(consents)}/history")["items"]
    assert [entry["kind"] for entry in history] == ["granted", "closed", "erased"]


def test_an_erasure_may_be_repeated_and_of_a_stranger(asking, shared_database):
    """A second erasure, or the erasure of an unknown subject, ends no consent and keeps no id."""
    alice, stranger = people("alice", "stranger")
    before = rows(shared_database, VAULT)
    asking.decide(alice, "ads-mail")
    asking.erase(alice)
    assert asking.erase(alice)["closed"] == []
    assert asking.erase(stranger)["closed"] == []
    assert rows(shared_database, VAULT) == before


def test_an_erased_subject_may_come_back(asking, shared_database, alice):
    """A subject who comes back after an erasure consents anew and is kept under a new key."""
    asking.decide(alice, "ads-mail")
    key = f"SELECT wrapped_key FROM subject_vault WHERE sealed_for = '\\x{_locator(alice).hex()}'"
    before = rows(shared_database, key)
    asking.erase(alice)
    assert asking.decide(alice, "ads-mail")["state"] == "in_force"
    assert asking.reason(alice, "ads-mail") == "consent_in_force"
    assert len(rows(shared_database, key)) == 1
    assert rows(shared_database, key) != before


def test_asking_about_somebody_keeps_nothing(asking, shared_database, alice, bob):
    """A question, a search, an explanation and a refused write leave no trace of the subject that they name."""
    tables = ("subject", "subject_locator", "subject_vault", "consent_event")
    before = [rows(shared_database, f"SELECT * FROM {table}") for table in tables]
    asking.evaluate(alice, "ads-mail", participants=[{"id": bob, "local": True}])
    asking.ok("POST", "/v1/consents/search", {"subject": subject(alice)})
    answer = asking.call("POST", "/v1/withdrawals", {"subject": subject(alice), "processing": "nowhere"})
    assert answer.status_code == 404
    assert "subject_ref" not in asking.ok("POST", "/v1/explanations", question(alice, "ads-mail"))["facts"]
    assert [rows(shared_database, f"SELECT * FROM {table}") for table in tables] == before
