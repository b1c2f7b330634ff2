"""An export tells a person all that is held about them, and nothing about others."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app.audit.segments import decisions_in
from app.db.database import Database
from app.db.session import WriteSession
from app.operations.proof.export_subject import log_about
from tests.faults.service import eventually
from tests.support import two_persons
from tests.support.api import question, running, subject
from tests.support.commands import run_command
from tests.support.consent_page import Person, link
from tests.support.databases import rows
from tests.support.decision_rows import add, insert, logged, segment_of
from tests.support.people import people


@pytest.fixture(scope="module")
def api(shared_database):
    """A service that logs every decision, with two processings; each test uses names of its own."""
    with running(shared_database, decision_log="durable") as api:
        for each in ("ads", "stats"):
            api.register(each)
        yield api


def _export(api, name):
    answer = api.call("POST", "/v1/subjects/exports", {"subject": subject(name)})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/ld+json"), answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def test_everything_since_the_account_began_is_in_it(api, alice):
    """An export has the person's records in DPV terms, events, shown texts, decisions by day, and who looked."""
    person = Person(api, link(api, alice, "ads"))
    person.press("accept", "ads")
    api.decide(alice, "stats", "refused")
    assert two_persons.add(api, "ads", elements=["content"], reason="Less.").status_code == 201
    api.withdraw(alice, "ads")
    for _ in range(3):
        api.ok("POST", "/access/v1/evaluation", question(alice, "ads"))
    # Its log is written a moment later, perhaps in two pieces.
    eventually(lambda: [each["number"] for each in _export(api, alice)["decisions_by_day"]] == [3])
    export = _export(api, alice)
    assert [each["kind"] for each in export["events"]] == ["granted", "refused", "withdrawn"]
    record = export["dpv:hasRecordOfActivity"][0]
    assert record["@type"] == "dpv:ConsentRecord"
    assert [each["@type"][0] for each in record["dpv:hasConsentStatus"]] == ["dpv:ConsentGiven", "dpv:ConsentWithdrawn"]
    assert record["dpv:hasDataSubject"]["dct:identifier"] == alice
    digest = export["events"][0]["evidence"]["presented_text_sha256"]
    assert "Exemple SAS" in export["texts_shown"][digest]
    (counted,) = export["decisions_by_day"]
    assert (counted["processing"], counted["reason"], counted["number"]) == ("ads", "consent_withdrawn", 3)
    assert _export(api, alice)["looked_at"][-1]["act"] == "subject.exported"


def test_a_person_with_many_consents_is_read_as_often_as_one_with_few(api, alice, bob, monkeypatch):
    """An export of a person with eight consents makes as many reads as one of a person with one."""
    read, execute = [], WriteSession.execute

    async def counted(self, statement, rows=None):
        read.append(str(statement))
        return await execute(self, statement, rows)

    for name, times in ((alice, 1), (bob, 8)):
        for _ in range(times):
            api.decide(name, "ads")
    monkeypatch.setattr(WriteSession, "execute", counted)
    of_tables = []
    for name, consents in ((alice, 1), (bob, 8)):
        read.clear()
        assert len(_export(api, name)["dpv:hasRecordOfActivity"]) == consents
        of_tables.append(sum("FROM consent" in each for each in read))
    assert of_tables[0] == of_tables[1] > 0


def test_the_log_is_read_by_pages_off_the_event_loop(database, monkeypatch):
    """No session reads more than a page, and no decision is lost or counted twice when an hour is merged in between."""
    hour = datetime.now(UTC).replace(minute=10, second=0, microsecond=0) - timedelta(hours=1)
    opened: list[int] = []
    threads: set[int] = set()

    def counted(session_of):
        @asynccontextmanager
        async def wrapped(self, *args, **more):
            opened.append(0)
            async with session_of(self, *args, **more) as session:
                yield session

        return wrapped

    def decoded(*args):
        opened[-1] += 1
        threads.add(threading.get_ident())
        if parts:
            _merge(database, [parts.pop().id for _ in range(2)], hours[1])
        yield from decisions_in(*args)

    monkeypatch.setattr("app.audit.log_reading.PAGE_SECONDS", -1, raising=False)
    monkeypatch.setattr("app.audit.log_reading.decisions_in", decoded)
    with running(database) as api:
        api.agreed("ads", "alice")
        ((ref,),) = rows(database, "SELECT substring(subject_ref FOR 16) FROM consent_event")
        hours = [[logged(hour - timedelta(hours=back, minutes=each), ref=ref) for each in (0, 9)] for back in range(4)]
        parts = [segment_of([each]) for each in hours[1]]
        for part in (*parts, *(segment_of(hours[back]) for back in (0, 2, 3))):
            add(database, part)
        for name in ("read", "write"):
            monkeypatch.setattr(Database, name, counted(getattr(Database, name)))
        export = api.ok("POST", "/v1/subjects/exports", {"subject": subject("alice")})
        loop = api.client.portal.call(threading.get_ident)  # type: ignore[union-attr]
    assert sum(each["number"] for each in export["decisions_by_day"]) == 8
    assert (max(opened), sum(opened), loop in threads) == (1, 4, False)


def _merge(database, gone, decisions):
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM decision_segment WHERE id = ANY(%s)", [gone])
        insert(owner, segment_of(decisions), merged=True)


def test_an_export_of_an_account_that_was_closed_meanwhile_is_refused(api, alice, monkeypatch):
    """What the log says of one account is not told as another's: 503, nobody is recorded as having looked."""
    api.decide(alice, "ads")

    async def closed_then(*args):
        logged_about = await log_about(*args)
        await asyncio.to_thread(api.ok, "POST", "/v1/subjects/closures", {"subject": subject(alice)})
        return logged_about

    with monkeypatch.context() as patch:
        patch.setattr("app.api.proof.log_about", closed_then)
        answer = api.call("POST", "/v1/subjects/exports", {"subject": subject(alice)})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "Others are writing about the same user" in answer.json()["detail"]
    assert _export(api, alice)["events"] == []


def test_it_has_nothing_of_an_earlier_account_or_of_others(api, alice, bob):
    """An export holds nothing of an earlier account of the id, and nothing of other people."""
    api.decide(alice, "ads")
    api.decide(bob, "ads")
    before = json.dumps(_export(api, alice))
    assert bob not in before
    api.ok("POST", "/v1/subjects/closures", {"subject": subject(alice)})
    after = _export(api, alice)
    assert (after["events"], after["dpv:hasRecordOfActivity"], after["looked_at"]) == ([], [], [])
    api.decide(alice, "stats")
    assert [each["processing"] for each in _export(api, alice)["events"]] == ["stats"]


def test_an_export_of_nobody_tells_of_nobody_else(api):
    """An export of an unknown person does not tell who asked about other unknown people."""
    eve, mallory = people("eve", "mallory")
    for name in (eve, mallory):
        assert _export(api, name)["looked_at"] == []
    api.ok("POST", "/v1/audit-trail/search", {"subject": subject(mallory)})
    api.ok("POST", "/v1/decisions/search", {"subject": subject(mallory)})
    assert _export(api, eve)["looked_at"] == []


def test_the_command_writes_the_same(api, shared_database, tmp_path, alice):
    """`sceau subject export` takes the id from standard input and writes what the API answers."""
    api.decide(alice, "ads")
    status, errors, _ = run_command(
        shared_database, "subject", "export", "-o", tmp_path / "alice.json", typed=f"{alice}\n".encode()
    )
    assert (status, errors) == (0, "1 event exported.\n")
    printed, wanted = json.loads((tmp_path / "alice.json").read_text()), _export(api, alice)
    assert printed["events"] == wanted["events"]


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (b"\n", "standard input gave no id: pipe it in, or type it"),
        (b"alice\nbob\n", "standard input gave more than one line: one id at a time"),
        ("zoé\n".encode("latin-1"), "the id is not UTF-8"),
    ],
)
def test_what_is_no_id_is_refused(shared_database, tmp_path, typed, why):
    """A missing or bad id is refused, and no file says that nothing is held."""
    file = tmp_path / "nobody.json"
    status, errors, _ = run_command(shared_database, "subject", "export", "-o", file, typed=typed)
    assert (status, errors, file.exists()) == (2, f"sceau: {why}\n", False)


def test_an_id_of_which_nothing_is_held_is_told(api, shared_database, tmp_path):
    """An export of an unknown id is written, and the command says that nothing is held and to check the spelling."""
    file = tmp_path / "nobody.json"
    status, errors, _ = run_command(shared_database, "subject", "export", "-o", file, typed=b"nobody")
    assert (status, file.exists()) == (0, True)
    assert errors == "Nothing is held about this id: check how it is written.\n0 events exported.\n"


def test_what_is_kept_beside_the_ledger_is_in_it(api):
    """An export lists the person's page links and names; an unknown person's has no links, requests, flags or names."""
    alice, eve, alice2 = people("alice", "eve", "alice2")
    link(api, alice, "ads")
    link_of_both = {"from": subject(alice2, "mxid"), "to": subject(alice), "basis": "user_proved"}
    api.ok("POST", "/v1/subjects/links", link_of_both)
    export = _export(api, alice)
    (made,) = export["consent_links"]
    assert (made["processings"], set(made) & {"token_sha256", "subject_ref"}) == (["ads"], set())
    names = [(each["type"], each["id"], each.get("basis")) for each in export["names"]]
    assert names == [("user", alice, None), ("mxid", alice2, "user_proved")]
    assert "shared_since" not in export
    nobody = _export(api, eve)
    assert [nobody[each] for each in ("consent_links", "asked", "renewal_flags", "names")] == [[]] * 4
