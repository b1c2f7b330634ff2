"""Entering in the log what was recorded, as the jobs process does."""

from dataclasses import replace
from typing import TYPE_CHECKING

from app.cli.connecting import DataOption, connected

if TYPE_CHECKING:
    from app.db.database import Database


def append_now(data: DataOption) -> int:
    """Enter everything that waits, and sign the log's new head; how many entries that made."""
    from app.jobs.proof import append_all
    from app.jobs.work import Work
    from app.settings import Settings
    from app.wiring.parts import deployment_of, proof_plan_of

    async def append(database: "Database") -> int:
        settings = Settings.load()
        # Whoever runs this may have other settings than the service, which states its own.
        plan = replace(proof_plan_of(settings), settings=None)
        return await append_all(Work(database, deployment_of(settings), log=plan))

    return connected(data, append)
