"""Whether decisions are recorded as durably as the operator said (SCEAU_DURABILITY)."""

import asyncio
from typing import Final

import structlog

from app.audit.trail import ActKind, Target, record_act
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import WriteSession
from app.journal.store import NewEpoch, begin_epoch
from app.operations.service.check_deployment import DeploymentRefusedError

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
    """Say every minute, until cancelled, if the standby has been given up: nothing is recorded until it is back."""
    while True:
        await asyncio.sleep(_EACH_SECONDS)
        try:
            if not await database.is_durable():
                log.error("no synchronous standby: nothing is recorded")
        except DatabaseUnavailableError:
            continue  # others say so


async def accept_restore(session: WriteSession, begun: NewEpoch, *, known: int = 1) -> int:
    """Begin another epoch, for a reason that stays in the audit trail; its number, which is later than `known`.

    Every process of the deployment looks at the database again within a second or two, and answers from it then.
    """
    number = await begin_epoch(session, begun, known=known)
    told = {"epoch": number, "replayed": begun.replayed, "by_hand": begun.by_hand}
    await record_act(session, ActKind.RESTORE_ACCEPTED, begun.by, Target(), told)
    return number
