"""Exempt purposes are answered while the database is away, without waiting, and a service may start without it."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.ledger.identifiers import Vault
from app.operations.service.outage_file import ExemptFacts, OutageFileError, read_file, remember, write_file
from app.settings import OUTAGE_FILE
from app.snapshot.last_known import LastKnown
from tests.faults.service import HANGS, ROOT, Service, counted_in, environment, eventually, web_workers
from tests.faults.words import question, recovers
from tests.support.forked import run_forked

ONE = "/access/v1/evaluation"


def _exempt(service) -> bool:
    answer = service.call("POST", ONE, question("alice", "filter"))
    return answer.status_code == 200 and answer.json()["decision"] is True


def _unknowable(service) -> bool:
    return bool(service.call("POST", ONE, question("alice", "ads-mail")).status_code == 503)


@pytest.mark.parametrize("cache", ["leased", "strict"])
def test_exempt_questions_do_not_wait_for_a_database_that_is_silent(server, serve, service, cache):
    """While a database is silent, a hundred exempt questions are answered before one question of IV is given up."""
    serving = serve(SCEAU_CACHE=cache) if cache == "strict" else service
    assert _exempt(serving)
    with server.frozen(), ThreadPoolExecutor(1) as pool:
        eventually(lambda: _unknowable(serving))
        assert _exempt(serving)
        waiting = pool.submit(_unknowable, serving)
        assert all(_exempt(serving) for _ in range(100))
        assert not waiting.done()
        assert waiting.result()
    recovers(serving, "uma")


@pytest.fixture
def kept(serve, service, place):
    """A file that a service has written while the database was there."""
    path: Path = place / "outage.sealed"
    path.unlink(missing_ok=True)
    writer = serve(SCEAU_STATE_DIRECTORY=str(place))
    eventually(path.exists)
    writer.end(signal.SIGTERM)
    return path


def test_a_service_starts_without_its_database(server, serve, kept):
    """A service started without its database answers exempt purposes, is degraded, and recovers with the database."""
    with server.stopped():
        late = serve(SCEAU_STATE_DIRECTORY=str(kept.parent), workers=2)
        assert _exempt(late)
        assert _unknowable(late)
        assert late.call("GET", "/readyz").json()["status"] == "degraded"
        assert late.call("GET", "/readyz?need=IV").status_code == 503
        assert late.call("POST", ONE, question("alice", "filter"), "sceau_" + "n" * 43).status_code == 503
    recovers(late, "ida")
    assert late.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("wrong", ["none", "altered", "another master key"])
def test_a_service_without_a_good_file_does_not_start_without_its_database(server, place, kept, wrong):
    """A service with a missing, altered or foreign file does not start without its database."""
    if wrong == "none":
        kept.unlink()
    elif wrong == "altered":
        kept.write_bytes(kept.read_bytes()[:-1] + b"\x00")
    more = {"SCEAU_MASTER_KEY": "first:" + "66" * 32} if wrong == "another master key" else {}
    settings = {**server.settings, "SCEAU_STATE_DIRECTORY": str(kept.parent), "SCEAU_JOBS": "false", **more}
    with server.stopped():
        refused = Service(place / "refused.log", settings)
        assert refused.process.wait(60) not in {0, None}


def test_a_late_database_of_another_deployment_ends_the_service(server, serve, kept, place):
    """A service started without its database ends when the database turns out to have another deployment's settings."""
    settings = {
        **server.settings,
        "SCEAU_STATE_DIRECTORY": str(kept.parent),
        "SCEAU_JOBS": "false",
        "SCEAU_SUBJECT_IDS": "exact",
    }
    with server.stopped():
        other = Service(place / "other.log", settings).wait_until_it_listens()
        assert _exempt(other)
    assert other.process.wait(60) is not None
    other.end()
    assert "SCEAU_SUBJECT_IDS" in other.output.read_text()


def test_a_worker_that_dies_in_an_outage_does_not_end_the_service(server, serve, service):
    """When a worker dies in an outage, its successor answers exempt purposes, and the service recovers afterwards."""
    pair = serve(workers=2)
    eventually(lambda: all(_exempt(pair) for _ in range(20)))
    eventually(lambda: any((each / OUTAGE_FILE).exists() for each in counted_in(web_workers(pair))))
    with server.stopped():
        eventually(lambda: _unknowable(pair))
        workers = web_workers(pair)
        os.kill(workers[0], signal.SIGKILL)
        eventually(lambda: len(set(web_workers(pair)) - {workers[0]}) == 2)
        eventually(lambda: _exempt(pair))
        assert pair.process.poll() is None
    recovers(pair, "eve")
    eventually(lambda: all(_exempt(pair) for _ in range(20)))


VAULT = Vault({"first": b"2" * 32})


def test_what_is_kept_is_sealed_and_private(tmp_path):
    """The outage file cannot be read without the master key, and only its owner may open it."""
    path = tmp_path / "kept"
    write_file(path, ExemptFacts(datetime.now(UTC), {}, ()), VAULT)
    assert b"callers" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert read_file(path, VAULT).callers == {}
    with pytest.raises(OutageFileError, match="master key"):
        read_file(path, Vault({"first": b"3" * 32}))


def test_a_file_that_is_old_or_of_the_future_is_not_used():
    """A file from over a day ago or two minutes ahead is refused; one from 23 hours ago or 30 seconds ahead is used."""
    now = datetime.now(UTC)
    for age in (timedelta(hours=23), timedelta(seconds=-30)):
        remember(ExemptFacts(now - age, {}, ()), LastKnown(), now)
    for age in (timedelta(hours=25), timedelta(minutes=-2)):
        with pytest.raises(OutageFileError, match="at most a day"):
            remember(ExemptFacts(now - age, {}, ()), LastKnown(), now)


def test_no_command_but_serve_starts_without_its_database(server, kept):
    """`sceau worker` does not start without its database, and says why."""
    with server.stopped():
        settings = environment(**server.settings, SCEAU_STATE_DIRECTORY=str(kept.parent))
        done = run_forked(["worker"], settings, ROOT, HANGS)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
