"""A row of the decision log as PostgreSQL's COPY takes it in binary, joined from bytes that mostly exist already.

The columns that are the same for every subject and correspondence (what was asked, what was answered) are encoded once
for each decision that is remembered; a row is then one `struct` and one concatenation. Formats: PostgreSQL's
documentation of COPY ("Binary Format") and the `send` functions of the types.
"""

import struct
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from app.audit.basis import DecisionBasis
from app.core.decision import Decision, DecisionRequest
from app.core.processing import can_be_an_id

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
COLUMNS: Final = (
    *("id", "at", "caller", "subject_ref", "correspondence_ref"),
    *("processing", "elements", "channel", "territory", "permitted", "reason", "rule", "law_version", "consent"),
    "valid_until",
    *("automated", "private", "version", "versions", "changes", "party_mode", "known"),
    *("participants", "relied", "policy", "rules", "build"),
)
"""In the order in which a row has them: first those that differ from one row to the next."""
NO_ID: Final = "(no id)"
"""What stands in the log for a processing that no register could hold."""

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_SECONDS: Final = _EPOCH.timestamp()
_NULL: Final = b"\xff\xff\xff\xff"
_TEXT_OID: Final = 25
_OWN: Final = struct.Struct("!hi16siqi16si32si32s")


def row(  # noqa: PLR0917 - the parts of one row
    identifier: bytes, at: float, caller: UUID, subject_ref: bytes, correspondence_ref: bytes, facts: bytes
) -> bytes:
    """One row.

    Args:
        identifier: the decision's id, 16 bytes.
        at: when it was taken, an epoch time in seconds; kept in microseconds.
        caller: who asked.
        subject_ref: 32 bytes.
        correspondence_ref: 32 bytes.
        facts: what `facts_of` made of the question and the decision.

    """
    microseconds = round((at - _EPOCH_SECONDS) * 1_000_000)
    return (
        _OWN.pack(
            len(COLUMNS), 16, identifier, 8, microseconds, 16, caller.bytes, 32, subject_ref, 32, correspondence_ref
        )
        + facts
    )


def facts_of(request: DecisionRequest, decision: Decision, basis: DecisionBasis) -> bytes:
    """The columns that are the same for every correspondence: the question, the decision, and what it was made on."""
    return b"".join(
        (
            _text(request.processing if can_be_an_id(request.processing) else NO_ID),
            _texts(None if request.elements is None else sorted(request.elements)),
            _text(request.channel.value),
            _text(request.territory),
            _bool(decision.permitted),
            _text(decision.reason.value),
            _text(decision.rule),
            _text(decision.law_version),
            _field(decision.consent.bytes if decision.consent is not None else None),
            _field(_instant(decision.valid_until) if decision.valid_until is not None else None),
            _bool(basis.automated),
            _bool(basis.private),
            *map(_number, (basis.version, basis.versions, basis.changes)),
            _text(basis.party_mode),
            *map(_number, (basis.known, basis.participants)),
            _field(basis.relied),
            *map(_text, (basis.policy, basis.rules, basis.build)),
        )
    )


def _field(value: bytes | None) -> bytes:
    return _NULL if value is None else len(value).to_bytes(4, "big") + value


def _bool(value: bool) -> bytes:  # noqa: FBT001 - a column
    return _field(b"\1" if value else b"\0")


def _number(value: int | None) -> bytes:
    return _field(None if value is None else value.to_bytes(4, "big"))


def _text(value: str | None) -> bytes:
    return _field(None if value is None else value.encode())


def _texts(values: list[str] | None) -> bytes:
    if values is None:
        return _NULL
    if not values:
        return _field(struct.pack("!iii", 0, 0, _TEXT_OID))
    return _field(struct.pack("!iiiii", 1, 0, _TEXT_OID, len(values), 1) + b"".join(map(_text, values)))


def _instant(at: datetime) -> bytes:
    elapsed = at - _EPOCH
    return struct.pack("!q", (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds)
