"""Consents that may rest on one version of a processing, or on one text; the core says which of them do.

A text is looked for among all grants of the same person to the processing: of two acts that are one joint consent, the
earlier may be the one that it was shown for.
"""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from app.core.register.invalidation import Struck
from app.db.session import ReadSession, WriteSession
from app.ledger.sweep import Held

# Nothing ended them, as far as events alone tell; whether one is in force is for the core.
_LIVE: Final = """
FROM consent AS live JOIN subject ON subject.subject_ref = live.subject_ref
WHERE live.processing = :processing AND live.decision = 'granted' AND live.ended_by IS NULL
    AND (CAST(:after AS uuid) IS NULL OR live.id > CAST(:after AS uuid))
    AND (live.version = :version OR EXISTS (
        SELECT FROM consent_event AS shown
        WHERE shown.subject_ref = live.subject_ref AND shown.processing = live.processing AND shown.kind = 'granted'
            AND lower(shown.evidence ->> 'presented_text_sha256') = :text))
"""
_UNTOLD: Final = """
    AND live.renewal_stage > 0 AND NOT EXISTS (
        SELECT FROM renewal_flag AS told WHERE told.subject_ref = live.subject_ref
            AND told.processing = live.processing AND told.consent = live.id AND told.kind = 'invalidated')
"""
_COLUMNS: Final = """
SELECT live.subject_ref, live.id, coalesce(live.counted_from, live.collected_at) AS counted_from, live.version
"""
_PAGE: Final = text(f"{_COLUMNS} {_LIVE} ORDER BY live.id LIMIT :most")
_HOLD: Final = text(f"{_COLUMNS} {_LIVE} {_UNTOLD} ORDER BY live.id LIMIT :most FOR UPDATE OF subject SKIP LOCKED")
_ANY: Final = text(f"SELECT EXISTS (SELECT {_LIVE} {_UNTOLD})")


async def list_resting(
    session: ReadSession, processing: str, struck: Struck, *, after: UUID | None, limit: int
) -> list[Held]:
    """The next consents that may rest on it and that nothing ended, by id; nobody is held."""
    return _held(await session.execute(_PAGE, _values(processing, struck, after) | {"most": limit}))


async def hold_resting(
    session: WriteSession, processing: str, struck: Struck, *, after: UUID | None, limit: int
) -> list[Held]:
    """The same of those that were not told of yet; their subjects are held, and who is held already is left out."""
    return _held(await session.execute(_HOLD, _values(processing, struck, after) | {"most": limit}))


async def any_untold(session: ReadSession, processing: str, struck: Struck) -> bool:
    """Whether a consent that may rest on it was not told of yet, whoever holds its subject."""
    return bool((await session.execute(_ANY, _values(processing, struck, None))).scalar_one())


def _values(processing: str, struck: Struck, after: UUID | None) -> dict[str, object]:
    return {"processing": processing, "version": struck.version, "text": struck.text, "after": after}


def _held(rows: Iterable[Row[Any]]) -> list[Held]:
    return [Held(row.subject_ref, row.id, row.counted_from, row.version) for row in rows]
