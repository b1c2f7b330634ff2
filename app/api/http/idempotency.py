"""How every write answers: once for each Idempotency-Key (draft-07), and only when its transaction is committed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from app.api.http.problems import UnauthorizedError
from app.api.http.services import PseudonymsDep, WriterDep
from app.auth.callers import Authenticated, Caller
from app.auth.idempotency import Answer, IdempotentCall, earlier_answer, keep_answer
from app.auth.store import authentication, kept_as_they_are
from app.db.database import DatabaseUnavailableError
from app.db.session import WriteSession
from app.ledger.pseudonym import Pseudonyms
from app.snapshot.writer import Writer

_LONGEST_KEY: Final = 255

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=_LONGEST_KEY,
        description="Repeat a write safely: the same key gives the same answer, for a day.",
    ),
]


class WaitsForPerson(BaseModel):
    """The answer if the request waits for a second person: 202, in the place of the route's usual status."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write request, and what is needed to answer it only once."""

    request: Request
    writer: Writer
    pseudonyms: Pseudonyms
    key: str | None

    async def perform(
        self, caller: Caller, status: int, operation: Callable[[WriteSession], Awaitable[BaseModel | None]]
    ) -> Response:
        """Run an operation in a transaction and answer after its commit, or repeat the earlier answer.

        The transaction locks the caller before it looks it up: a change of the caller waits for this transaction, or
        this one has waited for the change.

        Raises:
            UnauthorizedError: the credential is not in force any more.
            DatabaseUnavailableError: the caller was changed since it was let in; sent again, the request finds it so.

        """
        call = await self.call(caller)
        async with as_caller(self.request, self.writer, caller) as session:
            given = await self.once(session, call, status, operation)
        return Response(given.body or None, given.status, media_type="application/json" if given.body else None)

    async def once(
        self,
        session: WriteSession,
        call: IdempotentCall | None,
        status: int,
        operation: Callable[[WriteSession], Awaitable[BaseModel | None]],
    ) -> Answer:
        """The answer of an operation, or the earlier answer under its Idempotency-Key."""
        given = await earlier_answer(session, call) if call is not None else None
        if given is None:
            told = await operation(session)
            body = told.model_dump_json(exclude_none=True) if told is not None else ""
            given = Answer(202 if isinstance(told, WaitsForPerson) else status, body)
            if call is not None:
                await keep_answer(session, call, given)
        return given

    async def call(self, caller: Caller) -> IdempotentCall | None:
        """The entry of this request under its Idempotency-Key; None without a key. It hashes the whole body."""
        if self.key is None:
            return None
        body = (await self.request.body()).decode("utf-8", "replace")
        # With the key in it, so that nobody who holds the database can try bodies without knowing the key.
        asked = f"{self.key}\n{self.request.method} {self.request.url.path}\n{body}"
        return IdempotentCall(
            caller=caller.id,
            key_hash=self.pseudonyms.opaque("idempotency-key", self.key),
            request_hash=self.pseudonyms.opaque("idempotent-request", asked),
        )

    def part_of(self, call: IdempotentCall | None, number: int) -> IdempotentCall | None:
        """The entry of one part of a request, under a key made from that of the whole."""
        if call is None:
            return None
        # No key of a header has a line break, so that no other request can have this one.
        return replace(call, key_hash=self.pseudonyms.opaque("idempotency-key", f"{number}\n{self.key}"))


@asynccontextmanager
async def as_caller(request: Request, writer: Writer, caller: Caller) -> AsyncIterator[WriteSession]:
    """Begin a transaction during which the caller cannot be changed.

    Raises:
        UnauthorizedError: the credential is not in force any more.
        DatabaseUnavailableError: the caller was changed since it was let in; sent again, the request finds it so.

    """
    found = authentication(request.state.presented)
    async with writer.write(None, (kept_as_they_are([caller.id]), found)) as session:
        _still_is(caller, found.read(session.lead[found]))
        yield session


def _still_is(caller: Caller, found: Authenticated | None) -> None:
    if found is None or found.caller.id != caller.id:
        raise UnauthorizedError(presented=True)
    if (found.caller.scopes, found.caller.processings) != (caller.scopes, caller.processings):
        raise DatabaseUnavailableError


async def _write(request: Request, writer: WriterDep, pseudonyms: PseudonymsDep, key: IdempotencyKey = None) -> Write:
    return Write(request, writer, pseudonyms, key)


WriteDep = Annotated[Write, Depends(_write)]
