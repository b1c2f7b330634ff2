"""A world: a processing, a key and two users, one writer of all that happens to them, and askers at every service.

Worlds share nothing, so each user's history, with that of the world's processing and key, is one object to be checked.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import uuid4

from tests.e2e.failover.calls import Decided, Outcome, Services, Written
from tests.linearizability.consent import Asked, Facts, Granted, MaterialVersion, Narrowed, Resumed, Revoked, Suspended
from tests.linearizability.search import Act, Call
from tests.support.api import BOOTSTRAP, processing, question, subject
from tests.support.consents import grant

_CYCLES: Final = 5
_REST: Final = (0.1, 0.5)
_BETWEEN_QUESTIONS: Final = 0.25
_AGAIN: Final = 0.3


@dataclass(slots=True)
class World:
    """What was said and asked; `calls` by user, and under None what concerns both.

    `not_recorded`: writes that were answered so, with start and end: what explains a history without an order if one of
    them was recorded all the same.
    """

    services: Services
    chance: random.Random
    processing: str = field(default_factory=lambda: f"ads-{uuid4().hex[:12]}")
    users: tuple[str, ...] = field(default_factory=lambda: tuple(f"user-{uuid4().hex}@example.test" for _ in range(2)))
    calls: dict[str | None, list[Call[Facts]]] = field(default_factory=dict)
    not_recorded: list[tuple[float, float, str]] = field(default_factory=list)
    key: str = ""
    key_id: str = ""
    version: int = 1
    may_add_version: bool = True
    over: bool = False

    def history(self, user: str) -> list[Call[Facts]]:
        """Everything that a decision about a user rests on."""
        return [*self.calls.get(None, []), *self.calls.get(user, [])]

    async def live(self) -> None:
        """Write for a while, one call after the other, while askers ask; then ask until everybody has answered."""
        if not await self._begin():
            return
        askers = [asyncio.create_task(self._keep_asking(service)) for service in range(len(self.services))]
        try:
            for cycle in range(_CYCLES):
                await self._cycle(cycle)
            await self._revoke_key()
        finally:
            self.over = True
            await asyncio.gather(*askers)
        await self._ask_everybody()

    async def _begin(self) -> bool:
        """Register the processing and make the key; a world that does not come to be is none."""
        made = await self._write("POST", "/v1/processings", processing(self.processing))
        if made.outcome is not Outcome.DONE:
            await asyncio.sleep(_AGAIN)
            return False
        made = await self._write("POST", "/v1/keys", {"name": "asks", "scopes": ["decisions:evaluate"]})
        if made.outcome is not Outcome.DONE:
            await asyncio.sleep(_AGAIN)
            return False
        self.key, self.key_id = made.said["key"], made.said["id"]
        return True

    async def _cycle(self, number: int) -> None:
        for user in self.users:
            await self._grant(user)
            await self._rest()
        if number == self.chance.randrange(_CYCLES):
            await self._add_version()
        if self.chance.random() < 0.3:
            await self._set_status(suspended=True)
            await self._rest()
            await self._set_status(suspended=False)
        user = self.chance.choice(self.users)
        await self._narrow(user)
        await self._rest()

    async def _grant(self, user: str) -> None:
        body = grant(user, self.processing, evidence={"notice_version": self.version})
        made = await self._write("POST", "/v1/consents", body)
        self._note(user, made, lambda: Granted(self.version, made.start, _end(made)))
        if made.outcome is Outcome.DONE:
            self.services.records.entries.add(made.said["id"])

    async def _narrow(self, user: str) -> None:
        """Withdraw, refuse or close the account, until it is answered: what a caller does who was told to."""
        named = {"subject": subject(user), "processing": self.processing}
        method, path, body = "POST", "/v1/withdrawals", named
        which = self.chance.random()
        if which < 0.2:
            path, body = "/v1/consents", {**grant(user, self.processing), "decision": "refused"}
            del body["collected_at"]
        elif which < 0.35:
            path, body = "/v1/subjects/closures", {"subject": subject(user)}
        made = await self._write_until_done(user, method, path, body, _narrowed)
        if made.said.get("id") is not None:
            self.services.records.entries.add(made.said["id"])

    async def _add_version(self) -> None:
        """Add a version, once answered; where nobody knows whether it was, this world adds no more."""
        if not self.may_add_version:
            return
        facts = processing(self.processing)
        del facts["id"]
        path = f"/v1/processings/{self.processing}/versions"
        made = await self._write("POST", path, {**facts, "material": True})
        self._note(None, made, lambda: MaterialVersion(self.version + 1))
        if made.outcome is Outcome.DONE:
            self.version += 1
            self.services.records.versions.add((self.processing, self.version))
        self.may_add_version = made.outcome is not Outcome.UNKNOWN

    async def _set_status(self, *, suspended: bool) -> None:
        path, body = f"/v1/processings/{self.processing}", {"status": "suspended" if suspended else "active"}
        act = _suspended if suspended else _resumed
        await self._write_until_done(None, "PATCH", path, body, act)

    async def _revoke_key(self) -> None:
        made = await self._write_until_done(None, "DELETE", f"/v1/keys/{self.key_id}", None, _revoked)
        if made.outcome is Outcome.DONE:
            self.services.records.revoked.add(self.key_id)

    async def _write_until_done(
        self, user: str | None, method: str, path: str, body: Any, act: Callable[[Written], Act[Facts]]
    ) -> Written:
        while True:
            made = await self._write(method, path, body)
            self._note(user, made, partial(act, made))
            if made.outcome in {Outcome.DONE, Outcome.REFUSED}:
                return made
            await asyncio.sleep(_AGAIN)

    async def _write(self, method: str, path: str, body: Any) -> Written:
        made = await self.services.write(self.chance.randrange(len(self.services)), method, path, body)
        if made.outcome is Outcome.NOT_DONE:
            self.not_recorded.append((made.start, made.end, f"{method} {path} {(body or {}).get('status', '')}"))
        return made

    def _note(self, user: str | None, made: Written, act: Callable[[], Act[Facts]]) -> None:
        """Take a write into the history, unless its answer says that nothing was recorded."""
        if made.outcome in {Outcome.DONE, Outcome.UNKNOWN}:
            end = made.end if made.outcome is Outcome.DONE else None
            self.calls.setdefault(user, []).append(Call(act(), made.start, end))

    async def _keep_asking(self, service: int) -> None:
        while not self.over:
            user, revocable = self.chance.choice(self.users), self.chance.random() < 0.5
            await self._ask(service, user, revocable=revocable)
            await asyncio.sleep(_BETWEEN_QUESTIONS)

    async def _ask_everybody(self) -> None:
        for service in range(len(self.services)):
            for user in self.users:
                for revocable in (False, True):
                    while (await self._ask(service, user, revocable=revocable)).answer is None:  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(_AGAIN)

    async def _ask(self, service: int, user: str, *, revocable: bool) -> Decided:
        answer = await self.services.ask(service, question(user, self.processing), self.key if revocable else BOOTSTRAP)
        if answer.answer is not None:
            self.services.records.decided.append(answer)
            self.calls.setdefault(user, []).append(
                Call(Asked(answer.answer, answer.start, revocable), answer.start, answer.end)
            )
        return answer

    async def _rest(self) -> None:
        await asyncio.sleep(self.chance.uniform(*_REST))


def _narrowed(made: Written) -> Narrowed:
    return Narrowed(made.start, _end(made))


def _suspended(_: Written) -> Suspended:
    return Suspended()


def _resumed(made: Written) -> Resumed:
    return Resumed(_end(made))


def _revoked(_: Written) -> Revoked:
    return Revoked()


def _end(made: Written) -> float:
    """When it was answered; infinity where nobody knows whether it was done."""
    return made.end if made.outcome is Outcome.DONE else float("inf")
