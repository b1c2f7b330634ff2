"""The requests that these tests send to a service, and how they look into its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.faults.service import Server, Service, eventually
from tests.support.api import processing, subject
from tests.support.api import question as asked
from tests.support.consents import grant

ADS = processing("ads-mail")
FILTER = processing("filter", purpose="unsolicited_content_detection")
TRACES = ("subject", "subject_vault", "consent_event", "consent", "outbox", "idempotency")
_WAITING = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = 'sceau' AND application_name = 'sceau' AND wait_event_type = 'Lock'
"""


def question(name: str, identifier: str) -> dict[str, Any]:
    """An evaluation request."""
    return asked(name, identifier)


def decision(name: str, kind: str = "granted") -> dict[str, Any]:
    """A consent to ads-mail, or a refusal."""
    return {**grant(name, "ads-mail"), "decision": kind}


def withdrawal(name: str) -> dict[str, Any]:
    """A withdrawal from ads-mail."""
    return {"subject": subject(name), "processing": "ads-mail"}


def works(service: Service, name: str) -> bool:
    """Whether the service works: a grant permits, and its withdrawal denies."""
    if service.call("POST", "/v1/consents", decision(name)).status_code != 201:
        return False
    permitted = service.call("POST", "/access/v1/evaluation", question(name, "ads-mail"))
    ended = service.call("POST", "/v1/withdrawals", withdrawal(name))
    denied = service.call("POST", "/access/v1/evaluation", question(name, "ads-mail"))
    if {permitted.status_code, ended.status_code, denied.status_code} != {200}:
        return False
    assert permitted.json()["decision"] is True
    assert denied.json()["decision"] is False
    return service.call("GET", "/readyz").status_code == 200


def recovers(service: Service, name: str) -> None:
    """Wait until the service works again."""
    eventually(lambda: works(service, name))


def traces(server: Server) -> dict[str, int]:
    """How many rows each table that a write touches holds."""
    with server.administrator() as connection:
        return {table: len(connection.execute(f"SELECT FROM {table}").fetchall()) for table in TRACES}


def waiting(server: Server) -> list[int]:
    """The backends of the service that wait for a lock."""
    with server.administrator() as connection:
        return [pid for (pid,) in connection.execute(_WAITING)]


@contextmanager
def stopped_before_commit(server: Server) -> Iterator[psycopg.Connection[Any]]:
    """Hold every write of a consent between its ledger row and its commit: the outbox comes last, and is locked."""
    with server.administrator() as holder, holder.transaction():
        holder.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
        yield holder


def agree(server: Server) -> None:
    """Every consent event has its consent, its outbox row and its subject, and nothing is there without one."""
    with server.administrator() as connection:
        (alone,) = connection.execute(
            "SELECT count(*) FROM consent_event AS e FULL JOIN consent AS c ON c.id = e.id"
            " WHERE (e.kind IN ('granted', 'refused') AND c.id IS NULL) OR e.id IS NULL"
        ).fetchall()
        (untold,) = connection.execute(
            "SELECT count(*) FROM consent_event AS e WHERE e.kind IN ('granted', 'refused') AND NOT EXISTS"
            " (SELECT FROM outbox AS o WHERE o.subject_ref = e.subject_ref AND o.data ->> 'consent' = e.id::text)"
        ).fetchall()
        (without,) = connection.execute(
            # An erased name leaves an empty account that was closed on a day.
            "SELECT count(*) FROM subject AS s WHERE NOT EXISTS"
            " (SELECT FROM consent_event AS e WHERE e.subject_ref = s.subject_ref) AND EXISTS"
            " (SELECT FROM subject_locator AS l WHERE l.subject_ref = s.subject_ref AND l.ended_at IS NULL)"
        ).fetchall()
    assert (alone, untold, without) == ((0,), (0,), (0,))
