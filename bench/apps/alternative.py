"""The same decision as an ordinary endpoint: FastAPI, pydantic models, an async ORM session, the key in the database.

What a careful team would write, on the same tables, with the same rules (`app.core.evaluate`): one query each for the
key, for the processing with its versions, and for the subject's events. No metrics, no log, no memory.
"""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, joinedload, relationship

from app.auth.store import caller, caller_key
from app.core.article import Channel, Element, ProviderKind, Purpose
from app.core.consent import ConsentEvent, parse_kind
from app.core.decision import DecisionRequest, Participant
from app.core.evaluate import evaluate
from app.core.period import ConsentPeriod, Retention
from app.core.processing import PartyMode, Processing, ProcessingVersion, Status, StatusChange
from app.ledger.identifiers import Pseudonyms
from app.ledger.projection import collection_of
from app.ledger.tables import consent_event, subject_locator
from app.register.records import facts_from_json
from app.register.tables import processing, processing_status_change, processing_version

_url = os.environ["SCEAU_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
_engine = create_async_engine(_url, pool_size=10, max_overflow=0)
_sessions = async_sessionmaker(_engine, expire_on_commit=False)
_pseudonyms = Pseudonyms(bytes.fromhex(os.environ["SCEAU_PSEUDONYM_KEY"]))
app = FastAPI()


class Base(DeclarativeBase):
    """The mapped classes."""


class CallerRow(Base):
    """A caller."""

    __table__ = caller


class VersionRow(Base):
    """A version of a processing."""

    __table__ = processing_version


class ChangeRow(Base):
    """A change of status."""

    __table__ = processing_status_change


class ProcessingRow(Base):
    """A processing."""

    __table__ = processing
    versions = relationship(VersionRow, order_by=processing_version.c.number)
    changes = relationship(ChangeRow, order_by=processing_status_change.c.at)


class EventRow(Base):
    """A consent event."""

    __table__ = consent_event


class Subject(BaseModel):
    """Whose consent counts."""

    type: str = Field(min_length=1, max_length=128)
    id: str = Field(min_length=1, max_length=512)


class Other(BaseModel):
    """Another party."""

    id: str
    local: bool


class ActionProperties(BaseModel):
    """How it is analysed."""

    elements: list[Element] | None = None
    automated: bool = True


class Action(BaseModel):
    """The processing."""

    name: str
    properties: ActionProperties = ActionProperties()


class ResourceProperties(BaseModel):
    """What is known of the correspondence."""

    channel: Channel = Channel.ONLINE
    private: bool = True
    territory: str = "FR"
    participants: list[Other] | None = None


class Resource(BaseModel):
    """The correspondence."""

    type: str
    id: str
    properties: ResourceProperties = ResourceProperties()


class Evaluation(BaseModel):
    """The question."""

    subject: Subject
    action: Action
    resource: Resource
    context: dict[str, Any] = {}


class Context(BaseModel):
    """Why."""

    id: UUID
    reason: str
    article: str | None
    law_version: str | None
    consent: UUID | None
    expires_at: datetime | None
    valid_until: datetime | None


class Answer(BaseModel):
    """The answer."""

    decision: bool
    context: Context


async def open_session() -> AsyncIterator[AsyncSession]:
    """A session for a request."""
    async with _sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(open_session)]


async def known_caller(session: SessionDep, authorization: Annotated[str, Header()]) -> CallerRow:
    """Who asks."""
    digest = sha256(authorization.removeprefix("Bearer ").encode()).digest()
    found = await session.scalar(
        select(CallerRow)
        .join(caller_key, caller_key.c.caller == caller.c.id)
        .where(caller_key.c.key_sha256 == digest, caller_key.c.revoked_at.is_(None), caller.c.revoked_at.is_(None))
    )
    if found is None or "decisions:evaluate" not in caller_scopes(found):
        raise HTTPException(401)
    return found


def caller_scopes(row: CallerRow) -> list[str]:
    """What a caller may do."""
    scopes: list[str] = row.scopes  # type: ignore[attr-defined]  # mapped from a table
    return scopes


@app.post("/access/v1/evaluation")
async def evaluation(asked: Evaluation, session: SessionDep, _: Annotated[CallerRow, Depends(known_caller)]) -> Answer:
    """Decide."""
    request = _request(asked)
    entry = await session.scalar(
        select(ProcessingRow)
        .where(processing.c.id == request.processing)
        .options(joinedload(ProcessingRow.versions), joinedload(ProcessingRow.changes))
    )
    events = await session.scalars(
        select(EventRow)
        .join(subject_locator, subject_locator.c.subject_ref == consent_event.c.subject_ref)
        .where(subject_locator.c.locator == request.subject, subject_locator.c.ended_at.is_(None))
        .order_by(consent_event.c.seq)
    )
    consents = {request.subject: [_event(row) for row in events]}
    decided = evaluate(request, _processing(entry) if entry is not None else None, consents, datetime.now(UTC))
    return Answer(
        decision=decided.permitted,
        context=Context(
            id=uuid4(),
            reason=decided.reason.value,
            article=decided.article.value if decided.article is not None else None,
            law_version=decided.law_version,
            consent=decided.consent,
            expires_at=decided.expires_at,
            valid_until=decided.valid_until,
        ),
    )


def _request(asked: Evaluation) -> DecisionRequest:
    kind, known = asked.subject.type, asked.resource.properties
    others = known.participants
    return DecisionRequest(
        subject=_pseudonyms.locator(kind, asked.subject.id),
        processing=asked.action.name,
        elements=frozenset(asked.action.properties.elements) if asked.action.properties.elements else None,
        automated=asked.action.properties.automated,
        channel=known.channel,
        private=known.private,
        territory=known.territory,
        participants=tuple(Participant(_pseudonyms.locator(kind, other.id), other.local) for other in others)
        if others is not None
        else None,
    )


def _processing(row: Any) -> Processing:  # noqa: ANN401 - mapped from a table
    return Processing(
        id=row.id,
        purpose=Purpose(row.purpose),
        versions=tuple(
            ProcessingVersion(
                number=each.number,
                effective_from=each.effective_from,
                provider_kind=ProviderKind(each.provider_kind),
                elements=frozenset(map(Element, each.elements)),
                automated=each.automated,
                party_mode=PartyMode(each.party_mode),
                started_on=each.started_on,
                consent_validity=ConsentPeriod.parse(each.consent_validity),
                material=each.material,
                retention=Retention.parse(each.retention),
                **facts_from_json(each.particulars),
            )
            for each in row.versions
        ),
        status_changes=tuple(StatusChange(each.at, Status(each.status)) for each in row.changes),
    )


def _event(row: Any) -> ConsentEvent:  # noqa: ANN401 - mapped from a table
    return ConsentEvent(
        id=row.id,
        kind=parse_kind(row.kind),
        processing=row.processing,
        collected_at=row.collected_at,
        order=row.seq,
        version=row.version,
        elements=None if row.elements is None else frozenset(map(Element, row.elements)),
        collection=collection_of(row.evidence, row.capacity, text_known=row.text_known is not False),
        expires_at=row.expires_at,
    )
