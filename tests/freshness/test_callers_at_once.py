"""What is taken from a caller is gone at every replica once the write is answered; without a mechanism, it is not."""

import asyncio
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from app.auth.callers import Caller, Identity, Scope, Token, key_digest
from app.auth.store import add_caller
from app.db.session import uuid7
from app.snapshot.last_known import HeldOrKnown
from app.snapshot.leases import RecordCache
from tests.freshness.gate import until
from tests.freshness.mutants import writes
from tests.freshness.sites import LONG, SHORT, NotPlayedError, play
from tests.support.api import question
from tests.support.databases import new_database
from tests.support.narrowings import NARROWINGS

TRIES = 3
"""A busy machine may let a lease end before a stale permit was seen; never the other way round."""


@pytest.fixture(scope="module")
def database():
    """One database for all scenarios: each uses names of its own."""
    with new_database() as made:
        yield made


async def _caller(world):
    body = {"name": "mailer", "scopes": ["decisions:evaluate", "audit:read"]}
    return await world.a.ok("POST", "/v1/keys", body)


async def _permitted(world, site, made):
    body = question(world.name, world.processing)
    status, answer = await site.call("POST", "/access/v1/evaluation", body, authorization=f"Bearer {made['key']}")
    return status == 200 and answer["decision"]


async def _held_by_b(world):
    """A caller that B holds in memory, under a lease."""
    await world.begin()
    made = await _caller(world)
    assert await _permitted(world, world.b, made)
    if world.b.replica.callers.get(key_digest(made["key"])) is None or not world.b.lease.held():
        raise NotPlayedError
    return made


def _narrowed(narrowing, *, silent):
    """B's feed works normally when the caller is narrowed at A, or has stopped."""

    async def scenario(world):
        made = await _held_by_b(world)
        if silent:
            await world.b.freeze()
        await world.a.ok(*narrowing(made, world.processing))
        return await _permitted(world, world.b, made)

    return scenario


async def _token_of_b(world):
    """B holds in memory a caller that showed a token, and hears nothing when it is revoked at A."""
    await world.begin()
    shown, ref = f"ey.{world.name}.x", sha256(world.name.encode()).digest()
    token = Token(ref, None, None, datetime(2100, 1, 1, tzinfo=UTC), "key")
    vars(world.b.replica).update(_token_of={key_digest(shown): token}.get)
    identity = Identity("https://login.example", world.name)
    async with world.a.services.database.write() as session:
        caller = Caller(uuid7(token.until), "token", frozenset(Scope), None, token.until, identity=identity)
        assert await add_caller(session, caller, ref)
    made = {"id": str(caller.id), "key": shown}
    assert await _permitted(world, world.b, made)
    if world.b.replica.callers.get(key_digest(shown)) is None or not world.b.lease.held():
        raise NotPlayedError
    await world.b.freeze()
    await world.a.ok("DELETE", f"/v1/keys/{made['id']}")
    return await _permitted(world, world.b, made)


async def _overtaken(world):
    """B has read the caller, and not kept it yet, when the caller is revoked at A."""
    await world.begin()
    made = await _caller(world)
    gate = world.b.hold_callers()
    reading = asyncio.create_task(_permitted(world, world.b, made))
    await until(lambda: gate.waiting)
    await world.a.ok("DELETE", f"/v1/keys/{made['id']}")
    gate.open()
    await reading
    return await _permitted(world, world.b, made)


@pytest.mark.parametrize("narrowing", NARROWINGS.values(), ids=NARROWINGS.keys())
def test_a_narrowed_caller_is_refused_by_a_replica_that_heard_nothing(database, narrowing):
    """A revocation, rotation or narrowing is answered only when a replica that held the caller may no longer use it."""
    assert not play(_narrowed(narrowing, silent=True), database, SHORT)


def test_a_caller_known_by_a_token_is_refused_too(database, monkeypatch):
    """A revocation also ends what a replica remembers of a token; control: without confirmation, it does not."""
    assert not play(_token_of_b, database, SHORT)
    writes.no_confirmation(monkeypatch.setattr)
    assert any(play(_token_of_b, database, LONG) for _ in range(TRIES))


def test_without_confirmation_it_is_not(database, monkeypatch):
    """Control: if a revocation is answered without confirmation, a replica goes on permitting the caller."""
    writes.no_confirmation(monkeypatch.setattr)
    scenario = _narrowed(NARROWINGS["caller revoked"], silent=True)
    assert any(play(scenario, database, LONG) for _ in range(TRIES))


def test_a_change_says_of_whom(database, monkeypatch):
    """A replica that hears of a compromised key forgets its caller; control: one that does not goes on permitting."""
    scenario = _narrowed(NARROWINGS["key compromised"], silent=False)
    assert not play(scenario, database, LONG)
    monkeypatch.setattr(HeldOrKnown, "forget_caller", lambda *_: None)
    assert any(play(scenario, database, LONG) for _ in range(TRIES))


def test_a_read_that_a_revocation_overtook_is_not_kept(database, monkeypatch):
    """A caller read before its revocation is not kept after it; control: if reads under way are not marked, it is."""
    assert not play(_overtaken, database, LONG)
    monkeypatch.setattr(RecordCache, "_mark_flights", lambda _: None)
    assert any(play(_overtaken, database, LONG) for _ in range(TRIES))
