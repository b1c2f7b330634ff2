"""After an erasure nothing leads from a person to the past: every id against every route, every table, every log."""

import asyncio
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from app.api.http.security import scopes_by_route
from app.core.article import PARIS, paris_midnight
from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.db.database import Database
from app.db.schema import metadata
from app.ledger.identifiers import Pseudonyms
from app.operations.consents.sweep_renewals import sweep_renewals
from app.operations.webhooks.deliver_webhooks import dispatch_events
from app.snapshot.tables import trim
from tests.faults.service import eventually
from tests.secrecy.markers import MARKERS, leaks
from tests.secrecy.requests import BODIES
from tests.secrecy.sinks import stored
from tests.support.api import PSEUDONYM_KEY, Api, TestClock, question, running, subject
from tests.support.consent_page import Person, link
from tests.support.databases import TestDatabase, administrator_url, new_database
from tests.support.decision_rows import logged_rows
from tests.support.imports import imported, row

ERASED = MARKERS["subject"].address
"""Whom the requests of this folder name as their subject, and who is erased."""
NEIGHBOUR = "neighbour@exemple.fr"
UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REFS = """
    SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables
    USING (table_schema, table_name)
    WHERE table_type = 'BASE TABLE' AND table_schema = 'public' AND data_type = 'bytea'
"""


@dataclass
class World:
    """A deployment in which somebody has a past; `past` is every id of it, and `links` are the pages of it."""

    api: Api
    database: TestDatabase
    links: tuple[str, ...]
    past: frozenset[str] = frozenset()

    def connect(self) -> psycopg.Connection[Any]:
        """The database, as its administrator."""
        return psycopg.connect(administrator_url(self.database.name))

    def refs(self, name: str) -> list[bytes]:
        """The subject_ref of each account that an id leads to."""
        made = Pseudonyms(bytes.fromhex(PSEUDONYM_KEY)).locator("user", name)
        with self.connect() as connection:
            statement = "SELECT subject_ref FROM subject_locator WHERE locator = %s"
            return [bytes(ref) for (ref,) in connection.execute(statement, [made]).fetchall()]

    def rows(self, refs: Iterable[bytes]) -> str:
        """Every row of every table in which one of these subjects stands, and every decision about them."""
        refs = list(refs)
        rows_left: list[str] = []
        with self.connect() as connection:
            for table, column in connection.execute(_REFS).fetchall():
                rows = connection.execute(f'SELECT t::text FROM "{table}" t WHERE "{column}" = ANY(%s)', [refs])
                rows_left += [row for (row,) in rows.fetchall()]
        begun = {ref[:16] for ref in refs}
        return "\n".join([*rows_left, *(str(each) for each in logged_rows(self.database) if each.subject_ref in begun)])

    def told(self, method: str, path: str, body: Any = None) -> str:
        """What a route answers, whatever its status, without what names the request itself."""
        answer = self.api.call(method, path, body)
        return str(answer.text)


KEPT = {
    "subject": "the pseudonym, and when its account began",
    "consent_event": "the proof (GDPR art. 7(1)), with the evidence that it was collected with",
    "consent": "what the proof amounts to",
    "document": "a form proves one person's consent: it may not be used again for another's; the proof names it too",
    "renewal_flag": "ids of consents, which the proof has, and days",
    "administrative_act": "who did what, under the pseudonym",
    "outbox": "ids of consents, until events are removed",
    "webhook_delivery": "the same",
    "webhook_attempt": "the same",
    "retention_hold": "why the owner wants a consent kept",
}
"""Tables whose rows about an erased person stay, and what they hold; an erasure clears every other one."""
READING = frozenset({"/v1/consents/search", "/v1/decisions/search", "/v1/audit-trail/search", "/v1/explanations"})
"""What is asked before the erasure: the other routes would change something."""


def _questions() -> list[tuple[str, str, Any]]:
    """One request for each body that a route takes of a subject, and their paging where they have it."""
    return [
        (method, path, body)
        for (method, path), bodies in BODIES.items()
        for body in bodies
        if "{" not in path and ERASED in json.dumps(body)
    ] + [("POST", path, {"subject": subject(ERASED)}) for path in READING if path.endswith("/search")]


def _by_id(world: World, ids: Iterable[str]) -> list[tuple[str, str]]:
    """Every route that reads something by its id, with each id."""
    templates = [path for method, path in scopes_by_route(world.api.client.app) if method == "GET" and "{" in path]  # type: ignore[arg-type]
    places = dict.fromkeys(("name", "token", "sha256", "event", "key", "number"), "none")
    return [
        (path, path.format(**{**places, "id": each, "event": each, "token": each, "tile": each}))
        for path in templates
        for each in ids
    ]


def _lists(world: World) -> list[str]:
    """Every route that lists, the flags with whom they are about."""
    listed = [path for method, path in scopes_by_route(world.api.client.app) if method == "GET" and "{" not in path]  # type: ignore[arg-type]
    return [*listed, "/v1/renewals?include=subject", "/v1/events?limit=1000"]


def _live(api: Api) -> tuple[str, ...]:
    """Give the person everything that a person can have: two accounts, a refusal, a page, a name, an age, decisions."""
    api.register("ads-mail")
    api.register("stats")
    api.register("third", consent_validity="P1M")
    api.register("filter", purpose="unsolicited_content_detection")
    api.ok("POST", "/v1/webhooks", {"url": "https://receiver.example/hook", "include_subject": True})
    imported(api, row(1, ERASED, "refused", processing="stats"))
    api.call("POST", "/v1/withdrawals", {"subject": subject(ERASED)}, {"Idempotency-Key": "once"})
    for name in (ERASED, NEIGHBOUR):
        api.decide(name, "ads-mail")
        api.withdraw(name, "ads-mail")
        api.ok("POST", "/v1/subjects/closures", {"subject": subject(name)})
        api.decide(name, "ads-mail")
        api.decide(name, "third")
        api.decide(name, "stats", "refused")
        age = {"age_band": "adult", "stated_by": "operator", "checked_how": "account_data"}
        api.ok("POST", "/v1/subjects/ages", {"subject": subject(name), **age})
        api.evaluate(name, "ads-mail")
        api.evaluate(name, "ads-mail", participants=[{"id": ERASED, "local": True}])
        api.ok("POST", "/v1/explanations", question(name, "ads-mail"))
    other = MARKERS["participant"].address
    api.ok("POST", "/v1/subjects/links", {"from": subject(other), "to": subject(ERASED), "basis": "user_proved"})
    contact = subject("contact@exemple.fr")
    api.ok("POST", "/v1/subjects/mailboxes", {"subject": contact, "shared": True})
    theirs: Any = {"by_person": True, "request_reference": "ticket-1"}
    opened, left = (link(api, ERASED, each, **theirs) for each in ("stats", "third"))
    assert Person(api, opened).press("accept", "stats").status == 200
    return opened, left


async def _sweep(database: TestDatabase) -> None:
    """Flag the consent that lasts a month, as in its last week."""
    made = Database(database.app_url, clock=TestClock(datetime.now(UTC) + timedelta(days=25)))
    try:
        await sweep_renewals(made, Renewal(PeriodPolicy()))
    finally:
        await made.close()


@pytest.fixture(scope="module")
def world():
    """The deployment, before the erasure."""
    with new_database() as database, running(database) as api:
        made = World(api, database, _live(api))
        asyncio.run(_sweep(database))
        api.client.portal.call(dispatch_events, api.client.app.state.services.database)  # type: ignore[union-attr, attr-defined]
        last = api.evaluate(ERASED, "third")["context"]["id"]
        eventually(lambda: last in made.rows(made.refs(ERASED)))
        theirs, anyone = made.rows(made.refs(ERASED)), made.rows(made.refs(NEIGHBOUR))
        made.past = frozenset(UUIDS.findall(theirs)) - frozenset(UUIDS.findall(anyone))
        yield made


@dataclass
class Found:
    """What leads to the past: by route for the person's id, by route for an id of a record, by table, by page."""

    by_person: dict[str, frozenset[str]]
    by_id: frozenset[str]
    in_lists: frozenset[str]
    pages: tuple[int, ...]


def _look(world: World, *, only: frozenset[str] | None = None) -> Found:
    """By every route, or by those that only ask, the lists and the pages."""
    by_person: dict[str, frozenset[str]] = {}
    for method, path, body in _questions():
        if only is None or path in only:
            shown = world.past & frozenset(UUIDS.findall(world.told(method, path, body)))
            by_person[path] = by_person.get(path, frozenset()) | shown
    person = {"erased": MARKERS["subject"]}
    paths = _by_id(world, world.past) if only is None else []
    by_id = {path for path, each in paths if leaks({path: world.told("GET", each).encode()}, person)}
    in_lists = {path for path in _lists(world) if leaks({path: world.told("GET", path).encode()}, person)}
    pages = tuple(world.api.with_key(None).call("GET", path).status_code for path in world.links)
    return Found(by_person, frozenset(by_id), frozenset(in_lists), pages)


def _leading(world: World, refs: list[bytes]) -> set[str]:
    """The tables in which one of these subjects stands by a column for it, without those that are kept."""
    named = {(name, each.name) for name, table in metadata.tables.items() for each in table.c if name not in KEPT}
    body = {"subject_ref": "subject_ref = ANY(%s)", "subject_refs": "subject_refs && %s"}
    with world.connect() as connection:
        statements = [(name, f'SELECT FROM "{name}" WHERE {body[each]}') for name, each in named if each in body]
        return {name for name, rows in statements if connection.execute(rows, [refs]).fetchone() is not None}


def _tables(world: World) -> set[str]:
    """The tables in which the person's id stands, in clear or as its locator, once the feed of changes is trimmed."""
    world.api.client.portal.call(trim, world.api.client.app.state.services.database)  # type: ignore[attr-defined, union-attr]
    locator = Pseudonyms(bytes.fromhex(PSEUDONYM_KEY)).locator("user", ERASED)
    with world.connect() as connection:
        tables = stored(connection)
    return {name for name, kept in tables.items() if locator in kept or leaks({name: kept}, {"": MARKERS["subject"]})}


@pytest.fixture(scope="module")
def before(world):
    """What is found of the person before the erasure."""
    return _look(world, only=READING)


@pytest.fixture(scope="module")
def after(world, before):
    """The same after it, by every route; the refs that the person had are kept for the tests."""
    refs, named = world.refs(ERASED), _tables(world)
    named |= {f"leads: {each}" for each in _leading(world, refs)}
    world.api.ok("POST", "/v1/subjects/erasures", {"subject": subject(ERASED)})
    eventually(lambda: _tables(world) == {"table subject_locator"})
    return _look(world), refs, named


def test_before_an_erasure_the_past_is_found(world, before):
    """Control: the person's id leads to records by every reading route, the flags name them, a row and a page do."""
    assert len(world.refs(ERASED)) == 2
    assert {path for path, shown in before.by_person.items() if shown} == READING
    assert before.in_lists == {"/v1/renewals?include=subject"}
    assert before.pages == (200, 200)


def test_after_it_no_route_finds_anything_by_the_persons_id(after):
    """Every route that takes a subject is asked with the erased id, and answers with no id of the past."""
    outcome, *_ = after
    assert len(outcome.by_person) > len(READING)
    assert {path: shown for path, shown in outcome.by_person.items() if shown} == {}


def test_after_it_no_id_of_a_record_leads_to_the_person(world, after):
    """Every id of the past is tried on every route that reads by an id, every list is read: no answer names them."""
    outcome, *_ = after
    assert len(world.past) > 10
    assert outcome.by_id == outcome.in_lists == frozenset()
    assert outcome.pages == (404, 404)


def test_after_it_no_table_leads_from_the_person_to_the_past(world, after):
    """One table holds the locator, for its day; before, two held it or the id. Nothing leads to the past's refs.

    Every table with a column for a subject is asked, but for those that are named as kept.
    """
    _, refs, named = after
    leading = {"subject_locator", "subject_vault", "consent_link", "solicitation", "import_row", "idempotency"}
    assert named == {"table subject_locator", "table subject_vault", *(f"leads: {each}" for each in leading)}
    assert _leading(world, refs) == set()
    assert not set(world.refs(ERASED)) & set(refs)
    assert world.rows(refs), "the ledger keeps what proves, under the pseudonym of nobody"


def test_after_it_the_day_alone_stays_of_the_name(world, after):
    """What the locator leads to is one closed account that began and ended at one midnight, and holds nothing."""
    _, refs, _ = after
    with world.connect() as connection:
        accounts = connection.execute(
            "SELECT began_at, ended_at FROM subject_locator WHERE subject_ref = ANY(%s)", [world.refs(ERASED)]
        ).fetchall()
        assert len(world.refs(ERASED)) == len(accounts) == 1
    ((began, ended),) = accounts
    assert began == ended == paris_midnight(ended.astimezone(PARIS).date())
    assert set(refs).isdisjoint(world.refs(ERASED))
    assert world.past.isdisjoint(UUIDS.findall(world.rows(world.refs(ERASED))))
