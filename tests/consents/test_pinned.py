"""Sixty requests that write still get the status, head and body, and leave the rows, that pinned.json holds.

SCEAU_TEST_WRITE_PINNED=1 writes that file anew, for a change that is intended and stands in CHANGELOG.md.
"""

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.support.api import subject
from tests.support.consent_page import Person, link
from tests.support.consents import EVIDENCE, SIGNED, grant

PINNED = Path(__file__).with_name("pinned.json")
TABLES = {
    "subject": "shared, created_at",
    "subject_locator": "began_at, ended_at",
    "consent_event": "seq, kind, processing, version, elements, collected_at, recorded_at, stated_at, imported, "
    "expires_at, territory, counting, evidence, capacity, text_known",
    "consent": "processing, version, decision, collected_at, expires_at, ended_by, ended_at, counted_from",
    "outbox": "type, occurred_at, data",
    "document": "sha256",
    "import_source": "name, rows, grants",
}
RANDOM = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<="subject_ref": ")[0-9a-f]{64}')
HEADS = ("content-type", "idempotency-replayed", "retry-after", "www-authenticate", "cache-control", "location")
MINUTE = timedelta(minutes=1)


class Recording:
    """Sends requests, each a minute after the one before, and keeps the answers."""

    def __init__(self, api, clock) -> None:
        """Send by an application and its clock."""
        self.api, self.clock = api, clock
        self.kept: list[Any] = []

    def send(self, path: str, body: Any, key: str | None = None, again: str | None = None) -> Any:
        """Send one request, with another key perhaps, or an Idempotency-Key."""
        self.clock.at += MINUTE
        api = self.api if key is None else self.api.with_key(key)
        answer = api.call("POST", path, body, {} if again is None else {"Idempotency-Key": again})
        head = {name: answer.headers[name] for name in HEADS if name in answer.headers}
        self.kept.append([path, answer.status_code, head, answer.json() if answer.content else None])
        return answer

    def grant(self, name: str, identifier: str = "ads", key: str | None = None, again: str | None = None, **more: Any):
        """A grant of now."""
        return self.send("/v1/consents", grant(name, identifier, at=self.clock.at, **more), key, again)

    def say(self, path: str, name: str, key: str | None = None, **more: Any):
        """Send a request about a person."""
        return self.send(path, {"subject": subject(name), **more}, key)


CHILD, PARENT = "under_15", "holder_of_parental_responsibility"
BY_PARENT = {"parent": subject("p"), "parent_checked_how": "identity_document"}


def _singles(send: Recording) -> None:
    send.grant("ann")
    send.grant("ann", elements=["content"])
    send.grant("ann", "stats", territory="RE")
    send.grant("ben", "nothing")
    send.grant("ben", "sorting")
    send.grant("ben", "retired")
    send.grant("ben", version=9)
    send.grant("ben", elements=["attachments"])
    send.grant("ben", evidence={"conditional": True})
    send.grant("ben", evidence={"presented_text_sha256": "ab" * 32})
    send.send("/v1/consents", grant("ben", "ads", at=send.clock.at + timedelta(hours=1)))
    send.send("/v1/consents", grant("ben", "ads", at=send.clock.at - timedelta(days=9), evidence=SIGNED))
    send.send("/v1/consents", grant("cleo", "ads", at=send.clock.at - timedelta(days=9), evidence=SIGNED))
    send.say("/v1/consents", "ann", processing="ads", decision="refused", evidence=EVIDENCE)
    send.say("/v1/consents", "nobody", processing="stats", decision="refused", evidence={**EVIDENCE, "method": "phone"})
    send.say("/v1/withdrawals", "ann", processing="stats")
    send.say("/v1/withdrawals", "ben")
    send.say("/v1/withdrawals", "unknown", method="paper")
    send.say("/v1/withdrawals", "ann", processing="nothing")
    send.say("/v1/withdrawals", "ann", processing="sorting")
    send.say("/v1/withdrawals", "ann", received_at="2031-01-01T00:00:00Z")
    send.say("/v1/withdrawals", "a@xn--.example", processing="ads")
    send.say("/v1/consents", "ann", processing="ads")
    send.send("/v1/consents", send.grant("dora", again="one").request.content, again="one")
    send.grant("dora", "stats", again="one")
    send.send("/v1/withdrawals", {"subject": subject("dora"), "processing": "ads"}, again="two")
    send.send("/v1/withdrawals", {"subject": subject("dora"), "processing": "ads"}, again="two")
    send.grant("eve", key="sceau_" + "x" * 43)


def _ages(send: Recording) -> None:
    age = {"stated_by": "operator", "checked_how": "account_data"}
    send.grant("zoe", capacity={"given_by": "self", "age_band": CHILD})
    send.grant("zoe", capacity={"given_by": PARENT, "age_band": CHILD, **BY_PARENT})
    send.grant("zoe", capacity={"given_by": PARENT, "age_band": CHILD, **BY_PARENT, "parent": subject("zoe")})
    send.grant("yan", capacity={"given_by": "both", "age_band": CHILD, **BY_PARENT})
    send.say("/v1/subjects/ages", "yan", age_band="adult", **age)
    send.say("/v1/subjects/ages", "ann", age_band=CHILD, under_15_until="2027-02-01", **age)
    send.say("/v1/subjects/ages", "ann", age_band=CHILD, under_15_until="2020-02-01", **age)
    send.say("/v1/withdrawals", "yan", processing="ads", capacity={"age_band": "minor_15_plus"})


def _many(send: Recording) -> None:
    at = send.clock.at
    items = [grant("fay", "ads", at=at), grant("fay", "stats", at=at), grant("gus", "nothing", at=at), {"subject": 1}]
    send.send("/v1/consents/batch", {"items": items})
    send.send("/v1/consents/batch", {"items": []})
    ends = [{"subject": subject("fay"), "processing": "ads"}, {"subject": subject("gus")}, {"subject": subject("fay")}]
    send.send("/v1/withdrawals/batch", {"items": ends})
    row = {"source_id": "1", "subject": subject("ida"), "processing": "ads", "at": "2026-06-10T09:00:00Z"}
    rows = [
        {**row, "decision": "granted", "evidence": grant("ida", "ads")["evidence"]},
        {**row, "source_id": "2", "decision": "refused"},
        {**row, "source_id": "3", "decision": "withdrawn", "subject": subject("joe")},
        {**row, "source_id": "4", "decision": "granted", "processing": "nothing"},
    ]
    page = {"import": "old", "until": "2026-06-14T00:00:00Z", "grants_expected": 2, "rows": rows}
    send.send("/v1/imports", page)
    send.send("/v1/imports", page)
    send.send("/v1/imports", {**page, "until": "2026-06-13T00:00:00Z"})


def _people(send: Recording) -> None:
    for name in ("kay", "lou", "max", "office"):
        send.grant(name)
    link = {"from": subject("kay"), "to": subject("lou"), "basis": "user_proved"}
    send.send("/v1/subjects/links", link)
    send.send("/v1/subjects/links", link)
    send.send("/v1/subjects/links", {**link, "to": subject("kay")})
    send.send("/v1/subjects/links", {"from": subject("kay"), "to": subject("lou"), "linked": False})
    send.say("/v1/subjects/mailboxes", "office", shared=True)
    send.grant("office")
    send.say("/v1/subjects/closures", "max")
    send.grant("max", "stats")
    send.say("/v1/subjects/erasures", "max")
    send.say("/v1/subjects/erasures", "unheard of")
    send.say("/v1/renewals/declined", "lou", processing="ads")


def _presses(send: Recording) -> None:
    for name, press in (("nora", "accept"), ("omar", "refuse"), ("lou", "withdraw")):
        send.clock.at += MINUTE
        kind = "withdraw" if press == "withdraw" else "decide"
        answer = Person(send.api, link(send.api, name, "ads", kind=kind)).press(press, "ads")
        send.kept.append([f"press {press}", answer.status])


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=lambda each: each.hex() if isinstance(each, bytes) else str(each)))


def _rows(url: str) -> dict[str, list[Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return {
            table: _plain(connection.execute(f"SELECT {columns} FROM {table}").fetchall())
            for table, columns in TABLES.items()
        }


def _without_chance(requests: list[Any], rows: dict[str, list[Any]]) -> dict[str, Any]:
    """The findings, with a number in place of each random id, by the order in which the ids were answered."""
    names: dict[str, str] = {}
    replaced = RANDOM.sub(lambda each: names.setdefault(each[0], f"random {len(names) + 1}"), _text(requests))
    kept = json.loads(RANDOM.sub(lambda each: names.get(each[0], "random"), _text(rows)))
    return {"requests": json.loads(replaced), "rows": {table: sorted(each, key=_text) for table, each in kept.items()}}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def test_sixty_requests_do_what_they_did(database, clocked, clock):
    """Each request gets its pinned answer, and the tables hold the pinned rows."""
    clocked.register("ads")
    clocked.register("stats", purpose="statistics")
    clocked.register("sorting", purpose="sorting")
    clocked.register("retired")
    clocked.ok("PATCH", "/v1/processings/retired", {"status": "retired"})
    send = Recording(clocked, clock)
    for part in (_singles, _ages, _many, _people, _presses):
        part(send)
    assert len(send.kept) >= 60
    recorded = _without_chance(send.kept, _rows(database.owner_url))
    if os.environ.get("SCEAU_TEST_WRITE_PINNED"):
        PINNED.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    pinned = json.loads(PINNED.read_text(encoding="utf-8"))
    for one, other in zip(recorded["requests"], pinned["requests"], strict=True):
        assert one == other
    assert recorded["rows"] == pinned["rows"]
