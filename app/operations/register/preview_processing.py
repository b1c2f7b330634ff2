"""Show the text that a processing would ask consent with; nothing is recorded."""

from collections.abc import Mapping

from app.core.article import CONSENT_PURPOSES
from app.core.errors import ConsentNotApplicableError
from app.core.page.text import ConsentText
from app.core.period import PeriodPolicy
from app.core.register import ControllerKind, id_of_name
from app.db.session import ReadSession
from app.operations.register.add_version import VersionDraft, find_controllers
from app.operations.service.consent_texts import consent_texts, who_is
from app.register.records import ControllerRecord, ControllerVersion


async def preview_processing(
    session: ReadSession, draft: VersionDraft, policy: PeriodPolicy
) -> Mapping[str, ConsentText]:
    """The text of a draft in each language, as it would be shown and hashed if it were registered now.

    Raises:
        ConsentNotApplicableError: nobody is asked about its purpose.
        InvalidVersionError: a controller is not registered.

    """
    if draft.purpose not in CONSENT_PURPOSES:
        raise ConsentNotApplicableError(
            "Nobody is asked about this purpose: there is no text to show.", field="purpose"
        )
    now = await session.now()
    found = await find_controllers(session, draft)
    name = draft.controller or ""
    unknown = ControllerRecord(id_of_name(name), ControllerKind.OTHER, None, now, (ControllerVersion(1, name, now),))
    controllers = [each or unknown for each in found]
    version = draft.version(1, effective_from=now, material=True, recorded_at=now, controllers=controllers)
    return consent_texts(draft.purpose, [who_is(each) for each in controllers], version, policy)
