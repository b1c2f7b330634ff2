"""`/readyz`, the metrics and the console say if the log is not anchored outside, or late."""

import asyncio
import re
from datetime import timedelta

import psycopg
import pytest

from app.jobs.tasks import make_jobs
from app.jobs.work import Work
from app.proof.anchors import LATE, AnchoredLog, Anchoring
from app.proof.authority import TimeAuthority
from app.wiring.parts import database_of, deployment_of
from tests.proof.logs import lived_in
from tests.proof.tsa import Authority
from tests.support.api import running, settings_for, utc
from tests.support.console import Visitor
from tests.support.databases import execute

NOW = utc("2026-11-27T12:00:00Z")
NOT_ON_TIME, ON_TIME = NOW - LATE - timedelta(seconds=1), NOW - LATE


@pytest.mark.parametrize(
    ("size", "since", "is_on", "standing"),
    [
        (None, None, False, Anchoring.OFF),
        (None, ON_TIME, False, Anchoring.OFF),
        (None, NOT_ON_TIME, False, Anchoring.OFF),
        (5, NOT_ON_TIME, False, Anchoring.OFF),
        (5, ON_TIME, False, Anchoring.ANCHORED),
        (5, None, False, Anchoring.ANCHORED),
        (None, None, True, Anchoring.PENDING),
        (None, ON_TIME, True, Anchoring.PENDING),
        (None, NOT_ON_TIME, True, Anchoring.LATE),
        (5, NOT_ON_TIME, True, Anchoring.LATE),
        (5, ON_TIME, True, Anchoring.ANCHORED),
        (5, None, True, Anchoring.ANCHORED),
    ],
)
def test_how_a_log_stands(size, since, is_on, standing):
    """A log is anchored unless a checkpoint has waited for over two hours; then it is late, or not anchored at all."""
    assert AnchoredLog(size, since).standing(NOW, is_on=is_on) is standing


def test_a_delay_is_never_negative():
    """A delay is zero and not negative if clocks are off by a little."""
    assert AnchoredLog(5, NOW + timedelta(seconds=1)).delay(NOW) == timedelta(0)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """The roots of an authority that is not asked here."""
    return Authority(tmp_path_factory.mktemp("tsa") / "own").roots


_STAMPED = """
    INSERT INTO proof_anchor (id, size, way, witness, told_at, kept_at, content)
    SELECT gen_random_uuid(), max(size), 'stamp', '', now(), now(), '0' FROM proof_checkpoint
"""


def _proof_page(visitor):
    """What the console tells of the proof."""
    visitor.sign_in()
    return visitor.get("/console/report").text("proof")


def _shown(log, **settings):
    """What each place says: the notes of `/readyz`, the delay in the metrics, and the console in both languages."""
    with running(log.database, **settings) as api:
        ready = api.client.get("/readyz")
        metrics = api.client.get("/metrics").text
        pages = [_proof_page(Visitor(api, lang)) for lang in ("en", "fr")]
    assert ready.status_code == 200
    delay = re.search(r"^sceau_proof_anchor_delay_seconds (\S+)$", metrics, re.MULTILINE)
    assert delay is not None
    notes = [note for note in ready.json()["notes"] if "anchored" in note]
    return notes, float(delay[1]), pages


def test_it_is_said_wherever_somebody_looks(database, tmp_path, roots):
    """All places say that a log is not anchored, waits or is late, and say nothing once a stamp is kept."""
    log = lived_in(database, tmp_path)
    settings = {"tsa_url": "http://127.0.0.1:1/", "tsa_ca_file": str(roots)}
    notes, delay, (english, french) = _shown(log)
    assert ["not anchored: nothing outside" in note for note in notes] == [True]
    assert delay < LATE.total_seconds()
    assert ("The log is not anchored: nothing" in english, "Journal non ancré : rien" in french) == (True, True)
    notes, _, (english, french) = _shown(log, **settings)
    assert ["not anchored yet" in note for note in notes] == [True]
    assert ("is not anchored yet" in english, "pas encore ancré" in french) == (True, True)
    log.superuser("UPDATE proof_checkpoint SET signed_at = signed_at - interval '3 hours'")
    notes, delay, (english, french) = _shown(log, **settings)
    assert ["not anchored: the log's time-stamps are late" in note for note in notes] == [True]
    assert delay > LATE.total_seconds()
    assert ("was not anchored for over two hours" in english, "depuis plus de deux heures" in french) == (True, True)
    execute(log.database, _STAMPED)
    notes, delay, (english, french) = _shown(log, **settings)
    assert (notes, delay) == ([], 0.0)
    assert ("The log is anchored" in english, "Le journal est ancré" in french) == (True, True)


def test_a_run_that_gets_no_stamp_is_no_failure(database, tmp_path, capfd):
    """A run without a stamp is no failure: the task logs why in one word, and without an authority does nothing."""
    log = lived_in(database, tmp_path)

    async def run(authority):
        work = Work(database_of(settings_for(database)), deployment_of(settings_for(database)), authority=authority)
        try:
            await make_jobs(database.app_url, work).tasks["proof.stamp"].func(timestamp=0)
        finally:
            await work.database.close()

    ran = "SELECT last_flagged || ' ' || backlog || ' ' || failures FROM job_run WHERE task = 'proof.stamp'"
    asyncio.run(run(None))
    assert log.value(ran) == "0 0 0"
    asyncio.run(run(TimeAuthority("http://127.0.0.1:1/secret", ())))
    assert log.value(ran) == "0 1 0"
    printed = "".join(capfd.readouterr())
    assert ("the log was not time-stamped" in printed, "connect" in printed, "secret" in printed) == (True, True, False)


def test_an_anchor_of_a_checkpoint_that_there_is_not_is_refused(database):
    """An anchor of a checkpoint that does not exist is refused: it would count as anchoring the log for ever."""
    row = "(gen_random_uuid(), 1000000, 'stamp', '', now(), now(), 'x')"
    refused = pytest.raises(psycopg.errors.ForeignKeyViolation)
    with psycopg.connect(database.app_url, autocommit=True) as connection, refused:
        connection.execute(f"INSERT INTO proof_anchor VALUES {row}")
