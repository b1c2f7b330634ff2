"""`sceau doctor`: look at a whole deployment, and say of each part how it is and what to do."""

import asyncio
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.cli.checks.contents import content_checks
from app.cli.checks.databases import application_checks, owner_checks, pooler_checks
from app.cli.checks.results import CheckResult, Grade, ok, tell, wrong
from app.cli.checks.surroundings import address_check, directory_checks, issuer_checks
from app.cli.connecting import DataOption, deployment
from app.cli.output import JsonOption

if TYPE_CHECKING:
    from app.settings import Settings


def doctor(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Check settings, database, keys, clocks, disk and neighbours, one line each. Exit 1 when something is wrong.

    It changes nothing, sends nothing to receivers, and prints no secret and nobody's id.
    """
    import structlog

    # What is found is told once, by the results.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with deployment(data):
        tell(_examined(), as_json=as_json)


def _examined() -> Iterator[CheckResult]:
    from app.wiring.all_errors import settings_errors

    if errors := settings_errors(os.environ):
        yield from (wrong("settings", each, "mend it; nothing else was looked at") for each in errors)
        return
    from app.settings import Settings
    from app.settings.required import required

    yield ok("settings", "all are as they should be")
    settings = Settings.load()
    url = required(settings.database_url, "database_url")
    of_database = list(application_checks(settings, url))
    yield from of_database
    if any(each.check == "database" and each.grade is Grade.OK for each in of_database):
        yield from pooler_checks(settings, url)
    yield from owner_checks(settings)
    yield from asyncio.run(_read(settings))
    yield from directory_checks(settings)


async def _read(settings: "Settings") -> list[CheckResult]:
    """What needs an event loop: what the database holds, issuers, the public address."""
    from app.db.database import DatabaseUnavailableError
    from app.db.refusals import DatabaseRefusedError, refusals_told
    from app.db.session import INSTANT
    from app.keyring import DECISION_KEYS, keys_in_force
    from app.settings.required import required
    from app.wiring.parts import database_of

    found: list[CheckResult] = []
    database, keys = database_of(settings), set[str]()
    try:
        with refusals_told(required(settings.database_url, "database_url"), "SCEAU_DATABASE_URL"):
            async with database.read() as session:
                async for each in content_checks(session, settings):
                    found.append(each)  # noqa: PERF401 - what came before a failure is told
                if all(each.check != "schema" or each.grade is Grade.OK for each in found):
                    in_force = await keys_in_force(session, DECISION_KEYS, await session.find(INSTANT))
                    keys = {str(each.id) for each in in_force}
    except (DatabaseUnavailableError, DatabaseRefusedError):
        found.append(wrong("contents", "the database could not be read", "mend what is said of it above"))
    finally:
        await database.close()
    found += [each async for each in issuer_checks(settings)]
    found.append(await address_check(settings, keys))
    return found
