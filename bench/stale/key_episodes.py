"""What happens to callers while they ask: a key ends, or a caller may not ask any more."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from bench.stale.asking import Topic
from bench.stale.callers import Body, Crew
from bench.stale.client import CallError
from bench.stale.episodes import REPEATED, Episode, Group, consent_episodes, new_subject
from bench.stale.fleet import KEY as OWN_KEY
from bench.stale.history import KEY, SCOPE, History, Written

_MAY_ASK: Final = {"scopes": ["decisions:evaluate"], "processings": None}
_NARROWINGS: Final[list[dict[str, Any]]] = [
    {"processings": ["another-processing"]},
    {"scopes": ["consents:read"]},
]
_CYCLES: Final = 4


@dataclass(frozen=True, slots=True)
class _Caller:
    """A caller that was made for an episode: its id, that of its key, and the key."""

    id: str
    key_id: str
    key: str


def episodes(crew: Crew, processing: str, *, subjects: int = 6) -> list[Episode]:
    """Everything that is to be played again and again."""
    of_callers: list[Episode] = [lambda: _key(crew, processing), lambda: _narrowed(crew, processing)]
    return [*consent_episodes(crew, processing, subjects=subjects), *of_callers]


async def _made(crew: Crew) -> _Caller | None:
    with suppress(CallError):
        body = {"name": "caller", "scopes": ["decisions:evaluate"]}
        _, made = await crew.workers[crew.worker()].calls.call("POST", "/v1/keys", body, OWN_KEY)
        if made and "key" in made:
            return _Caller(made["id"], made["keys"][0]["id"], made["key"])
    return None


async def _key(crew: Crew, processing: str) -> History:
    """One key: made, used everywhere, and ended in one of three ways."""
    made = await _made(crew)
    if made is None:
        return History()
    group = Group(crew, History(), Topic([new_subject()], processing, made.key))
    if not await group.grant():
        return group.history
    endings: list[tuple[str, tuple[str, str], Body]] = [
        ("revoked caller", ("DELETE", f"/v1/keys/{made.id}"), None),
        ("revoked key", ("PATCH", f"/v1/keys/{made.id}"), {"revoke_keys": [made.key_id]}),
        ("key rotated at once", ("POST", f"/v1/keys/{made.id}/rotations"), {"compromised": True}),
    ]

    async def use() -> None:
        await group.probe()
        await asyncio.sleep(crew.rest())
        name, where, body = crew.chance.choice(endings)
        kind = Written(name, KEY, narrows=True, key=made.key)
        await crew.write(group.history, kind, where, body, again=crew.chance.random() < REPEATED)
        await group.probe()

    return await crew.attended(group.history, group.topic, use)


async def _narrowed(crew: Crew, processing: str) -> History:
    """A caller that loses a processing, or the scope to ask, and gets it back."""
    made = await _made(crew)
    if made is None:
        return History()
    group = Group(crew, History(), Topic([new_subject()], processing, made.key))
    where = ("PATCH", f"/v1/keys/{made.id}")
    narrowed = Written("narrowed caller", SCOPE, narrows=True, key=made.key)
    widened = Written("widened caller", SCOPE, narrows=False, key=made.key)

    async def cycles() -> None:
        for number in range(_CYCLES):
            if crew.finishing:
                return
            await group.probe()
            again = crew.chance.random() < REPEATED
            await crew.write(group.history, narrowed, where, _NARROWINGS[number % 2], again=again)
            await group.probe()
            if await crew.write(group.history, widened, where, _MAY_ASK) is None:
                return

    return await crew.attended(group.history, group.topic, cycles) if await group.grant() else group.history
