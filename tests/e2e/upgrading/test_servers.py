"""The whole job on each PostgreSQL that can be had here, directly and behind PgBouncer in transaction mode."""

import signal
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from bench.stale.pooler import Pooler
from tests.e2e.debian import provide_servers
from tests.faults.service import Server, Service, eventually
from tests.faults.words import ADS, FILTER, agree, decision, question, recovers, withdrawal
from tests.support.api import subject
from tests.support.clusters import programs_of

ONE = "/access/v1/evaluation"
VERSIONS = (16, 17, 18)
ROLE_SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "5s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
}
"""What PgBouncer does not pass on, given to the role instead (docs/operating.md)."""


def binaries_of(version: int) -> Path:
    """The programs of a PostgreSQL: of the wheel that brings 16 and 18, or of Debian's package."""
    if version in {16, 18}:
        return programs_of(version)
    programs = Path("/usr/lib/postgresql/17/bin")
    provide_servers({"postgresql-17": str(programs / "postgres")}, "PostgreSQL 17")
    return programs


@contextmanager
def open_directory():
    """A directory that the accounts of servers may enter."""
    with tempfile.TemporaryDirectory(prefix="sceau-servers-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module", params=VERSIONS)
def server(request):
    """A server of one version, migrated."""
    with open_directory() as place:
        made = Server(place, binaries=binaries_of(request.param))
        with made.administrator() as connection:
            assert connection.info.server_version // 10_000 == request.param
        yield made
        made.embedded.stop()


@contextmanager
def pooled(server, place):
    """PgBouncer in front of a server; the settings of a service that reaches it so."""
    provide_servers({"pgbouncer": "/usr/sbin/pgbouncer"}, "PgBouncer")
    with server.administrator() as connection:
        for name, value in ROLE_SETTINGS.items():
            connection.execute(f"ALTER ROLE sceau_app SET {name} = '{value}'")
    host = unquote(parse_qs(urlsplit(server.app_url).query)["host"][0])
    pooler = Pooler(place / "pooler", Path(host) / ".s.PGSQL.5432")
    try:
        yield {"SCEAU_DATABASE_URL": pooler.url, "SCEAU_DIRECT_DATABASE_URL": server.app_url}
        assert pooler.transactions() > 0
    finally:
        pooler.stop()


@pytest.mark.parametrize("through", ["directly", "pgbouncer"])
def test_the_whole_job(server, tmp_path, through):
    """Granted, permitted, withdrawn, denied; closed, erased; jobs run; the ledger and its projection agree."""
    with ExitStack() as stack:
        place = stack.enter_context(open_directory())
        more = stack.enter_context(pooled(server, place)) if through == "pgbouncer" else {}
        settings = {**server.settings, **more, "SCEAU_DIRECT_DATABASE_URL": server.app_url}
        service = Service(tmp_path / "service.log", settings, workers=2).wait_until_it_listens()
        stack.callback(service.end, signal.SIGTERM)
        for processing in (FILTER, ADS):
            service.call("POST", "/v1/processings", processing)
        for name in ("alice", "bob", "carol"):
            service.ok("POST", "/v1/consents", decision(f"{name}-{through}"))
            assert service.ok("POST", ONE, question(f"{name}-{through}", "ads-mail"))["decision"] is True
        service.ok("POST", "/v1/withdrawals", withdrawal(f"alice-{through}"))
        service.ok("POST", "/v1/subjects/closures", {"subject": subject(f"bob-{through}")})
        service.ok("POST", "/v1/subjects/erasures", {"subject": subject(f"carol-{through}")})
        for name in ("alice", "bob", "carol"):
            assert service.ok("POST", ONE, question(f"{name}-{through}", "ads-mail"))["decision"] is False
        recovers(service, f"dora-{through}")
        eventually(lambda: service.ok("GET", "/v1/job-runs")["items"])
        eventually(lambda: service.call("GET", "/proof/v1/checkpoint").status_code == 200)
        agree(server)
