"""Interleavings placed by hand: each ends with a question that begins after a narrowing write was answered.

A scenario gives whether that question was answered with a permit: never, unless the mechanism that it is about is off.
"""

import asyncio
from contextlib import suppress
from uuid import uuid4

from app.api.http.security import remembered_caller
from app.auth.callers import Credential, key_digest
from app.snapshot import tables as upkeep
from app.snapshot.feed import Pace
from tests.freshness.gate import until


async def held(world):
    """B holds the permit."""
    await world.begin()
    await world.fill(world.b)


async def silent(world):
    """B holds the permit, and its feed has stopped."""
    await held(world)
    await world.b.freeze()


async def both_up(world):
    """B holds the permit; A withdraws; nothing is wrong anywhere."""
    await held(world)
    await world.withdraw()
    return await world.ask(world.b)


async def silent_feed(world):
    """B holds the permit, and its feed has stopped."""
    await silent(world)
    await world.withdraw()
    return await world.ask(world.b)


async def late_answer(world):
    """B's beat was sent before the withdrawal, and its answer comes long after."""
    await held(world)
    world.b.after_beat.close()
    await until(lambda: world.b.after_beat.waiting)
    await world.withdraw()
    beats = world.b.feed.beats
    world.b.before_beat.close()
    world.b.after_beat.open()
    await until(lambda: world.b.feed.beats > beats)
    return await world.ask(world.b)


async def return_of_the_feed(world):
    """B's feed was silent until the withdrawal was answered, and comes back with it."""
    await silent(world)
    await world.withdraw()
    world.pause.close()
    world.b.before_beat.open()
    await until(lambda: world.b.lease.held() or world.pause.waiting)
    return await world.ask(world.b)


async def return_during_a_look(world):
    """A question begins at B without a lease, and B's feed comes back while it is answered."""
    await silent(world)
    await world.withdraw()
    world.pause.close()
    asking = asyncio.create_task(world.ask(world.b))
    await until(lambda: asking.done() or world.pause.waiting)
    world.b.before_beat.open()
    await world.b.leased()
    world.pause.open()
    return await asking


async def overtaken_read(world):
    """B has read the permit and not kept it yet when the withdrawal is answered."""
    await world.begin()
    world.b.after_read.close()
    reading = asyncio.create_task(world.ask(world.b))
    await until(lambda: world.b.after_read.waiting)
    await world.withdraw()
    world.b.after_read.open()
    await reading
    return await world.ask(world.b)


async def second_look_for_a_caller(world):
    """B has read a key that is in force; another look for it comes after its revocation was answered.

    Only a caller is taken from the read itself: what a decision rests on is looked up in memory, whoever has read it.
    """
    await world.begin()
    made = await world.a.ok("POST", "/v1/keys", {"name": "mailer", "scopes": ["consents:write"]})
    presented, gate = Credential(key_digest(made["key"]), None), world.b.hold_callers()
    first = asyncio.create_task(remembered_caller(world.b.services, presented))
    await until(lambda: gate.waiting)
    await world.a.ok("DELETE", f"/v1/keys/{made['id']}")
    second = asyncio.create_task(remembered_caller(world.b.services, presented))
    await asyncio.sleep(0.1)
    gate.open()
    await first
    return await second is not None


async def cut_and_reborn(world):
    """The server ends B's feed; the withdrawal is answered before B has registered again."""
    await held(world)
    world.b.before_registration.close()
    world.cut_feed(world.b)
    await until(lambda: world.b.before_registration.waiting)
    await world.withdraw()
    world.b.before_registration.open()
    await world.b.leased()
    return await world.ask(world.b)


async def just_starting(world):
    """B has just started when A withdraws."""
    await world.begin(b=False)
    world.pause.close()
    await world.b.start()
    await until(lambda: world.b.lease.held() or world.pause.waiting)
    await world.fill(world.b)
    await world.withdraw()
    return await world.ask(world.b)


async def news_on_the_way(world):
    """B's beat has read the withdrawal, and its answer is still on the way."""
    await held(world)
    world.b.wakes = False  # a beat is to read it, not a peek
    world.b.hold_news_only = True
    world.b.after_beat.close()
    await world.withdraw()
    return await world.ask(world.b)


async def peek_on_the_way(world):
    """B peeks, woken by the withdrawal, and its answer is applied."""
    await held(world)
    world.pause.close()
    await world.withdraw()
    return await world.ask(world.b)


async def acknowledgement_of_another_write(world):
    """What B acknowledges while the withdrawal waits was read before the withdrawal was committed."""
    await held(world)
    world.b.hold_news_only = True
    world.b.after_beat.close()
    await world.grant(world.a, f"another-{uuid4().hex}@example")
    await until(lambda: world.b.after_beat.waiting)
    writing = await world.committed(world.withdraw())
    world.b.before_beat.close()
    world.b.after_beat.open()
    await asyncio.wait([writing], timeout=0.3)
    if not writing.done():
        world.b.before_beat.open()
    await writing
    return await world.ask(world.b)


async def taken_away_between_beats(world):
    """B's row is taken away between two of its beats; B peeks at another grant, and after that nothing wakes it."""
    await held(world)
    await upkeep.take_away_dead(world.a.services.database, world.b.feed._pace)
    reads = world.b.after_beat.arrivals
    await world.grant(world.a, f"another-{uuid4().hex}@example")
    await until(lambda: world.b.after_beat.arrivals > reads)
    world.b.wakes = False
    await world.withdraw()
    return await world.ask(world.b)


async def commit_during_a_beat(world):
    """The withdrawal is committed between a beat of B and what follows from it."""
    await held(world)
    after = world.b.after_beat
    after.close()
    await until(lambda: after.waiting)
    # The next beat of B is the one: what stands there, or before it at A, may have passed where the mutant waits.
    world.pause.close()
    come = after.arrivals
    after.close(after=1)
    await until(lambda: after.arrivals > come or world.pause.standing == len((world.a, world.b)))
    writing = await world.committed(world.withdraw())
    world.pause.open()
    after.open()
    await writing
    return await world.ask(world.b)


async def ids_out_of_order(world):
    """Another transaction takes its id later, commits first, and is applied by B before the withdrawal commits."""
    await held(world)
    writing = await world.uncommitted(world.withdraw())
    await world.grant(world.b, "somebody-else@example")
    await world.b.beaten(3)
    world.a.before_commit.open()
    await writing
    return await world.ask(world.b)


async def own_memory(world):
    """A itself held the permit, and its own feed is slow."""
    await world.begin()
    await world.fill(world.a)
    await world.a.freeze()
    await world.withdraw()
    return await world.ask(world.a)


async def own_memory_before_the_commit(world):
    """A question at A comes just before the commit."""
    await world.begin()
    await world.a.freeze()
    writing = await world.uncommitted(world.withdraw())
    assert await world.ask(world.a)
    world.a.before_commit.open()
    await writing
    return await world.ask(world.a)


async def registered_before_the_commit(world):
    """B starts while the withdrawal is under way, before its commit."""
    await world.begin(b=False)
    writing = await world.uncommitted(world.withdraw())
    await world.b.start()
    await world.b.leased()
    await world.fill(world.b)
    await world.b.freeze()
    world.a.before_commit.open()
    await writing
    return await world.ask(world.b)


async def long_transaction(world):
    """The withdrawal's transaction lasts longer than a lease and a margin; B's feed stops just before its commit."""
    await held(world)
    writing = await world.uncommitted(world.withdraw())
    await asyncio.sleep(world.a.confirmer._longest)
    await world.b.freeze()
    world.a.before_commit.open()
    await writing
    return await world.ask(world.b)


async def repeated_withdrawal(world):
    """A dies between commit and answer; the same request comes again."""
    await silent(world)
    key = str(uuid4())
    first = await world.committed(world.withdraw(idempotency_key=key))
    await _dies(first)
    await world.a.app.state.recording_groups.close()  # what goes on without the request dies with it
    await world.withdraw(idempotency_key=key)
    return await world.ask(world.b)


async def repeated_suspension(world):
    """A dies between the commit of a suspension and its answer; the processing is suspended again."""
    return await _said_again(world, _suspend)


async def silent_feed_at_an_invalidation(world):
    """B holds the permit, and its feed has stopped; A invalidates the version that it rests on."""
    await silent(world)
    await _invalidate(world)
    return await world.ask(world.b)


async def repeated_invalidation(world):
    """A dies between the commit of an invalidation and its answer; the version is invalidated again."""
    return await _said_again(world, _invalidate)


async def _said_again(world, narrow):
    """B holds the permit, and its feed has stopped; A dies between commit and answer, and the write is sent again."""
    await silent(world)
    await _dies(await world.committed(narrow(world)))
    await narrow(world)
    return await world.ask(world.b)


async def repeated_at_the_same_process(world):
    """A fails between commit and forgetting, with a slow feed of its own; the same request comes to it again."""
    await world.begin()
    await world.fill(world.a)
    await world.a.freeze()
    key, committed = str(uuid4()), world.a.replica.committed

    def fails(*_, **__):
        raise asyncio.CancelledError

    world.a.replica.committed = fails
    with suppress(AssertionError):  # it is answered that the outcome is not known
        await world.withdraw(idempotency_key=key)
    world.a.replica.committed = committed
    await world.withdraw(idempotency_key=key)
    return await world.ask(world.a)


async def _suspend(world):
    await world.a.ok("PATCH", f"/v1/processings/{world.processing}", {"status": "suspended"})


async def _invalidate(world):
    body = {"version": 1, "reason": "Unlawful."}
    await world.a.ok("POST", f"/v1/processings/{world.processing}/invalidations", body)


async def _dies(task):
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def graceful_stop(world):
    """B stops gracefully, and A withdraws meanwhile."""
    await silent(world)
    world.pause.close()
    stopping = asyncio.create_task(world.b.replica.stop())
    await until(lambda: stopping.done() or world.pause.waiting)
    await world.withdraw()
    permitted = await world.ask(world.b)
    world.pause.open()
    await stopping
    return permitted


async def janitor_and_the_living(world):
    """A's janitor saw B; B goes on beating; the janitor comes to take the dead away."""
    await held(world)
    cleaning = await _janitor_that_saw(world)
    await world.b.beaten(2)
    await world.b.freeze()
    world.pause.open()
    await cleaning
    await world.withdraw()
    return await world.ask(world.b)


async def janitor_and_the_reborn(world):
    """A's janitor saw B; B dies, begins anew, and beats exactly as often."""
    world.b.before_beat.close(after=2)
    await world.begin()
    await until(lambda: world.b.before_beat.waiting)
    cleaning = await _janitor_that_saw(world)
    world.cut_feed(world.b)
    world.b.before_beat.close(after=3)  # one fails, and tells B that it was cut
    await until(lambda: world.b.before_beat.waiting and world.b.feed.beats == 4)
    await world.fill(world.b)
    world.pause.open()
    await cleaning
    await world.withdraw()
    return await world.ask(world.b)


async def _janitor_that_saw(world):
    """A janitor that has noted every row's beat, and waits at PAUSE before it compares."""
    world.pause.close()
    beats = upkeep._beats

    looks = []

    async def noted(database):
        seen = await beats(database)
        looks.append(seen)
        if len(looks) == 1:
            await world.pause.pass_through()
            return seen
        upkeep._beats = beats
        return looks[0]  # as if none had moved: the statement itself compares

    upkeep._beats = noted
    pace = Pace(lease=0, heartbeat=0, margin=0)
    cleaning = asyncio.create_task(upkeep.take_away_dead(world.a.services.database, pace))
    await until(lambda: world.pause.waiting)
    return cleaning
