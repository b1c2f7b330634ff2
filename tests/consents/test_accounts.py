"""A subject is one account of one id; a row finds it, which a closure ends and an erasure deletes."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, time, timedelta
from functools import partial
from threading import Event
from typing import Any

import psycopg
import pytest

from app.core.article import PARIS
from app.db.database import Database
from app.jobs.tasks import exchange_keys
from app.jobs.work import Work
from app.ledger.identifiers import Pseudonyms
from app.operations.service.check_deployment import DeploymentRefusedError, check_deployment
from app.operations.service.rewrite_locators import rewrite_locators
from tests.faults.service import eventually
from tests.support.api import PSEUDONYM_KEY, processing, question, running, subject
from tests.support.commands import run_command
from tests.support.consents import grant, written
from tests.support.databases import administrator_url, execute, new_database, rows
from tests.support.decision_rows import logged_rows
from tests.support.imports import imported, row
from tests.support.pools import in_a_pool

OTHER_KEY = "33" * 32
SEARCHES = ("/v1/consents/search", "/v1/decisions/search", "/v1/audit-trail/search")


@pytest.fixture(scope="module")
def api(shared):
    """A service with a processing, of which each test uses names of its own."""
    shared.register("ads")
    return shared


LEADING = "SELECT FROM subject_locator WHERE ended_at IS NULL"


def _explained(api, name):
    return api.ok("POST", "/v1/explanations", question(name, "ads"))["facts"]


def _refs(database):
    return {bytes(ref).hex() for (ref,) in rows(database, "SELECT subject_ref FROM consent_event")}


def _found(api, name):
    """How many items the two searches find for an id."""
    return [len(api.ok("POST", path, {"subject": subject(name)})["items"]) for path in SEARCHES[:2]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("zoe@straße.example", "zoe@strasse.example"),
        ("zoe@faß.example", "zoe@fass.example"),
        ("straße@exemple.fr", "strasse@exemple.fr"),
        ("ﬁ@exemple.fr", "fi@exemple.fr"),
    ],
)
def test_two_people_are_never_one(api, one, other):
    """Addresses that case folding would merge are two people, and a consent of one permits nothing for the other."""
    api.decide(one, "ads")
    assert api.reason(one, "ads") == "consent_in_force"
    assert api.reason(other, "ads") == "no_consent"


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("zoe@BÜCHER.example", "Zoe@xn--bcher-kva.example"),
        ("@Zoe:Exemple.FR", "@zoe:exemple.fr"),
        ("zoe@[192.0.2.1]", "ZOE@[192.0.2.1]"),
        ("zoe@dot.example", "zoe@dot.example."),
        ("zoe@dot.bücher.example", "zoe@dot.bücher.example."),
        ("@zoe:dot.example:8448", "@zoe:dot.example.:8448"),
    ],
)
def test_one_domain_in_two_writings_is_one(api, written, same):
    """Two spellings of an address with one domain are one subject: domains are compared as A-labels in lower case."""
    consent = api.decide(written, "ads")
    assert api.withdraw(same)["withdrawn"] == [consent["id"]]


@pytest.mark.parametrize("name", ["zoe@exa mple.fr", "zoe@-a.example", "zoe@a.example..", "zoe@", "@zoe:☃.example"])
def test_a_domain_that_idna_refuses_is_a_400(api, name):
    """An address with a bad domain is a 400 in questions and writes; as another party, it is one without consent."""
    assert api.call("POST", "/access/v1/evaluation", question(name, "ads")).status_code == 400
    for path in ("/v1/withdrawals", "/v1/subjects/closures", "/v1/consents/search"):
        refused = api.call("POST", path, {"subject": subject(name)})
        assert (refused.status_code, refused.json()["type"]) == (400, "urn:sceau:problem:invalid-subject")
    api.call("POST", "/v1/processings", processing("asks-others", party_mode="all_local_users"))  # once
    api.decide("zoe", "asks-others")
    for others, permitted in (([], True), ([{"id": name, "local": True}], False)):
        assert api.evaluate("zoe", "asks-others", participants=others)["decision"] is permitted


def test_the_next_holder_of_an_address_sees_nothing_of_the_one_before(api, shared_database, alice):
    """After a closure the id leads to another subject_ref, under which no search or explanation finds the past."""
    others = _refs(shared_database)
    before = api.decide(alice, "ads")
    api.reason(alice, "ads")
    api.close(alice)
    assert _found(api, alice) == [0, 0]
    after = api.decide(alice, "ads", "refused")
    assert after["subject_ref"] != before["subject_ref"]
    assert [each["id"] for each in _explained(api, alice)["events"]] == [after["id"]]
    assert _found(api, alice)[0] == 1
    assert api.reason(alice, "ads") == "consent_refused"
    assert _refs(shared_database) - others == {before["subject_ref"], after["subject_ref"]}


def test_decisions_about_nobody_are_not_linked(database):
    """Each decision under III, or about an unknown subject, is logged under a different reference."""
    with running(database, decision_log="durable", decision_log_exempt_share=1.0) as logging:
        logging.register("ads")
        logging.register("spam", purpose="unsolicited_content_detection")
        for name in ("stranger", "stranger", "alice"):
            logging.reason(name, "ads")
            logging.reason(name, "spam")
    refs = [each.subject_ref for each in logged_rows(database)]
    assert len(set(refs)) == len(refs) == 6


def test_the_pseudonym_key_is_exchanged_while_subjects_come_and_go():
    """After an exchange with both keys in use, the new key alone finds everyone, with their withdrawals.

    The new key cannot be used alone before each open account has its row: it would miss withdrawals.
    """
    both: dict[str, Any] = {"pseudonym_key": f"{PSEUDONYM_KEY},{OTHER_KEY}"}
    swapped: dict[str, Any] = {"pseudonym_key": f"{OTHER_KEY},{PSEUDONYM_KEY}"}
    with new_database() as database:
        with running(database) as api:
            api.agreed("ads", "early")
        with running(database, **both) as api:
            api.decide("late", "ads")
            with pytest.raises(DeploymentRefusedError, match=REFUSED):
                _started(database, api, NEW)
            _exchange(api)
        with running(database, **swapped) as api:
            assert {api.reason(name, "ads") for name in ("early", "late")} == {"consent_in_force"}
            api.withdraw("early")
        with running(database, **both) as api:
            assert api.reason("early", "ads") == "consent_withdrawn"
        with running(database, pseudonym_key=OTHER_KEY) as api:
            _exchange(api)
            assert [api.reason(name, "ads") for name in ("early", "late")] == ["consent_withdrawn", "consent_in_force"]
        assert len(rows(database, "SELECT FROM subject_locator")) == 2


REFUSED = "SCEAU_PSEUDONYM_KEY is not a key"
OLD, NEW = PSEUDONYM_KEY, OTHER_KEY
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_a_key_that_was_taken_away_never_starts_again():
    """A pseudonym key that was taken out of use is refused at each later start, alone or in front."""
    with new_database() as database:
        with running(database) as api:
            api.agreed("ads", "early")
        for keys in (f"{OLD},{NEW}", f"{NEW},{OLD}"):
            with running(database, pseudonym_key=keys) as api:
                _exchange(api)
        with running(database, pseudonym_key=f"{OLD},{NEW}") as api:
            api.decide("back", "ads")  # they may change places again while each has a row for everybody
        for keys in (f"{NEW},{OLD}", NEW):
            with running(database, pseudonym_key=keys) as api:
                _exchange(api)
        with running(database, pseudonym_key=NEW) as api:
            for refused in ([OLD], [OLD, NEW]):
                with pytest.raises(DeploymentRefusedError, match=REFUSED):
                    _started(database, api, *refused)
            assert api.withdraw("early", "ads")["matched"]
            assert api.reason("back", "ads") == "consent_in_force"


@pytest.mark.parametrize("cache", ["leased", "strict"])
def test_a_process_that_was_left_behind_records_nothing(cache):
    """A process that runs on with the old key alone, while another uses both, answers writes and exports with 503.

    It does not delete the new key's rows, and it sees a withdrawal that was recorded under the new key alone.
    """
    sent, who = {"subject": subject("alice"), "processing": "ads"}, {"subject": subject("late")}
    refused = [("withdrawals", sent), ("consents", grant("late", "ads"))]
    refused += [(f"subjects/{what}", who) for what in ("erasures", "closures", "exports")]
    with new_database() as database, running(database, cache=cache) as straggler:
        straggler.agreed("ads", "alice")
        for keys in (f"{OLD},{NEW}", f"{NEW},{OLD}"):
            with running(database, pseudonym_key=keys) as api:
                assert {straggler.call("POST", f"/v1/{path}", body).status_code for path, body in refused} == {503}
                _exchange(api)
                _exchange(straggler)
                assert len(rows(database, "SELECT FROM subject_locator WHERE ended_at IS NULL")) == 2
        with running(database, pseudonym_key=NEW) as api:
            assert api.withdraw("alice", "ads")["matched"]
            assert straggler.reason("alice", "ads") == "consent_withdrawn"


def _started(database, api, *keys):
    """A start of a process with these keys beside an application, as far as the check of the deployment."""
    deployment = api.client.app.state.services.deployment
    one, *others = map(bytes.fromhex, keys)
    lasting = deployment.pseudonyms
    pseudonyms = Pseudonyms(one, lasting.ids, other=others[0] if others else None)
    pseudonyms.opaque = lasting.opaque  # type: ignore[method-assign] # of the same master key
    return in_a_pool(database, partial(_checked, replace(deployment, pseudonyms=pseudonyms)))


def test_keys_are_stated_anew_once_what_is_being_recorded_stands():
    """A subject recorded under the old key during a start with both keys is seen by the next start, which is refused.

    This holds even if the database's default isolation is repeatable read.
    """
    with new_database() as database:
        with psycopg.connect(administrator_url(database.name), autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {database.name} SET default_transaction_isolation = 'repeatable read'")
        with running(database) as straggler:
            straggler.register("ads")
            name = straggler.client.app.state.services.deployment.pseudonyms.locator("user", "late").hex()  # type: ignore[attr-defined]
            with psycopg.connect(administrator_url(database.name)) as holder, ThreadPoolExecutor(2) as pool:
                holder.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
                recorded = pool.submit(straggler.decide, "late", "ads")
                eventually(lambda: rows(database, WAITING))
                started = pool.submit(_started, database, straggler, OLD, NEW)
                eventually(lambda: len(rows(database, WAITING)) == 2)
                holder.rollback()
                assert recorded.result()
                assert started.result() is None
            with pytest.raises(DeploymentRefusedError, match=REFUSED):
                _started(database, straggler, NEW)


def test_rows_are_written_anew_by_the_keys_in_use_alone():
    """A process with the old keys writes no batch of an exchange, and deletes no row of the new keys."""
    locators = "SELECT locator FROM subject_locator ORDER BY 1"
    with new_database() as database, running(database) as straggler:
        straggler.agreed("ads", "alice")
        with running(database, pseudonym_key=f"{OLD},{NEW}") as both:
            _exchange(both)
        before = rows(database, locators)
        services = straggler.client.app.state.services  # type: ignore[attr-defined]

        async def batch():
            async with services.database.write() as session:
                return await rewrite_locators(session, services.deployment, after=b"")

        assert straggler.client.portal.call(batch) == b""  # type: ignore[union-attr]
        assert (rows(database, locators), len(before)) == (before, 2)


def days_pass(database):
    """Have every erasure and closure of so far been three days ago."""
    execute(database, "UPDATE subject_locator SET ended_at = ended_at - interval '3 days' WHERE ended_at IS NOT NULL")


def _erased_under_the_old_key(database):
    with running(database) as api:
        api.agreed("ads", "alice")
        api.erase("alice")


def test_a_key_is_taken_away_once_nobody_was_erased_lately_whom_it_alone_finds():
    """A key that alone finds a recently erased person cannot be taken away until two days have passed."""
    with new_database() as database:
        _erased_under_the_old_key(database)
        with running(database, pseudonym_key=f"{OLD},{NEW}") as api:
            api.decide("bob", "ads")
            api.erase("bob")
            _exchange(api)
            with pytest.raises(DeploymentRefusedError, match="two days longer"):
                _started(database, api, NEW)
        days_pass(database)
        with running(database, pseudonym_key=NEW) as api:
            assert api.reason("alice", "ads") == "no_consent"


def test_an_older_grant_is_unknown_while_a_key_may_not_find_who_was_erased():
    """Where an exchanged key cannot find the erased, an imported grant of up to the day of the erasure is unknown."""
    with new_database() as database:
        _erased_under_the_old_key(database)
        with running(database, pseudonym_key=f"{OLD},{NEW}") as api:
            api.decide("bob", "ads")
            _exchange(api)
        days_pass(database)
        [(day,)] = rows(database, "SELECT ended_at FROM subject_locator WHERE ended_at IS NOT NULL")
        after = datetime.combine(day.astimezone(PARIS).date() + timedelta(days=1), time(), PARIS)
        with running(database, pseudonym_key=NEW) as api:
            sent = [row(1, "alice", at=after - timedelta(seconds=1)), row(1, "carol", at=after)]
            answer = imported(api, *sent, until=written(after))
            assert [each["proof"] for each in answer["rows"]] == ["unknown", "stated"]


def test_a_closed_account_has_a_row_for_a_key_before_that_comes_in_front():
    """A new key cannot come first before closed accounts have rows for it; then it finds them for an erasure."""
    with new_database() as database:
        with running(database) as api:
            api.agreed("ads", "alice")
            api.close("alice")
        with running(database, pseudonym_key=f"{OLD},{NEW}") as api:
            with pytest.raises(DeploymentRefusedError, match=REFUSED):
                _started(database, api, NEW, OLD)
            _exchange(api)
        with running(database, pseudonym_key=NEW) as api:
            api.erase("alice")
            assert rows(database, "SELECT FROM subject_vault") == []


def test_what_is_hashed_but_locators_outlives_an_exchange():
    """After an exchange, a repeated Idempotency-Key still gets its first answer, and a parent's export still works."""
    link = {"from": subject("ali"), "to": subject("alice"), "basis": "provider_account"}
    once = {"Idempotency-Key": "linked-once"}
    minor = {"age_band": "under_15", "given_by": "both", "parent": subject("mum")}
    minor["parent_checked_how"] = "identity_document"
    with new_database() as database:
        with running(database) as api:
            api.agreed("ads", "alice")
            api.decide("kid", "ads", capacity=minor)
            first = api.call("POST", "/v1/subjects/links", link, once)
        for keys in (f"{OLD},{NEW}", f"{NEW},{OLD}", NEW):
            with running(database, pseudonym_key=keys) as api:
                assert api.call("POST", "/v1/subjects/links", link, once).json() == first.json()
                assert len(api.ok("POST", "/v1/subjects/exports", {"subject": subject("mum")})["as_parent"]) == 1
                _exchange(api)


async def _checked(deployment, pool):
    """Check a deployment as a process that starts does."""
    async with pool.write() as session:
        await check_deployment(session, deployment)


def test_a_command_with_another_key_finds_nobody_and_says_why(database):
    """`sceau people export` with a key that no process uses ends with a refusal that names the setting."""
    with running(database) as api:
        api.agreed("ads", "alice")
    words = ("people", "export", "--output", "-")
    status, error, written = run_command(database, *words, typed="alice", pseudonym_key=NEW)
    assert (status, written) == (1, "")
    assert "SCEAU_PSEUDONYM_KEY lacks a key" in error


def test_a_new_key_alone_starts_with_the_old_one_only_beside_both():
    """A process with the new key alone may run beside one with both keys; the old key alone is refused after that."""
    with new_database() as database:
        with running(database, pseudonym_key=f"{OLD},{NEW}") as both:
            both.agreed("ads", "alice")
            with running(database, pseudonym_key=NEW) as new:
                assert new.withdraw("alice", "ads")["matched"]
                assert both.reason("alice", "ads") == "consent_withdrawn"
        with pytest.raises(Exception, match=REFUSED), running(database):
            pass


def _exchange(api):
    """Do at once what the task that exchanges keys does."""
    services = api.client.app.state.services
    api.client.portal.call(exchange_keys, Work(services.database, services.deployment))


def test_a_first_consent_beside_an_erasure_is_closed_or_comes_after(api):
    """A first consent recorded during an erasure is either closed by it or stands after it and can be withdrawn."""
    for number in range(20):
        name = f"racer{number}"
        with ThreadPoolExecutor(2) as pool:
            erased = pool.submit(api.erase, name)
            consented = pool.submit(api.decide, name, "ads")
        ended = erased.result()["closed"]
        permitted = api.reason(name, "ads") == "consent_in_force"
        assert permitted is (consented.result()["id"] not in ended)
        assert api.withdraw(name, "ads")["matched"] is permitted


def test_an_erasure_forgets_kept_answers_and_nothing_is_recorded_anew(api, shared_database, alice):
    """An erasure deletes kept answers, and a client that then repeats its write is refused.

    Otherwise the repetition would record the erased person's consent again.
    """
    body, kept = grant(alice, "ads"), {"Idempotency-Key": "forgotten"}
    consent = api.call("POST", "/v1/consents", body, kept).json()["id"]
    assert api.call("POST", "/v1/consents", body, kept).json()["id"] == consent
    api.erase(alice)
    again = api.call("POST", "/v1/consents", body, kept)
    assert (again.status_code, again.json()["type"]) == (409, "urn:sceau:problem:subject-erased")
    assert api.reason(alice, "ads") == "no_consent"
    assert consent not in str(rows(shared_database, "SELECT body FROM idempotency"))


@pytest.mark.parametrize("path", ["withdrawals", "subjects/closures"])
def test_an_erasure_forgets_what_was_answered_under_another_name(api, shared_database, path, alice, ali):
    """A kept answer that names a person's consent is deleted when the person is erased by another name."""
    api.link_names(alice, ali)
    consent = api.decide(ali, "ads")["id"]
    api.call("POST", f"/v1/{path}", {"subject": subject(alice)}, {"Idempotency-Key": f"said-once-{path}"})
    kept = "SELECT body FROM idempotency"
    assert consent in str(rows(shared_database, kept))
    api.erase(ali)
    assert consent not in str(rows(shared_database, kept))


def test_the_kept_answer_of_an_erasure_leads_to_no_earlier_account(api, shared_database, alice, ali):
    """The kept answer of an erasure refers to one account only, the one that was open."""
    api.decide(ali, "ads")
    api.link_names(ali, alice)
    consent = api.decide(ali, "ads")["id"]
    kept = {"Idempotency-Key": "erased-once"}
    kept_of = "SELECT cardinality(subject_refs) FROM idempotency WHERE body::text LIKE %s"
    first = api.call("POST", "/v1/subjects/erasures", {"subject": subject(alice)}, kept)
    assert first.json()["closed"] == [consent]
    assert rows(shared_database, kept_of, f"%{consent}%") == [(1,)]
    assert api.call("POST", "/v1/subjects/erasures", {"subject": subject(alice)}, kept).text == first.text


@pytest.mark.parametrize("came_back", [True, False])
def test_an_erasure_finds_rows_that_are_being_rewritten(came_back):
    """An erasure that meets a rewriting of the account's rows waits for it and then removes them."""
    with new_database() as database, running(database) as single:
        single.agreed("ads", "alice")
        single.close("alice")
        if came_back:
            single.decide("alice", "ads")
        with running(database, pseudonym_key=f"{PSEUDONYM_KEY},{OTHER_KEY}") as both:
            _erased_meanwhile(database, both)


def _erased_meanwhile(database, both):
    deployment = both.client.app.state.services.deployment
    rewritten, erasing = Event(), Event()

    async def rewrite():
        made = Database(database.app_url)
        async with made.write() as session:
            await rewrite_locators(session, deployment, after=b"")
            rewritten.set()
            await asyncio.to_thread(_waited_for, database, erasing)
        await made.close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, rewrite())
        assert rewritten.wait(10)
        erasing.set()
        both.erase("alice")
        done.result()
    assert rows(database, LEADING) == []
    assert len(rows(database, "SELECT FROM subject_locator")) == 2  # the day, under each of the two keys


def _waited_for(database, begun):
    """Return once another session waits for a lock that this one holds."""
    assert begun.wait(10)
    eventually(lambda: rows(database, WAITING))


@pytest.mark.parametrize(("act", "kept"), [("closures", True), ("erasures", True), ("erasures", False)])
def test_what_a_parent_did_is_not_handed_to_the_next_holder(shared, act, kept):
    """After a closure or an erasure a name's export has nothing that it did as a parent; control: before, it has.

    The same goes for the erasure of a name of which nothing else is recorded.
    """
    dad, name = subject(f"dad-{act}-{kept}"), f"parents-{act}-{kept}".lower()
    shared.register(name)
    capacity = {"age_band": "under_15", "given_by": "both", "parent": dad, "parent_checked_how": "identity_document"}
    shared.decide(f"kid-{act}-{kept}", name, capacity=capacity)
    if kept:
        shared.decide(dad["id"], name)
    assert len(shared.ok("POST", "/v1/subjects/exports", {"subject": dad})["as_parent"]) == 1
    shared.ok("POST", f"/v1/subjects/{act}", {"subject": dad})
    assert shared.ok("POST", "/v1/subjects/exports", {"subject": dad})["as_parent"] == []
    shared.decide(dad["id"], name, "refused")
    assert shared.ok("POST", "/v1/subjects/exports", {"subject": dad})["as_parent"] == []
