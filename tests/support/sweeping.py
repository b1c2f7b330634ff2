"""The sweep of renewals, by hand."""

import asyncio

from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.db.database import Database
from app.operations.consents.sweep_renewals import sweep_renewals


def sweep(database, clock=None):
    """Sweep once, with the clock of the database or another one."""

    async def swept():
        made = Database(database.app_url, **({"clock": clock} if clock is not None else {}))
        try:
            await sweep_renewals(made, Renewal(PeriodPolicy()))
        finally:
            await made.close()

    asyncio.run(swept())
