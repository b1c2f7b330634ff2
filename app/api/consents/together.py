"""Some decisions recorded in one transaction: callers looked up, keys claimed, ledgers opened, each for itself."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.api.consents.models import ConsentBody, WithdrawalBody, consent_body
from app.api.http.problems import UnauthorizedError
from app.api.http.security import AskAgain
from app.auth.callers import Authenticated, Caller
from app.auth.idempotency import Answer, IdempotentCall, KeyClaim, KeyClaims, keep_answer_about, release
from app.auth.store import kept_as_they_are
from app.core.consent import EventKind
from app.core.errors import DomainError
from app.db.lookups import LookedUp, Lookup
from app.db.session import WriteSession
from app.operations.consents.collection_time import record_import
from app.operations.consents.open_ledgers import Opening, OpenLedgers, opening_of
from app.operations.consents.record_consent import Collected, RecordedConsent
from app.operations.consents.record_many import Done, Recorded, Said, record_one
from app.operations.consents.search_consents import ConsentView
from app.operations.service.deployment import Deployment
from app.register.remembered import RegisterEntries
from app.telemetry.traces.spans import caused_by


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """One decision to record: what is said, who asks (by id, by a digest, and by what looks them up), under which key.

    `status`: of the answer, if it is recorded. `person`: the locator of who it is about, the same however the id is
    spelt: what is said of one person is recorded in the order in which it came. `cause`: its request's span.
    """

    said: Said
    caller: UUID
    digest: bytes
    ask: AskAgain
    call: IdempotentCall | None
    status: int
    person: bytes
    cause: str | None = None

    @property
    def is_grant(self) -> bool:
        """Whether it may permit more."""
        return isinstance(self.said, Collected) and self.said.kind is EventKind.GRANTED


_Callers = dict[tuple[bytes, UUID], Caller | Exception]
"""By the digest of what was presented and the caller that was let in with it; why it is refused now."""


@dataclass(frozen=True, slots=True)
class Together:
    """The decisions of one transaction, and the look-ups that begin it, in one round trip (`Database.write`).

    Callers are looked up behind everything that may have waited for others: a key that was revoked meanwhile records
    nothing.
    """

    deployment: Deployment
    some: Sequence[Order]
    claims: KeyClaims
    opening: Opening
    callers: Mapping[bytes, Lookup[Authenticated | None]]

    @property
    def lookups(self) -> tuple[Lookup[Any], ...]:
        """In the order in which they are to be sent."""
        kept = kept_as_they_are({one.caller for one in self.some})
        return (*self.claims.lookups, *self.opening.lookups, kept, *self.callers.values())

    async def record(self, session: WriteSession, register: RegisterEntries) -> dict[Order, Answer | Exception]:
        """What each is to be told once this is committed; one about a person whom others hold is left out.

        Args:
            session: the transaction that the look-ups began.
            register: what remembers entries of the register.

        """
        callers = self._callers(session.lead)
        told: dict[Order, Answer | Exception] = {}
        left: list[Order] = []
        waits: set[bytes] = set()
        claimed = self.claims.told(session.lead)
        for one in self.some:
            caller, claim = callers[one.digest, one.caller], KeyClaim.OWN if one.call is None else claimed[one.call]
            if isinstance(caller, Exception):
                told[one] = caller
                if one.call is not None and claim is KeyClaim.OWN:
                    release(session, one.call)
            elif not isinstance(claim, KeyClaim):
                told[one] = claim
            elif claim is KeyClaim.OWN and one.person not in waits:
                left.append(one)
            else:
                # Another holds its key: what is said of the same person after it waits behind it.
                waits.add(one.person)
                if one.call is not None and claim is KeyClaim.OWN:
                    release(session, one.call)
        if any(isinstance(each, Answer) for each in told.values()):
            await session.repeat()
        if not left:
            return told
        processings = {one.said.processing for one in left if one.said.processing is not None}
        opened = await self.opening.open(session, session.lead, processings, register)
        return {**told, **await self._record(session, left, callers, opened)}

    def _callers(self, found: LookedUp) -> _Callers:
        """Who asks, as it is until this transaction ends: whoever changes a caller or its keys waits for that."""
        callers: _Callers = {}
        for one in self.some:
            asked = (one.digest, one.caller)
            if asked not in callers:
                try:
                    callers[asked] = one.ask.admit(found.of(self.callers[one.digest]), one.caller)
                except (UnauthorizedError, DomainError) as error:
                    callers[asked] = error
        return callers

    async def _record(
        self,
        session: WriteSession,
        left: Sequence[Order],
        callers: _Callers,
        opened: OpenLedgers,
    ) -> dict[Order, Answer | Exception]:
        told: dict[Order, Answer | Exception] = {}
        importing: dict[Caller, None] = {}
        for one in left:
            caller = callers[one.digest, one.caller]
            if isinstance(caller, Exception):
                continue
            recorded = None
            if not opened.is_busy(one.said.subject):
                with caused_by(one.cause):
                    recorded = await record_one(session, self.deployment, caller, one.said, opened)
                told[one] = recorded.refused or Answer(one.status, _body(recorded.done))
            if one.call is not None:
                _settle(session, one.call, told.get(one), recorded)
            if recorded is not None and recorded.imported:
                importing[caller] = None
            await asyncio.sleep(0)  # decisions and other requests have their turn between two of them
        for caller in importing:
            await record_import(session, caller, await session.now())
        return told


async def together(deployment: Deployment, some: Sequence[Order], keep: timedelta, *, waiting: bool) -> Together:
    """Prepare to record some decisions in one transaction.

    Args:
        deployment: whose they are.
        some: which.
        keep: how long an answer is given again under its Idempotency-Key.
        waiting: wait for people and keys that others hold.

    """
    claims = KeyClaims([one.call for one in some if one.call is not None], keep, waiting=waiting)
    opening = await opening_of(deployment, {one.said.subject for one in some}, waiting=waiting)
    callers = {one.digest: one.ask.lookup() for one in some}
    return Together(deployment, some, claims, opening, callers)


def _settle(
    session: WriteSession, call: IdempotentCall, told: Answer | Exception | None, recorded: Recorded | None
) -> None:
    """Keep an answer under its key; a key under which nothing was recorded is free again."""
    if isinstance(told, Answer) and recorded is not None:
        keep_answer_about(session, call, told, recorded.subjects)
    else:
        release(session, call)


def _body(done: Done | None) -> str:
    body: ConsentBody | WithdrawalBody
    if isinstance(done, RecordedConsent):
        view = ConsentView(done.entry.event, done.entry.subject_ref, done.state, done.expires_at)
        body = consent_body(view, done.defects)
    elif done is not None:
        body = WithdrawalBody(
            id=done.id, matched=done.matched, withdrawn=list(done.withdrawn), effective_at=done.effective_at
        )
    else:
        raise ValueError("it was neither recorded nor refused")
    return body.model_dump_json(exclude_none=True)
