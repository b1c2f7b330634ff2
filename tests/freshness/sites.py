"""Two replicas in one process, wired as production wires them, whose steps a scenario can hold back."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from unittest.mock import patch
from uuid import uuid4

import httpx2
import psycopg
from fastapi import FastAPI

import app.wiring.running
import app.wiring.services
from app.api.consents.groups import RecordingGroups
from app.main import create_app
from app.snapshot.feed import Pace
from app.wiring.running import running
from app.wiring.services import decisions_of, services_of
from tests.freshness.gate import PAUSE, Gate, until
from tests.support import consents
from tests.support.api import BOOTSTRAP, question, settings_for, subject
from tests.support.api import processing as processing_body
from tests.support.databases import administrator_url

SHORT = Pace(lease=0.5, heartbeat=0.05, margin=0.1)
SELDOM = Pace(lease=2.0, heartbeat=30.0, margin=0.1)
"""For what happens between two beats: no pace for a service. The lease outlasts two writes of a busy machine."""
LONG = Pace(lease=30.0, heartbeat=0.05, margin=0.1)
"""With a lease that does not end by itself, only a mechanism's absence can answer a write at once."""
MIDDLE = Pace(lease=1.5, heartbeat=0.05, margin=0.1)
"""For a write that the mechanism answers only when the lease is over: long enough to see that nothing else did."""
TRIES = 5
_numbers = count(1)
_idle: list[FastAPI] = []
"""Applications without a site: their routes take longer to make than a scenario to play."""


class NotPlayedError(Exception):
    """The machine was too busy to put a scenario in place: a short lease ended while that was done."""


class Site:
    """One replica, with a gate at each step that scenarios hold back."""

    def __init__(self, database):
        settings = settings_for(database)
        self.app = _idle.pop() if _idle else create_app(settings)
        services = services_of(settings)
        self.services = self.app.state.services = services
        self.app.state.decisions = decisions_of(self.services)
        self.app.state.recording_groups = RecordingGroups(services.writer, services.deployment)
        assert self.services.memory is not None
        self.replica = self.services.memory.replica
        self.feed = self.replica.feed
        self.lease = self.replica.lease
        self.confirmer = self.services.writer.confirmer
        self.before_beat, self.after_beat = Gate(), Gate()
        self.before_registration, self.after_read, self.before_commit = Gate(), Gate(), Gate()
        self.hold_news_only = False
        self.wakes = True
        self._stack = AsyncExitStack()
        self._hold_feed()
        self._hold_reads()
        self._hold_commits()

    def _hold_feed(self):
        begin, heard = self.feed._begin, self.feed._heard

        def held(read):
            async def held_read(connection, cursor):
                await self.before_beat.pass_through()
                answer = await read(connection, cursor)
                if answer.changes or not self.hold_news_only:
                    await self.after_beat.pass_through()
                return answer

            return held_read

        async def held_heard(connection, due):
            # A notice that wakes nothing must not bring the next beat forward either.
            while (heard_of := await heard(connection, due)) and not self.wakes:
                pass
            return heard_of

        async def held_begin(connection):
            await self.before_registration.pass_through()
            self.backend = connection.pgconn.backend_pid
            await begin(connection)

        vars(self.feed).update(
            _beat=held(self.feed._beat), _peek=held(self.feed._peek), _begin=held_begin, _heard=held_heard
        )

    def _hold_reads(self):
        read = self.replica._read_subjects

        async def held_read(refs):
            records = await read(refs)
            await self.after_read.pass_through()
            return records

        vars(self.replica).update(_read_subjects=held_read)

    def hold_callers(self):
        """A closed gate before which the reads of callers wait, with what they have found."""
        gate, read = Gate(), self.replica._read_callers

        async def held_read(digests):
            records = await read(digests)
            await gate.pass_through()
            return records

        vars(self.replica).update(_read_callers=held_read)
        gate.close()
        return gate

    def _hold_commits(self):
        write = self.services.database.write

        @asynccontextmanager
        async def held_write(*arguments, **settings):
            async with write(*arguments, **settings) as session:
                yield session
                await session.flush()
                await self.before_commit.pass_through()

        vars(self.services.database).update(write=held_write)

    async def start(self):
        """Start as production does."""
        await self._stack.enter_async_context(running(self.services, BOOTSTRAP))

    async def leased(self):
        """Return when it holds a lease, and knows from which server."""
        await until(lambda: self.lease.held() and self.feed.server is not None)

    async def stop(self):
        """Let every step pass, and stop."""
        for gate in (self.before_beat, self.after_beat, self.before_registration, self.after_read, self.before_commit):
            gate.open()
        await self.app.state.recording_groups.close()
        await self._stack.aclose()
        _idle.append(self.app)

    async def call(self, method, path, body=None, **headers):
        """One request; its status and its JSON."""
        fields = {
            "authorization": f"Bearer {BOOTSTRAP}",
            **{name.replace("_", "-"): each for name, each in headers.items()},
        }
        transport = httpx2.ASGITransport(self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://sceau", trust_env=False) as client:
            answer = await client.request(method, path, json=body, headers=fields)
        return answer.status_code, answer.json() if answer.content else None

    async def ok(self, method, path, body=None, **headers):
        """The JSON of a request that must succeed."""
        status, answer = await self.call(method, path, body, **headers)
        assert status in {200, 201, 204}, f"{method} {path}: {status} {answer}"
        return answer

    async def freeze(self):
        """Hold the feed before its next beat, and return when it stands there."""
        self.before_beat.close()
        await until(lambda: self.before_beat.waiting)

    async def beaten(self, times=1):
        """Return when `times` more beats are done."""
        goal = self.feed.beats + times
        await until(lambda: self.feed.beats >= goal)


class World:
    """A processing, a subject with a consent, and two sites."""

    def __init__(self, database):
        number = next(_numbers)
        self.database = database
        self.name, self.processing = f"subject-{number}@{uuid4().hex[:6]}", f"ads-{number}-{uuid4().hex[:6]}"
        PAUSE.renew()
        self.pause = PAUSE
        self.a, self.b = Site(database), Site(database)

    async def begin(self, *, b=True):
        """Start A (and B), and record a consent."""
        await self.a.start()
        await self.a.ok("POST", "/v1/processings", processing_body(self.processing))
        await self.grant(self.a, self.name)
        await self.a.leased()
        if b:
            await self.b.start()
            await self.b.leased()

    async def end(self):
        """Stop both."""
        self.pause.open()
        for site in (self.a, self.b):
            with suppress(TimeoutError):
                await site.stop()

    async def grant(self, site, name):
        """Record a consent at a site."""
        await site.ok("POST", "/v1/consents", consents.grant(name, self.processing))

    async def withdraw(self, **headers):
        """Withdraw at A, and return when it is answered."""
        await self.a.ok("POST", "/v1/withdrawals", {"subject": subject(self.name)}, **headers)

    async def ask(self, site):
        """Whether a site permits; the answer that nothing can be known now (503) is not a permit."""
        status, answer = await site.call("POST", "/access/v1/evaluation", question(self.name, self.processing))
        assert status in {200, 503}, answer
        return answer.get("decision", False)

    async def fill(self, site):
        """Have a site hold the permit in memory."""
        reads = site.after_read.arrivals
        assert await self.ask(site)
        if site.after_read.arrivals != reads + 1 or not site.lease.held():
            raise NotPlayedError

    async def uncommitted(self, work, *, site=None):
        """Begin a write at a site (A), and return when it stands before its commit."""
        site = site or self.a
        site.before_commit.close()
        writing = asyncio.create_task(work)
        await until(lambda: site.before_commit.waiting or writing.done())
        return writing

    async def committed(self, work):
        """Begin a write at A, and return when it is committed, answered or not."""
        waits = self.a.confirmer._waits
        writing = asyncio.create_task(work)
        await until(lambda: writing.done() or waits)
        return writing

    def cut_feed(self, site):
        """Have the server end a site's feed connection."""
        with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND datname = %s",
                [site.backend, self.database.name],
            ).fetchone()
        assert ended == (True,)


def play(scenario, database, pace):
    """Play a scenario on a pace: whether a permit was given that an answered withdrawal forbids."""

    async def played():
        world = World(database)
        try:
            return await scenario(world)
        finally:
            await world.end()

    with (
        patch.object(app.wiring.services, "pace_of", lambda _: pace),
        patch.object(app.wiring.running, "keep_up", _no_janitor),
    ):
        for _ in range(TRIES):
            with psycopg.connect(administrator_url(database.name), autocommit=True) as connection:
                connection.execute("DELETE FROM replica")  # of sites that could not say goodbye
            with suppress(NotPlayedError):
                return asyncio.run(played())
        raise NotPlayedError


async def _no_janitor(*_):
    """A scenario calls the janitor itself."""
