"""What a request records by: its decisions go into groups with those of others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response

from app.api.consents.group import RecordingGroups
from app.api.consents.together import Order
from app.api.http.idempotency import Write, WriteDep
from app.api.http.security import AskAgain, Needs, asked_again
from app.auth.callers import Caller
from app.auth.idempotency import IdempotentCall
from app.operations.consents.record_many import Said
from app.telemetry.traces.spans import cause


@dataclass(frozen=True, slots=True)
class Grouped:
    """What records the decisions of one request with those of others. `digest`: of the credential presented."""

    groups: RecordingGroups
    write: Write
    ask: AskAgain
    digest: bytes

    async def record(self, caller: Caller, status: int, said: Said) -> Response:
        """Record one, and answer once it is committed and confirmed; or give the answer given before."""
        given = await self.groups.record(self.order(caller, await self.write.call(caller), status, said))
        return Response(given.body, given.status, media_type="application/json")

    def order(self, caller: Caller, call: IdempotentCall | None, status: int, said: Said) -> Order:
        """One decision of this request.

        Raises:
            InvalidSubjectError: the id of the person has a domain that IDNA refuses.

        """
        person = self.groups.deployment.pseudonyms.locator(said.subject.type, said.subject.id)
        return Order(said, caller.id, self.digest, self.ask, call, status, person, cause())


def grouped_for(needs: Needs) -> Callable[..., Grouped]:
    """A dependency that gives what records for callers who have these scopes."""

    def wanted(request: Request, ask: Annotated[AskAgain, Depends(asked_again(needs))], write: WriteDep) -> Grouped:
        groups: RecordingGroups = request.app.state.recording_groups
        return Grouped(groups, write, ask, request.state.presented.digest)

    return wanted
