"""Refuse to serve on a database that is not this deployment's, or that would count a year differently."""

from app.db.revisions import SchemaBehindError, check_schema, may_rewrite_ledger
from app.db.session import WriteSession
from app.db.time_zone import time_zones_agree
from app.ledger.vault_store import agree_on_check
from app.operations.service.deployment import Deployment


class DeploymentRefusedError(Exception):
    """The service does not start; the message is one line that says what is wrong and how to mend it."""


async def check_deployment(session: WriteSession, deployment: Deployment) -> list[str]:
    """Compare schema, keys, normalisation of ids and time zones with what the database knows.

    The first start stores what tells the keys from others; later ones must agree with it.

    Returns:
        What does not keep the service from starting, and should be mended: one line each.

    Raises:
        DeploymentRefusedError: one of them does not.

    """
    try:
        await check_schema(session)
    except SchemaBehindError as error:
        raise DeploymentRefusedError("the database's schema is behind this code: run `sceau migrate`") from error
    pseudonyms = deployment.pseudonyms
    if not await agree_on_check(session, "subject_ids", str(pseudonyms.ids)):
        raise DeploymentRefusedError(
            "SCEAU_SUBJECT_IDS differs from the setting that this database's pseudonyms were made with: set it back"
        )
    if not await agree_on_check(session, "pseudonym", pseudonyms.check_value()):
        raise DeploymentRefusedError(
            "SCEAU_PSEUDONYM_KEY is not the key that this database's pseudonyms were made with: give that one"
        )
    for name, value in deployment.vault.check_values().items():
        if not await agree_on_check(session, name, value):
            raise DeploymentRefusedError(
                f"SCEAU_MASTER_KEY holds another key under the id {name.removeprefix('master:')!r} than before: "
                "give the new key a new id and keep the old one after it"
            )
    lease = f"{int(deployment.lease.total_seconds() * 1000)} ms"
    if not await agree_on_check(session, "lease", lease):
        raise DeploymentRefusedError(
            "SCEAU_LEASE differs from that of this deployment's other processes: give all the same (docs/operating.md)"
        )
    if not await time_zones_agree(session):
        raise DeploymentRefusedError(
            "Python and PostgreSQL disagree on Europe/Paris: update tzdata for the one, time zone data for the other"
        )
    if await may_rewrite_ledger(session):
        return ["SCEAU_DATABASE_URL is a role that may rewrite the ledger: give the service a role of its own"]
    return []
