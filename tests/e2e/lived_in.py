"""Some life for the console's browser tests: consents of every month, decisions of two weeks, receivers, jobs."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from app.audit.figures import JobRun
from app.core.decision import Reason
from tests.e2e.pages.consent import ADS, STATISTICS, Operator
from tests.support.api import processing, subject
from tests.support.consents import SIGNED, grant, own_form, proof
from tests.support.console import count, run_recorded
from tests.support.databases import TestDatabase
from tests.support.decision_rows import REFUSED, but, insert, logged, segment_of

NOW = datetime.now(UTC)
FILTER = processing(
    "filtre-malware",
    controller="Exemple Courriel SAS",
    purpose="malware_detection",
    elements=["content", "attachments"],
    name={"fr": "Détection de programmes malveillants", "en": "Malware detection"},
)
_ANSWERS = (
    (ADS, True, Reason.CONSENT_IN_FORCE, 37),
    (ADS, False, Reason.NO_CONSENT, 12),
    (ADS, False, Reason.CONSENT_EXPIRED, 5),
    (STATISTICS, False, Reason.CONSENT_WITHDRAWN, 3),
    ("filtre-malware", True, Reason.EXEMPT, 2),
)


def fill(operator: Operator, data: Path) -> None:
    """Register, import a year of consents, log decisions, register receivers, record runs, and count."""
    reached = json.loads((data / "running.json").read_text())["environment"]
    database = TestDatabase("", reached["SCEAU_DATABASE_OWNER_URL"], reached["SCEAU_DATABASE_URL"])
    operator.register()
    operator.ok("/v1/processings", FILTER)
    _consents(operator)
    hook = operator.ok("/v1/webhooks", {"url": "http://127.0.0.1:9/hook?token=sekret"})["id"]
    gone = operator.ok("/v1/webhooks", {"url": "http://127.0.0.2:9/gone"})["id"]
    operator.client.patch(f"/v1/webhooks/{gone}", json={"status": "disabled"}).raise_for_status()
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("INSERT INTO webhook_count VALUES (%s, 'delivered', 118), (%s, '500', 4)", [hook, hook])
        for back in range(14):
            _decisions(connection, NOW - timedelta(days=back), back)
    with ThreadPoolExecutor(1) as pool:  # Playwright's loop runs in this thread
        pool.submit(_work, database).result()


def _work(database: TestDatabase) -> None:
    for task, flagged, error in (("renewals.sweep", 7, None), ("links.remove_ended", 0, "TimeoutError")):
        run_recorded(database, JobRun(task, NOW, timedelta(seconds=0.21), flagged, error=error))
    count(database)


def _consents(operator: Operator) -> None:
    for month in range(12):
        for person in range(3 + month * 5 % 7):
            at = NOW - timedelta(days=29 * month + 20)
            _decide(operator, f"p{month}-{person}@exemple.example", ADS, "granted", at)
            if person % 3 == 0:
                _decide(operator, f"p{month}-{person}@exemple.example", STATISTICS, "granted", at)
    for person in range(6):
        _decide(operator, f"r{person}@exemple.example", ADS, "refused", NOW - timedelta(days=9))
    for person in range(2):
        operator.ok("/v1/withdrawals", {"subject": subject(f"p{person}-0@exemple.example"), "processing": ADS})


def _decide(operator: Operator, name: str, identifier: str, decision: str, at: datetime) -> None:
    versions = operator.client.get(f"/v1/processings/{identifier}/versions").raise_for_status().json()
    evidence = own_form(proof(versions["items"][0]["notice"], SIGNED), name)
    body = {**grant(name, identifier, at=at), "decision": decision, "evidence": evidence}
    operator.ok("/v1/consents", body)


def _decisions(connection: psycopg.Connection, at: datetime, back: int) -> None:
    first = at.date()
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS decision_segment_{at:%Y%m%d} PARTITION OF decision_segment"
        f" FOR VALUES FROM ('{first}') TO ('{first + timedelta(days=1)}')"
    )
    for identifier, permitted, reason, number in _ANSWERS:
        facts = but(REFUSED, processing=identifier, permitted=permitted, reason=reason.value)
        begun = at.replace(minute=0, second=0, microsecond=0)
        times = [begun + timedelta(milliseconds=place) for place in range(number + (number * back * 3) % 11)]
        insert(connection, segment_of(logged(each, facts) for each in times))
