"""Read the register as the record of processing activities (GDPR art. 30)."""

from app.db.session import ReadSession
from app.operations.register.read_register import read_register
from app.operations.register.report import Activity
from app.register.controllers import load_controllers


async def export_register(session: ReadSession) -> list[Activity]:
    """Every processing with its version of now, retired ones too, in the order of their ids.

    One that waits for its first approval is left out: nothing is processed yet.
    """
    now = await session.now()
    controllers = await load_controllers(session)
    found = []
    for registered in (await read_register(session)).values():
        record = registered.record
        in_force = record.facts.version_at(now)
        version = record.version(in_force.number) if in_force is not None else None
        if version is None:
            continue
        known = [controllers[each] for each in version.controllers if each in controllers]
        found.append(Activity(record, version, record.facts.status_at(now), known))
    return sorted(found, key=lambda each: each.record.id)
