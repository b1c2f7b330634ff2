"""How soon each processing erases what it derived, after a consent ended: as its version in force says."""

from app.db.session import ReadSession
from app.operations.decisions.evaluate_requests import present
from app.register.store import load_processings


async def erasure_delays(session: ReadSession) -> dict[str, str | None]:
    """ISO 8601 durations by processing; None where the register does not say."""
    now = await session.now()
    delays: dict[str, str | None] = {}
    for identifier, record in (await load_processings(session)).items():
        current = record.facts.version_at(present(now, {}, record)) or record.facts.versions[0]
        delay = current.derived_data_erased_within
        delays[identifier] = None if delay is None else str(delay)
    return delays
