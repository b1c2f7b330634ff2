import unicodedata

import psycopg
import pytest

from app.ledger.pseudonym import Pseudonyms
from tests.support.api import PSEUDONYM_KEY, question, running, subject
from tests.support.databases import administrator_url

COMPOSED, DECOMPOSED = "zoé@exemple.fr", unicodedata.normalize("NFD", "zoé@exemple.fr")


def _rows(database, statement):
    with psycopg.connect(administrator_url(database.name)) as connection:
        return connection.execute(statement).fetchall()


def _locator(name, kind="user"):
    return Pseudonyms(bytes.fromhex(PSEUDONYM_KEY)).locator(kind, name)


def _erase(api, name):
    return api.ok("POST", "/v1/subjects/erasures", {"subject": subject(name)})


@pytest.mark.parametrize("other", ["ZOÉ@exemple.fr", "Zoé@EXEMPLE.FR", DECOMPOSED, DECOMPOSED.upper()])
def test_one_subject_in_every_writing(api, other):
    """Capitals and Unicode composition make no other subject: a withdrawal in one writing ends a consent in another."""
    assert COMPOSED != DECOMPOSED
    api.register("ads")
    consent = api.decide(COMPOSED, "ads")
    assert api.reason(other, "ads") == "consent_in_force"
    assert api.withdraw(other)["withdrawn"] == [consent["id"]]
    assert api.reason(COMPOSED, "ads") == "consent_withdrawn"


def test_ids_are_apart_where_the_setting_says_exact(database):
    """With `exact` ids that differ in capitals are two subjects; a type may be the exception."""
    with running(database, subject_ids="address,mxid=exact") as api:
        api.register("ads")
        api.decide("Alice", "ads")
        assert api.reason("alice", "ads") == "consent_in_force"
        body = {"subject": subject("@Alice:x", "mxid"), "processing": "ads"}
        api.ok("POST", "/v1/withdrawals", body)
        consent = api.decide("ignored", "ads", subject=subject("@alice:x", "mxid"))
        assert consent["state"] == "in_force"


def test_a_type_is_a_namespace(api):
    """The same id in two types is two subjects."""
    api.register("ads")
    api.decide("alice", "ads")
    api.ok("POST", "/v1/withdrawals", {"subject": subject("alice", "mailbox")})
    assert api.reason("alice", "ads") == "consent_in_force"


def test_white_space_and_look_alikes_are_other_subjects(api):
    """Only case and composition are folded: an id with a space or a look-alike letter is another subject."""
    api.register("ads")
    api.decide("alice", "ads")
    for other in ("alice ", "\u0430lice", "alice\u200b", "al1ce"):
        assert api.reason(other, "ads") == "no_consent"


def test_a_participant_is_normalised_like_the_subject(api):
    """A participant is the subject of the same id, in whatever writing."""
    api.register("training", purpose="service_improvement", party_mode="all_local_users")
    for name in ("alice", "Bob"):
        api.decide(name, "training")
    permit = api.evaluate("alice", "training", participants=[{"id": "BOB", "local": True}])
    assert permit["decision"] is True


def test_the_id_is_kept_in_the_vault_alone(api, database):
    """An id stands in the database encrypted, once, and its subject under a pseudonym."""
    api.register("ads")
    api.decide("Alice", "ads")
    api.decide("alice", "ads", "refused")
    ((ref, sealed_for, sealed),) = _rows(database, "SELECT subject_ref, sealed_for, sealed_id FROM subject_vault")
    assert sealed_for == _locator("alice") != ref
    assert b"lice" not in sealed


def test_an_erasure_closes_the_consents_and_destroys_the_id(api, database):
    """An erasure ends every consent and destroys the vault's row; the ledger keeps its entries under the pseudonym."""
    api.register("ads")
    api.register("stats", purpose="statistics")
    consents = {api.decide("alice", name)["id"] for name in ("ads", "stats")}
    erased = _erase(api, "ALICE")
    assert set(erased["closed"]) == consents
    assert api.reason("alice", "ads") == "no_consent"
    assert _rows(database, "SELECT * FROM subject_vault") == []
    kinds = [kind for (kind,) in _rows(database, "SELECT kind FROM consent_event ORDER BY seq")]
    assert kinds == ["granted", "granted", "closed", "erased"]
    history = api.ok("GET", f"/v1/consents/{min(consents)}/history")["items"]
    assert [entry["kind"] for entry in history] == ["granted", "closed", "erased"]


def test_an_erasure_leaves_others(api, database):
    """Erasing one subject leaves the others' ids and consents."""
    api.register("ads")
    for name in ("alice", "bob"):
        api.decide(name, "ads")
    _erase(api, "alice")
    assert _rows(database, "SELECT sealed_for FROM subject_vault") == [(_locator("bob"),)]
    assert api.reason("bob", "ads") == "consent_in_force"


def test_an_erasure_may_be_repeated_and_of_a_stranger(api, database):
    """Erasing twice, or erasing who was never known, ends nothing and keeps no id."""
    api.register("ads")
    api.decide("alice", "ads")
    _erase(api, "alice")
    assert _erase(api, "alice")["closed"] == []
    assert _erase(api, "stranger")["closed"] == []
    assert _rows(database, "SELECT * FROM subject_vault") == []


def test_an_erased_subject_may_come_back(api, database):
    """Who comes back after an erasure decides afresh, and is kept under a new key."""
    api.register("ads")
    api.decide("alice", "ads")
    before = _rows(database, "SELECT wrapped_key FROM subject_vault")
    _erase(api, "alice")
    assert api.decide("alice", "ads")["state"] == "in_force"
    assert api.reason("alice", "ads") == "consent_in_force"
    assert _rows(database, "SELECT wrapped_key FROM subject_vault") != before


def test_asking_about_somebody_keeps_nothing(api, database):
    """A question, a search, an explanation and a refused write leave no trace of the subject that they name."""
    api.register("ads")
    api.evaluate("alice", "ads", participants=[{"id": "bob", "local": True}])
    api.ok("POST", "/v1/consents/search", {"subject": subject("alice")})
    answer = api.call("POST", "/v1/withdrawals", {"subject": subject("alice"), "processing": "nowhere"})
    assert answer.status_code == 404
    assert "subject_ref" not in api.ok("POST", "/v1/explanations", question("alice", "ads"))["facts"]
    for table in ("subject", "subject_locator", "subject_vault", "consent_event"):
        assert _rows(database, f"SELECT * FROM {table}") == []
