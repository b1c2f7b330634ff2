"""How long proof is kept, as the owner of the database sets and carries it out.

The application's role reads the schedule, and can neither change it nor destroy anything. A change and a run leave an
entry in the trail; the log also records a run, with the places of the entries whose bodies are gone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Table,
    Text,
    Uuid,
    insert,
    select,
    text,
    update,
)

from app.core.period import Retention
from app.core.register import APPROVAL_CHECK, RegisterApproval
from app.db.owner_limits import OwnerLimitsRefusedError, as_owner, owner_engine
from app.db.schema import Instant, metadata
from app.db.session import record_of, uuid7

retention_rule: Final = Table(
    "retention_rule",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("basis", Text, nullable=False),
    Column("starts_when", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("afterwards", Text, nullable=False),
    Column("signed_at", Instant),
    Column("signed_by", Text),
    CheckConstraint("kind IN ('consent', 'refusal')", name="kind"),
    CheckConstraint(
        "period ~ '^P([0-9]+Y)?([0-9]+M)?$' AND timestamp '2001-01-01' + period::interval >= '2002-02-01'",
        name="period",
    ),
    CheckConstraint("(signed_at IS NULL) = (signed_by IS NULL)", name="signed"),
)

_LIMITATION: Final = "six years for offences against the secrecy of correspondence (code de procédure pénale art. 8)"
PROPOSED: Final = {
    "consent": ("P6Y", f"proof of consent (GDPR art. 7(1)); {_LIMITATION}"),
    "refusal": ("P6Y", f"proof that a refusal was respected (GDPR art. 5(2)); {_LIMITATION}"),
}
"""The period and the basis of each kind, until the owner signs others."""

retention_hold: Final = Table(
    "retention_hold",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("processing", Text, ForeignKey("processing.id", ondelete="RESTRICT")),
    Column("subject_ref", LargeBinary, ForeignKey("subject.subject_ref", ondelete="RESTRICT")),
    Column("reason", Text, nullable=False),
    Column("until", Instant),
    Column("made_at", Instant, nullable=False, server_default=text("clock_timestamp()")),
    Column("made_by", Text, nullable=False),
    Column("released_at", Instant),
)

_ALONE: Final = text("SELECT pg_advisory_xact_lock(hashtext('sceau retention'))")
"""Waits until no run is under way: what is answered as held, or as signed, holds for the next run."""
_TWO_DECIDE: Final = text("SELECT FROM key_check WHERE name = :name").bindparams(name=APPROVAL_CHECK)
_LAST_SIGNED: Final = text("""
    SELECT DISTINCT ON (detail ->> 'kind') detail ->> 'kind' AS kind, detail ->> 'period' AS period
    FROM administrative_act WHERE act = 'retention.signed' ORDER BY detail ->> 'kind', at DESC, id DESC
""")
"""By the trail, which a restored deployment has, and not by the schedule, which it begins anew."""
_TOGETHER: Final = 500
"""How many people's ledgers one transaction examines; the people whose ledgers it removes are held meanwhile."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long one kind of decision is kept; until `signed_at` is set it is only proposed, and nothing is destroyed."""

    kind: str
    basis: str
    starts_when: str
    period: str
    afterwards: str
    signed_at: datetime | None
    signed_by: str | None


@dataclass(frozen=True, slots=True)
class RetentionHold:
    """What is kept whatever the schedule says: of one processing, of one person (never shown), or everything."""

    id: UUID
    processing: str | None
    is_of_a_person: bool
    reason: str
    until: datetime | None
    made_at: datetime
    made_by: str


@dataclass(slots=True)
class RetentionRun:
    """What a run removed: ledgers of people who consented, of people who only ever refused, and the events in them.

    `share` is the part of all people examined, from 0 to 1: references are random, and examined in order.
    """

    consents: int = 0
    refusals: int = 0
    events: int = 0
    share: float = 0.0


class RetentionSchedule:
    """The schedule and the holds, as the owner uses them."""

    def __init__(self, owner_url: str) -> None:
        """Prepare; nothing is connected yet.

        Args:
            owner_url: DSN of the role that owns the schema.

        """
        self._engine = owner_engine(owner_url)

    def rules(self) -> list[RetentionRule]:
        """Return the schedule."""
        with as_owner(self._engine) as connection:
            return [record_of(RetentionRule, row) for row in connection.execute(select(retention_rule))]

    def sign(self, periods: dict[str, str], by: str, basis: str | None, approval: RegisterApproval) -> None:
        """Put the schedule in force, with new periods if given (ISO 8601, at least thirteen months).

        Args:
            periods: by kind; the kinds that are left out stay as they are.
            by: who answers for it.
            basis: why the given periods differ from those proposed; kept, and shown with the schedule.
            approval: with two persons, or where two decide in this deployment, a shorter period than before needs an
                approved proposal of exactly these periods.

        Raises:
            OwnerLimitsRefusedError: a basis or an approval is missing, or the database refuses it; nothing was changed.

        """
        with as_owner(self._engine) as connection:
            connection.execute(_ALONE)
            before = {row.kind: row for row in connection.execute(select(retention_rule))}
            usual = {kind: {PROPOSED[kind][0], before[kind].period} for kind in before}
            if basis is None and any(period not in usual[kind] for kind, period in periods.items()):
                raise OwnerLimitsRefusedError("another period than the proposed one needs its reason: add --basis")
            wanted = {kind: periods.get(kind, rule.period) for kind, rule in before.items()}
            signed = {row.kind: row.period for row in connection.execute(_LAST_SIGNED)}
            longest = {kind: max(_months(rule.period), _months(signed.get(kind))) for kind, rule in before.items()}
            shorter = {kind: period for kind, period in wanted.items() if _months(period) < longest[kind]}
            if shorter and (approval is RegisterApproval.TWO or connection.execute(_TWO_DECIDE).first() is not None):
                _check_approved(connection, shorter)
            for kind, rule in before.items():
                values: dict[str, Any] = {"signed_at": text("clock_timestamp()"), "signed_by": by}
                if kind in periods:
                    proposed, why = PROPOSED[kind]
                    values["period"] = periods[kind]
                    values["basis"] = why if periods[kind] == proposed else basis or rule.basis
                connection.execute(update(retention_rule).where(retention_rule.c.kind == kind).values(**values))

    def holds(self) -> list[RetentionHold]:
        """Return the holds that stand."""
        with as_owner(self._engine) as connection:
            table = retention_hold.c
            holds = select(retention_hold, table.subject_ref.is_not(None).label("is_of_a_person"))
            standing = holds.where(table.released_at.is_(None)).order_by(table.made_at)
            return [record_of(RetentionHold, row) for row in connection.execute(standing)]

    def hold(
        self, *, reason: str, by: str, processing: str | None, consent: UUID | None, until: datetime | None
    ) -> UUID:
        """Keep something while the hold stands: what rests on a processing, one person's ledger, or everything.

        Args:
            reason: why; it is kept.
            by: the person who orders it.
            processing: the processing; None for every one.
            consent: any consent of the person concerned; None for everyone.
            until: when the hold ends by itself; None if only a release ends it.

        Raises:
            OwnerLimitsRefusedError: there is no such processing or consent.

        """
        with as_owner(self._engine) as connection:
            connection.execute(_ALONE)
            ref = None
            if consent is not None:
                query = text("SELECT subject_ref FROM consent_event WHERE id = :id")
                ref = connection.execute(query, {"id": consent}).scalar_one_or_none()
                if ref is None:
                    raise OwnerLimitsRefusedError("there is no such consent")
            there = text("SELECT EXISTS (SELECT FROM processing WHERE id = :id)")
            if processing is not None and not connection.execute(there, {"id": processing}).scalar_one():
                raise OwnerLimitsRefusedError(f"there is no processing {processing}")
            values = {"processing": processing, "subject_ref": ref, "reason": reason, "until": until, "made_by": by}
            made = insert(retention_hold).values(**values).returning(retention_hold.c.id)
            identifier: UUID = connection.execute(made).scalar_one()
            about = {"hold": str(identifier), "processing": processing, "of_a_person": ref is not None}
            _record(connection, "retention.held", about)
            return identifier

    def release(self, identifier: UUID) -> bool:
        """End a hold; return whether it stood."""
        with as_owner(self._engine) as connection:
            standing = (retention_hold.c.id == identifier) & retention_hold.c.released_at.is_(None)
            ended = update(retention_hold).where(standing).values(released_at=text("clock_timestamp()"))
            stood = connection.execute(ended).rowcount > 0
            if stood:
                _record(connection, "retention.released", {"hold": str(identifier)})
            return stood

    def run(self, *, dry: bool) -> Iterator[RetentionRun]:
        """Remove everything that is past the schedule; yield the totals so far after each transaction.

        Args:
            dry: whether to undo each transaction, so as only to count.

        """
        total, last = RetentionRun(), b""
        while True:
            with as_owner(self._engine) as connection:
                batch = connection.execute(
                    text("SELECT * FROM sceau_retain(:after, :most)"), {"after": last, "most": _TOGETHER}
                ).one()
                if batch.last is None:
                    return
                last = bytes(batch.last)
                if batch.events:
                    _state(connection, batch)
                total.consents += batch.consents
                total.refusals += batch.refusals
                total.events += batch.events
                total.share = int.from_bytes(last[:4]) / 2**32
                if dry:
                    connection.rollback()
            yield total

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _months(period: str | None) -> int:
    return 0 if period is None else Retention.parse(period).months


def _check_approved(connection: Connection, shorter: dict[str, str]) -> None:
    """Refuse shorter periods that no second person has approved since the schedule was last signed.

    Raises:
        OwnerLimitsRefusedError: there is no such approval left.

    """
    approved = text("""
        SELECT EXISTS (SELECT FROM gate_proposal JOIN gate_ruling ON gate_ruling.proposal = gate_proposal.id
        WHERE kind = 'retention' AND approved AND wanted = CAST(:wanted AS jsonb)
            AND gate_ruling.at > coalesce(
                (SELECT max(at) FROM administrative_act WHERE act = 'retention.signed'), '-infinity'))
    """)
    if not connection.execute(approved, {"wanted": json.dumps(shorter)}).scalar_one():
        body = json.dumps({"kind": "retention", **shorter})
        raise OwnerLimitsRefusedError(
            f"a shorter period takes two persons: one sends {body} to POST /v1/proposals, another approves that "
            "(POST /v1/rulings), and then it can be signed, once"
        )


def _state(connection: Connection, batch: Any) -> None:  # noqa: ANN401 - a row
    """Record in the log what was destroyed, before which head and by which schedule, and in the trail how much."""
    head = connection.execute(text("SELECT note FROM proof_checkpoint ORDER BY size DESC LIMIT 1")).scalar_one_or_none()
    rules = connection.execute(select(retention_rule.c.kind, retention_rule.c.period)).all()
    now = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    counts = {"consents": batch.consents, "refusals": batch.refusals, "events": batch.events}
    body = {
        "checkpoint_before": head,
        "schedule": {row.kind: row.period for row in rules},
        "positions": list(batch.positions),
        **counts,
    }
    put = text(
        "INSERT INTO proof_statement (id, kind, at, body) VALUES (:id, 'retention_run', :at, CAST(:body AS jsonb))"
    )
    connection.execute(put, {"id": uuid7(now), "at": now, "body": json.dumps(body)})
    _record(connection, "retention.run", counts)


def _record(connection: Connection, act: str, detail: dict[str, Any]) -> None:
    detail_json = json.dumps({name: value for name, value in detail.items() if value is not None})
    connection.execute(
        text("SELECT sceau_record_act(:act, 'command', CAST(:told AS jsonb))"), {"act": act, "told": detail_json}
    )
