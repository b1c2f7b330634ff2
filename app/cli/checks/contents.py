"""Checks of what the database holds: its schema, what tells keys apart, time zones, its epoch, receivers' addresses."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from app.cli.checks.results import CheckResult, ok, warning, wrong

if TYPE_CHECKING:
    from app.db.session import ReadSession
    from app.operations.service.deployment import Deployment
    from app.settings import Settings

_PORTS: Final = {"http": 80, "https": 443}


async def content_checks(session: "ReadSession", settings: "Settings") -> AsyncIterator[CheckResult]:
    """Make all checks that read in one session. They write nothing, not even what a service's first start stores."""
    from app.db.revisions import SchemaBehindError, UnreleasedSchemaError, check_schema, time_zones_agree
    from app.wiring.parts import deployment_of

    try:
        await check_schema(session)
    except SchemaBehindError:
        yield wrong("schema", "the database's schema is behind this version", "run `sceau migrate`")
        return
    except UnreleasedSchemaError:
        yield wrong("schema", "an unreleased version of Sceau made the database", "begin with an empty database")
        return
    yield ok("schema", "at this version's revision, or ahead of it")
    if await time_zones_agree(session):
        yield ok("time zones", "Python and PostgreSQL agree on Europe/Paris")
    else:
        yield wrong(
            "time zones",
            "Python and PostgreSQL disagree on Europe/Paris",
            "update tzdata for the one, time zone data for the other",
        )
    deployment = deployment_of(settings)
    yield await _pseudonym_key(session, deployment)
    yield await _master_keys(session, deployment)
    yield await _epoch(session, settings)
    async for result in _receivers(session, settings):
        yield result


async def _pseudonym_key(session: "ReadSession", deployment: "Deployment") -> CheckResult:
    from app.ledger.identifiers import keys_in_use, load_check
    from app.operations.service.check_deployment import finds_everybody

    pseudonyms = deployment.pseudonyms
    normalised = await load_check(session, "normalisation")
    if normalised is not None and normalised != str(pseudonyms.ids):
        return wrong(
            "pseudonym key",
            "SCEAU_SUBJECT_IDS differs from the setting that this database's subjects are found by",
            "set it back",
        )
    if not await keys_in_use(session):
        return ok("pseudonym key", "the database knows none yet: the first start states which it is")
    if await finds_everybody(session, deployment):
        return ok("pseudonym key", "SCEAU_PSEUDONYM_KEY is this database's")
    return wrong(
        "pseudonym key",
        "SCEAU_PSEUDONYM_KEY is not a key by which every subject of this database is found",
        "give the one of before, and to exchange it the new one behind it: KEY,NEW (docs/operating.md)",
    )


async def _master_keys(session: "ReadSession", deployment: "Deployment") -> CheckResult:
    from app.ledger.identifiers import list_checks, load_check

    values = deployment.vault.check_values()
    for name, value in values.items():
        if await load_check(session, name) not in {None, value}:
            return wrong(
                "master key",
                f"SCEAU_MASTER_KEY holds another key under the id {name.removeprefix('master:')!r} than before",
                "give the new key a new id and keep the old one after it",
            )
    lacking = [each.removeprefix("master:") for each in await list_checks(session, "master:") if each not in values]
    if lacking:
        return warning(
            "master key",
            f"SCEAU_MASTER_KEY lacks the key of id {', '.join(map(repr, lacking))}, under which something was sealed",
            "keep an old key after the new one until everything is sealed anew (docs/operating.md)",
        )
    return ok("master key", "the keys of SCEAU_MASTER_KEY are this database's")


async def _epoch(session: "ReadSession", settings: "Settings") -> CheckResult:
    from app.journal.files import JournalError
    from app.journal.store import compare
    from app.wiring.parts import journal_of

    try:
        latest = await journal_of(settings).latest()
    except JournalError as error:
        return wrong("restores", f"the journal cannot be read: {error}", "see docs/recovery.md")
    diff = await compare(session, latest)
    if diff.is_behind:
        return wrong(
            "restores",
            f"the database was set back: epoch {diff.epoch} of {diff.known_epoch}, {diff.missing} of the journal's "
            "last notes not held",
            "run `sceau recovery check`, then `sceau recovery replay` (docs/recovery.md)",
        )
    return ok(
        "restores", f"epoch {diff.epoch}; the database holds what the journal's last {len(latest.notes)} notes say"
    )


async def _receivers(session: "ReadSession", settings: "Settings") -> AsyncIterator[CheckResult]:
    """Whether the hosts of webhooks resolve to addresses that may be reached. No request is sent."""
    from app.events.endpoints import EndpointStatus, list_endpoints

    active = [each for each in await list_endpoints(session) if each.status is EndpointStatus.ACTIVE]
    if not active:
        yield ok("webhooks", "no receiver is active")
    for endpoint in active:
        trouble = await _trouble_of(endpoint.url, settings)
        if trouble is None:
            yield ok("webhooks", f"the host of receiver {endpoint.id} resolves, and may be reached")
        else:
            yield wrong("webhooks", f"the host of receiver {endpoint.id} {trouble[0]}", trouble[1])


async def _trouble_of(url: str, settings: "Settings") -> tuple[str, str] | None:
    """Why nothing could be sent to a URL, and what to do; None if it could. The URL is not in the result."""
    from app.events.addresses import ForbiddenUrlError, check_url, checked, literal, resolve

    policy, parts = settings.webhook_networks, urlsplit(url)
    host = parts.hostname or ""
    try:
        check_url(url, policy)
        if literal(host) is None:
            addresses = await resolve(host, parts.port or _PORTS[parts.scheme])
            checked(addresses, policy, plain_http=parts.scheme == "http")
    except ForbiddenUrlError:
        return "may not be reached", "allow its network in SCEAU_WEBHOOK_NETWORKS, or change the receiver"
    except OSError:
        return "does not resolve", "check its name, and this host's resolver"
    return None
