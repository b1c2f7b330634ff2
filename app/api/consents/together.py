"""Some decisions recorded in one transaction: callers looked up, keys claimed, ledgers opened, each for itself."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.api.consents.models import ConsentBody, WithdrawalBody, consent_body
from app.api.http.problems import UnauthorizedError
from app.api.http.security import AskAgain
from app.auth.callers import Caller
from app.auth.idempotency import (
    Answer,
    IdempotentCall,
    earlier_answers,
    hold_keys,
    keep_answer_about,
    release,
    try_keys,
)
from app.auth.store import keep_as_they_are
from app.core.errors import DomainError
from app.db.session import WriteSession
from app.operations.consents.collection_time import record_import
from app.operations.consents.open_ledgers import OpenLedgers, open_ledgers
from app.operations.consents.record_consent import RecordedConsent
from app.operations.consents.record_many import Done, Recorded, Said, record_one
from app.operations.consents.search_consents import ConsentView
from app.operations.service.deployment import Deployment
from app.register.remembered import RegisterEntries


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """One decision to record: what is said, who asks (by id, by a digest, and by what looks them up), under which key.

    `status`: of the answer, if it is recorded.
    """

    said: Said
    caller: UUID
    digest: bytes
    ask: AskAgain
    call: IdempotentCall | None
    status: int


@dataclass(frozen=True, slots=True)
class Together:
    """The decisions of one transaction."""

    session: WriteSession
    deployment: Deployment
    keep: timedelta
    register: RegisterEntries
    some: Sequence[Order]

    async def record(self, *, waiting: bool) -> dict[Order, Answer | Exception]:
        """What each is to be told once this is committed; one about a person whom others hold is left out."""
        free = await self._free(waiting=waiting)
        if not free:
            return {}
        opened = await self._open(free, waiting=waiting)
        # Behind everything that may have waited for others: a key that was revoked meanwhile records nothing.
        callers = await self._callers()
        told: dict[Order, Answer | Exception] = {
            one: caller for one in self.some if isinstance(caller := callers[one.digest], Exception)
        }
        calls = {one.call: one for one in free if one.call is not None and one not in told}
        for call, earlier in (await earlier_answers(self.session, list(calls), keep=self.keep)).items():
            told[calls[call]] = earlier
        return {**told, **await self._record([one for one in free if one not in told], callers, opened)}

    async def _free(self, *, waiting: bool) -> list[Order]:
        """Those whose Idempotency-Keys are held from now on: in a group, those that nobody else holds."""
        calls = [one.call for one in self.some if one.call is not None]
        if not calls:
            return list(self.some)
        if waiting:
            await hold_keys(self.session, calls)
            return list(self.some)
        taken = await try_keys(self.session, calls)
        return [one for one in self.some if one.call is None or one.call in taken]

    async def _callers(self) -> dict[bytes, Caller | Exception]:
        """Who asks, as it is until this transaction ends: whoever changes a caller or its keys waits for that."""
        await keep_as_they_are(self.session, {one.caller for one in self.some})
        found: dict[bytes, Caller | Exception] = {}
        for one in self.some:
            if one.digest not in found:
                try:
                    found[one.digest] = await one.ask(self.session)
                except (UnauthorizedError, DomainError) as error:
                    found[one.digest] = error
        return found

    async def _open(self, left: Sequence[Order], *, waiting: bool) -> OpenLedgers:
        names = {one.said.subject for one in left}
        processings = {one.said.processing for one in left if one.said.processing is not None}
        return await open_ledgers(
            self.session, self.deployment, names, processings, waiting=waiting, register=self.register
        )

    async def _record(
        self, left: Sequence[Order], callers: Mapping[bytes, Caller | Exception], opened: OpenLedgers
    ) -> dict[Order, Answer | Exception]:
        told: dict[Order, Answer | Exception] = {}
        importing: dict[Caller, None] = {}
        for one in left:
            caller = callers[one.digest]
            if isinstance(caller, Exception):
                continue
            recorded = None
            if not opened.is_busy(one.said.subject):
                recorded = await record_one(self.session, self.deployment, caller, one.said, opened)
                told[one] = recorded.refused or Answer(one.status, _body(recorded.done))
            if one.call is not None:
                self._settle(one.call, told.get(one), recorded)
            if recorded is not None and recorded.imported:
                importing[caller] = None
            await asyncio.sleep(0)  # decisions and other requests have their turn between two of them
        for caller in importing:
            await record_import(self.session, caller, await self.session.now())
        return told

    def _settle(self, call: IdempotentCall, told: Answer | Exception | None, recorded: Recorded | None) -> None:
        """Keep an answer under its key; a key under which nothing was recorded is free again."""
        if isinstance(told, Answer) and recorded is not None:
            keep_answer_about(self.session, call, told, recorded.subjects)
        else:
            release(self.session, call)


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
