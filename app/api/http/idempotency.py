"""How every write answers: once for each Idempotency-Key (draft-07), and only when its transaction is committed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from app.api.http.services import Services, ServicesDep
from app.auth.callers import Caller
from app.auth.idempotency import Answer, IdempotentCall, earlier_answer, keep_answer
from app.db.session import WriteSession

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


@dataclass(frozen=True, slots=True)
class Write:
    """One write request, as far as answering it once is concerned."""

    request: Request
    services: Services
    key: str | None

    async def perform(
        self, caller: Caller, status: int, operation: Callable[[WriteSession], Awaitable[BaseModel | None]]
    ) -> Response:
        """Run an operation in a transaction and answer after its commit; or give the answer given before."""
        call = await self._call(caller) if self.key is not None else None
        async with self.services.writer.write() as session:
            given = None
            if call is not None:
                given = await earlier_answer(session, call, keep=self.services.keep_answers)
            if given is None:
                told = await operation(session)
                given = Answer(status, told.model_dump_json(exclude_none=True) if told is not None else "")
                if call is not None:
                    await keep_answer(session, call, given)
        return Response(given.body or None, given.status, media_type="application/json" if given.body else None)

    async def _call(self, caller: Caller) -> IdempotentCall:
        pseudonyms = self.services.deployment.pseudonyms
        body = (await self.request.body()).decode("utf-8", "replace")
        asked = f"{self.request.method} {self.request.url.path}\n{body}"
        return IdempotentCall(
            caller=caller.id,
            key_hash=pseudonyms.opaque("idempotency-key", self.key or ""),
            request_hash=pseudonyms.opaque("idempotent-request", asked),
        )


def _write(request: Request, services: ServicesDep, key: IdempotencyKey = None) -> Write:
    return Write(request, services, key)


WriteDep = Annotated[Write, Depends(_write)]
