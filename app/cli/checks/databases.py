"""Checks of the server and of the roles that the DSNs name; each opens a separate connection and changes nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from app.cli.checks.results import CheckResult, ok, warning, wrong

if TYPE_CHECKING:
    from pydantic import SecretStr

    from app.db.inspection import InspectedConnection, Pooling, ServerState
    from app.settings import Settings

_CLOCK_DIFFERS: Final = 2.0
_CLOCK_IS_WRONG: Final = 30.0
"""Seconds. Such a difference has access tokens and backdated grants refused, long before anything else notices it."""
_ARCHIVED_WITHIN: Final = timedelta(days=1)
_SHOWN: Final = 5
_ROLES: Final = "deploy/postgres-roles.sh makes the role as it should be, and `sceau migrate` grants it its rights"


def application_checks(settings: "Settings", url: str) -> Iterator[CheckResult]:
    """Check as the role of SCEAU_DATABASE_URL: the login, a primary, the role's rights, clock, durability, WAL."""
    from app.db.inspection import InspectionError, service_session
    from app.db.refusals import why_refused

    try:
        with service_session(url) as connection:
            yield from _as_application(settings, connection)
    except InspectionError as error:
        if error.refuses_options:
            yield wrong(
                "pooler",
                "the pooler of SCEAU_DATABASE_URL refuses what connections ask for",
                "set ignore_startup_parameters = options in PgBouncer (docs/operating.md, Replicas)",
            )
            return
        why = why_refused(url, "SCEAU_DATABASE_URL")
        if why is None:
            why = f"a look at the database failed ({error}): see the server's log"
        yield wrong("database", *_parted(why))


def _as_application(settings: "Settings", connection: "InspectedConnection") -> Iterator[CheckResult]:
    from app.db.inspection import application_rights, server_state
    from app.db.migrate import OLDEST_SERVER

    sent = datetime.now(UTC)
    state = server_state(connection)
    heard = datetime.now(UTC)
    if state.is_standby:
        yield wrong(
            "database",
            "SCEAU_DATABASE_URL leads to a standby: nothing can be recorded there",
            "name the primary, or every server of the cluster as host1,host2",
        )
        return
    if state.version < OLDEST_SERVER:
        yield wrong(
            "database",
            f"PostgreSQL {state.version} is older than what Sceau is tested with",
            f"upgrade the server to {OLDEST_SERVER} or newer",
        )
    else:
        yield ok("database", f"the role of SCEAU_DATABASE_URL reaches a primary of PostgreSQL {state.version}")
    lacking, beyond = application_rights(connection)
    if beyond:
        yield wrong("database rights", f"the role of SCEAU_DATABASE_URL {_some(beyond)}", _ROLES)
    if lacking:
        yield wrong("database rights", f"the role of SCEAU_DATABASE_URL lacks {_some(lacking)}", "sceau migrate")
    if not beyond and not lacking:
        yield ok("database rights", "the service's role has the rights that it needs, and no other")
    yield _clock((sent, state.clock, heard))
    yield _ahead(connection)
    yield _durability(settings, connection, state)
    yield _archive(connection)


def owner_checks(settings: "Settings") -> Iterator[CheckResult]:
    """Check as the role of SCEAU_DATABASE_OWNER_URL, if it is set: only migrations and a few commands need it."""
    from app.db.inspection import InspectionError, owner_session, tables_not_owned
    from app.db.refusals import why_refused

    owner: SecretStr | None = settings.database_owner_url
    if owner is None:
        yield ok("owner", "SCEAU_DATABASE_OWNER_URL is not set here: only `sceau migrate` and a few commands need it")
        return
    url = owner.get_secret_value()
    try:
        with owner_session(url) as connection:
            others = tables_not_owned(connection)
    except InspectionError as error:
        why = why_refused(url, "SCEAU_DATABASE_OWNER_URL") or f"a look at the database failed ({error}): see its log"
        yield wrong("owner", *_parted(why))
        return
    if others:
        yield wrong(
            "owner",
            f"the role of SCEAU_DATABASE_OWNER_URL does not own {others} tables of the schema",
            "name the role that owns the schema: migrations fail as another one",
        )
    else:
        yield ok("owner", "the role of SCEAU_DATABASE_OWNER_URL owns the schema")


def _clock(read: tuple[datetime, datetime, datetime]) -> CheckResult:
    """Check by how much two clocks differ at least; the rest may be the time that the answer took."""
    sent, theirs, heard = read
    off = max((sent - theirs).total_seconds(), (theirs - heard).total_seconds(), 0.0)
    remedy = "set both clocks by NTP (chrony, systemd-timesyncd)"
    if off > _CLOCK_IS_WRONG:
        return wrong("clock", f"the database's clock and this host's differ by {off:.0f} seconds", remedy)
    if off > _CLOCK_DIFFERS:
        return warning("clock", f"the database's clock and this host's differ by {off:.0f} seconds", remedy)
    return ok("clock", "the database's clock and this host's agree")


def _ahead(connection: "InspectedConnection") -> CheckResult:
    from app.db.inspection import entries_ahead

    number = entries_ahead(connection)
    if number:
        return wrong(
            "ledger's times",
            f"{number} entries of the ledger are later than the database's clock",
            "the clock has jumped ahead or was set back: see SceauClockOffset in docs/runbook.md first",
        )
    return ok("ledger's times", "no entry of the ledger is later than the database's clock")


def _durability(settings: "Settings", connection: "InspectedConnection", state: "ServerState") -> CheckResult:
    from app.db.inspection import commit_is_confirmed
    from app.settings.values import Durability

    if settings.durability is not Durability.SYNCHRONOUS:
        return ok("durability", "local, as SCEAU_DURABILITY says: losing the server may lose answered decisions")
    if not state.waits:
        names = "is empty" if not state.standby_names else "is set"
        return wrong(
            "durability",
            "SCEAU_DURABILITY is synchronous, and no COMMIT waits for a standby: synchronous_standby_names "
            f"{names}, synchronous_commit is {state.synchronous_commit}",
            "set synchronous_standby_names, and synchronous_commit to on; or set SCEAU_DURABILITY to local",
        )
    if not commit_is_confirmed(connection):
        return wrong(
            "durability",
            "no synchronous standby confirmed a COMMIT within three seconds: nothing can be recorded",
            "see pg_stat_replication on the primary, and bring a standby of synchronous_standby_names back",
        )
    return ok("durability", "synchronous: a standby has confirmed a COMMIT")


def _archive(connection: "InspectedConnection") -> CheckResult:
    from app.db.inspection import archive_state

    is_on, archived_at, failed_at, now = archive_state(connection)
    how = "see archive_command and the server's log"
    if not is_on:
        return warning(
            "WAL archive",
            "archive_mode is off: what is recorded after a backup is lost with the server",
            "archive WAL, with pgBackRest for instance (docs/recovery.md)",
        )
    if failed_at is not None and (archived_at is None or failed_at > archived_at):
        return wrong("WAL archive", f"archiving failed last at {failed_at:%Y-%m-%d %H:%M}", how)
    if archived_at is None:
        return warning("WAL archive", "nothing was archived yet", how)
    if now - archived_at > _ARCHIVED_WITHIN:
        return warning("WAL archive", f"nothing was archived since {archived_at:%Y-%m-%d %H:%M}", how)
    return ok("WAL archive", f"last archived at {archived_at:%Y-%m-%d %H:%M}")


def pooler_checks(settings: "Settings", url: str) -> Iterator[CheckResult]:
    """Check that a pooler, if there is one, is set as the service needs it, and that feed and jobs bypass it."""
    from app.db.inspection import InspectionError, Pooling, keeps_prepared, pooling

    try:
        mode = pooling(url)
        yield from _pooler(url, mode, prepared=mode is not Pooling.TRANSACTION or keeps_prepared(url))
    except InspectionError as error:
        yield wrong("pooler", f"a look at the pooler failed ({error})", "see the pooler's log")
    yield from _directly(settings, url)


def _pooler(url: str, mode: "Pooling", *, prepared: bool) -> Iterator[CheckResult]:
    from app.db.inspection import Pooling, service_session, settings_in_force

    if mode is Pooling.DIRECT:
        yield ok("pooler", "no pooler stands before SCEAU_DATABASE_URL")
        return
    if mode is Pooling.STATEMENT:
        yield wrong("pooler", "the pooler takes no transactions", "set pool_mode = transaction in PgBouncer")
        return
    if not prepared:
        yield wrong(
            "pooler", "the pooler loses prepared statements", "set max_prepared_statements above 0 in PgBouncer"
        )
    with service_session(url) as connection:
        in_force = settings_in_force(connection)
    if not in_force:
        yield wrong(
            "pooler",
            "the pooler drops the time-outs and the time zone that connections ask for",
            "give them to the role: ALTER ROLE … SET (docs/operating.md, Replicas)",
        )
    if mode is Pooling.SESSION:
        yield warning(
            "pooler",
            "the pooler is in session mode: it keeps a connection of the server for each of the service's",
            "set pool_mode = transaction in PgBouncer",
        )
    elif prepared and in_force:
        yield ok("pooler", "a pooler in transaction mode, which keeps prepared statements")


def _directly(settings: "Settings", url: str) -> Iterator[CheckResult]:
    """Check that the feed and the jobs reach the server itself, because a pooler passes no notifications on."""
    from app.db.inspection import InspectionError, is_pooled, service_session
    from app.settings.required import direct_url

    name, through = "SCEAU_DIRECT_DATABASE_URL", direct_url(settings)
    try:
        with service_session(through) as connection:
            pooled = is_pooled(connection)
    except InspectionError:
        yield wrong("direct DSN", f"the DSN of {name} cannot be connected to", f"check {name}")
        return
    if pooled:
        fault = "is a pooler's" if through != url else "is not set, and SCEAU_DATABASE_URL is a pooler's"
        yield wrong("direct DSN", f"{name} {fault}: notifications do not come through it", f"set {name}")
    else:
        yield ok("direct DSN", f"{name} or what stands for it reaches PostgreSQL itself")


def _parted(line: str) -> tuple[str, str]:
    """Split a line into what is wrong and how to mend it."""
    what, _, remedy = line.partition(": ")
    return what, remedy or "see the server's log"


def _some(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
