"""Refuse to serve on a database that is not this deployment's, or that would count a year differently."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from app.audit.trail import ActKind, Target, record_act
from app.core.errors import RefusalError
from app.core.register import APPROVAL_CHECK, RegisterApproval
from app.db.database import Database, DatabaseUnavailableError
from app.db.revisions import (
    SchemaBehindError,
    UnreleasedSchemaError,
    check_schema,
    may_rewrite_ledger,
    time_zones_agree,
)
from app.db.session import ReadSession, WriteSession
from app.journal.store import NewEpoch, begin_epoch
from app.ledger.identifiers import agree_on_check, keys_in_use, list_checks, state_keys_in_use
from app.ledger.locators import hold_keys, lacks_rows, last_unfound
from app.operations.service.deployment import Deployment
from app.operations.service.gate import how_many_decide
from app.snapshot.feed import PROTOCOL

_EACH_SECONDS: Final = 60.0
NO_STANDBY: Final = (
    "SCEAU_DURABILITY is synchronous, and PostgreSQL has no synchronous standby: set its synchronous_standby_names, or "
    "set SCEAU_DURABILITY to local (losing the server may then lose decisions that were answered)"
)
log = structlog.get_logger("sceau")


async def check_durability(database: Database) -> None:
    """Refuse a deployment that promises a standby and has none.

    Raises:
        DeploymentRefusedError: a commit would wait for no standby.
        DatabaseUnavailableError: the database cannot be read.

    """
    if not await database.is_durable():
        raise DeploymentRefusedError(NO_STANDBY)


async def keep_checking(database: Database) -> None:
    """Log an error every minute, until cancelled, while there is no standby: nothing is recorded until it is back."""
    while True:
        await asyncio.sleep(_EACH_SECONDS)
        try:
            if not await database.is_durable():
                log.error("no synchronous standby: nothing is recorded")
        except DatabaseUnavailableError:
            continue  # others report that


async def accept_restore(session: WriteSession, begun: NewEpoch, *, known: int) -> int:
    """Begin another epoch, which keeps its reason; return its number, later than `known`.

    Every process of the deployment looks at the database again within a second or two, and answers from it then.
    """
    number = await begin_epoch(session, begun, known_epoch=known)
    detail = {"epoch": number, "replayed": begun.replayed, "by_hand": begun.by_hand}
    await record_act(session, ActKind.RESTORE_ACCEPTED, begun.by, Target(), detail)
    return number


_SPOKEN: Final = "protocol "


class DeploymentRefusedError(RefusalError):
    """The service does not start; the message is one line that says what is wrong and how to mend it."""


async def check_deployment(session: WriteSession, deployment: Deployment) -> list[str]:
    """Compare schema, keys, normalisation of ids and time zones with what the database knows.

    The first start stores values that identify the keys; later starts must agree with them.

    Returns:
        What should be mended, although it does not keep the service from starting: one line each.

    Raises:
        DeploymentRefusedError: one of them does not agree.

    """
    try:
        await check_schema(session)
    except SchemaBehindError as error:
        raise DeploymentRefusedError("the database's schema is behind this code: run `sceau migrate`") from error
    except UnreleasedSchemaError as error:
        raise DeploymentRefusedError(str(error)) from error
    await _check_pseudonyms(session, deployment)
    for name, value in deployment.vault.check_values().items():
        if not await agree_on_check(session, name, value):
            raise DeploymentRefusedError(
                f"SCEAU_MASTER_KEY holds another key under the id {name.removeprefix('master:')!r} than before: "
                "give the new key a new id and keep the old one after it"
            )
    if not await agree_on_check(session, "lasting", deployment.pseudonyms.check_value()):
        raise DeploymentRefusedError(
            "SCEAU_MASTER_KEY does not end with the key that it began with: newer keys stand in front of older ones, "
            "and the first one of all stays the last of the list"
        )
    lease = f"{int(deployment.lease.total_seconds() * 1000)} ms"
    if not await agree_on_check(session, "lease", lease):
        raise DeploymentRefusedError(
            "SCEAU_LEASE differs from that of this deployment's other processes: give all the same (docs/operating.md)"
        )
    await _check_protocol(session)
    await check_approval(session, deployment.approval)
    if not await time_zones_agree(session):
        raise DeploymentRefusedError(
            "Python and PostgreSQL disagree on Europe/Paris: update tzdata for the one, time zone data for the other"
        )
    if await may_rewrite_ledger(session):
        return ["SCEAU_DATABASE_URL is a role that may rewrite the ledger: give the service a role of its own"]
    return []


async def check_approval(session: WriteSession, approval: RegisterApproval) -> None:
    """Remember that two persons decide, and refuse a process that says `one` later: it would loosen who may permit.

    The service's role can store it and not take it back; the owner of the database can (docs/register.md).

    Raises:
        DeploymentRefusedError: it says `one`, and a process of this deployment said `two` before.

    """
    if approval is RegisterApproval.TWO:
        await agree_on_check(session, APPROVAL_CHECK, approval.value)
    elif await how_many_decide(session, approval) is RegisterApproval.TWO:
        raise DeploymentRefusedError(
            "SCEAU_REGISTER_APPROVAL is one, and in this deployment two persons decide: set it to two"
        )


async def _check_pseudonyms(session: WriteSession, deployment: Deployment) -> None:
    """Refuse a key or a normalisation by which the subjects of this database would not be found."""
    pseudonyms = deployment.pseudonyms
    if not await agree_on_check(session, "normalisation", str(pseudonyms.ids)):
        raise DeploymentRefusedError(
            "SCEAU_SUBJECT_IDS differs from the setting that this database's subjects are found by: set it back"
        )
    if await keys_in_use(session) == [*pseudonyms.makers()]:
        return
    await hold_keys(session)  # or a person might be recorded meanwhile by the earlier keys alone
    if not await finds_everybody(session, deployment):
        raise DeploymentRefusedError(
            "SCEAU_PSEUDONYM_KEY is not a key by which every subject of this database is found: give the one of before "
            "(and to exchange it, the new one behind it, KEY,NEW: docs/operating.md); after an erasure, two days longer"
        )
    await state_keys_in_use(session, pseudonyms.makers())


_ERASED_LATELY: Final = timedelta(days=2)
"""Only the day of an erasure is kept: it may have been a day later. A grant from before it may still be reported for
SCEAU_MAX_BACKDATING after it."""


async def finds_everybody(session: ReadSession, deployment: Deployment) -> bool:
    """Return whether the key in front finds every person.

    It does while it stays in front and no key is taken away. Else it must be one of those that were last in use, each
    name that is kept must have its row, and no person may have been erased lately that only the other keys find.
    """
    makers, in_use = deployment.pseudonyms.makers(), await keys_in_use(session)
    if in_use and makers[0] == in_use[0] and set(in_use) <= set(makers):
        return True
    if (in_use and makers[0] not in in_use) or await lacks_rows(session, makers[0]):
        return False
    unfound = await last_unfound(session, makers)
    return unfound is None or unfound < await session.now() - _ERASED_LATELY - deployment.max_backdating


async def _check_protocol(session: WriteSession) -> None:
    """Refuse code with an older freshness protocol than some process of this deployment has spoken."""
    spoken = [int(name.removeprefix(_SPOKEN)) for name in await list_checks(session, _SPOKEN)]
    if max(spoken, default=0) > PROTOCOL:
        raise DeploymentRefusedError(
            f"a later version has served on this database, which speaks protocol {max(spoken)} of freshness and not "
            f"{PROTOCOL} as this one: beside it this one could answer what is stale (docs/operating.md)"
        )
    await agree_on_check(session, f"{_SPOKEN}{PROTOCOL}", "spoken")
