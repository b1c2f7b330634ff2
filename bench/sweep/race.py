"""The race: workers that sweep and are killed inside a batch, and users who renew and withdraw meanwhile."""

import asyncio
import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, Final
from uuid import UUID

import psycopg
from sqlalchemy import select

from app.auth.callers import Caller, Scope
from app.core.consent import EventKind
from app.core.period import ONE_YEAR, PeriodPolicy
from app.db.database import Database
from app.ledger.identifiers import Pseudonyms, SubjectIds, Vault
from app.ledger.tables import renewal_flag
from app.operations.consents.ledgers import open_ledgers
from app.operations.consents.recorder import Collected, Said, Withdrawal, record
from app.operations.service.deployment import Deployment, SubjectName
from bench.loading import load_consents
from bench.processes import ROOT
from bench.questions import EVIDENCE, NOTICE, PROCESSING, SUBJECT_TYPE, name_of
from bench.sweep.verdict import Verdict, judge
from bench.sweep.worker import STEPS

DEPLOYMENT: Final = Deployment(Pseudonyms(b"\x11" * 32, SubjectIds.parse("address")), Vault({"1": b"\x22" * 32}))
_CALLER: Final = Caller(UUID(int=1), "race", frozenset(Scope), None, datetime(2020, 1, 1, tzinfo=UTC))
_HANGS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much: consents (half of them due, half lapsed), workers at once, kills, one decision in so many."""

    consents: int
    workers: int = 4
    kills: int = 10
    batch: int = 500
    decide_one_in: int = 5
    mutant: str | None = None
    seed: int = 0


@dataclass(slots=True)
class Outcome:
    """What came of it: the verdict, kills that hit an open batch by step, decisions made, and seconds."""

    verdict: Verdict
    killed: list[str] = field(default_factory=list)
    decisions: int = 0
    seconds: float = 0.0


def prepare(administrator_url: str, plan: Plan) -> None:
    """Load consents that are due or lapsed today, of a processing that is registered; note which ones."""
    now = datetime.now(UTC).replace(microsecond=0)
    half = plan.consents // 2
    for first, count, days in ((0, half, 350), (half, plan.consents - half, 400)):
        collected = now - timedelta(days=days)
        expires = PeriodPolicy().expiry(collected, ONE_YEAR)
        load_consents(administrator_url, DEPLOYMENT.pseudonyms, first, count, collected, expires)
    with psycopg.connect(administrator_url) as connection:
        connection.execute("CREATE TABLE raced AS SELECT id FROM consent")


def register(administrator_url: str) -> None:
    """Put the processing of `bench.questions` into the register, in force for years."""
    with psycopg.connect(administrator_url) as connection:
        connection.execute(
            "INSERT INTO processing VALUES (%s, 'Exemple SAS', 'advertising', now() - interval '3 years', %s)",
            [PROCESSING, UUID(int=0)],
        )
        connection.execute(
            "INSERT INTO processing_version (processing, number, effective_from, provider_kind, service, elements,"
            " automated, party_mode, started_on, consent_validity, material, name, notice, data_recipients, retention,"
            " recorded_at, recorded_by, controllers, particulars) VALUES (%s, 1, now() - interval '3 years',"
            " 'operator', 'mail', '{content,subject_line}', true, 'user_only', '2020-01-01', 'P1Y', true, '{}', %s,"
            " '{}', 'P30D', now() - interval '3 years', %s, '{exemple}', '{}')",
            [PROCESSING, json.dumps(NOTICE), UUID(int=0)],
        )


def run(owner_url: str, app_url: str, plan: Plan) -> Outcome:
    """Race until every consent that is due has been dealt with, and judge what is left behind."""
    began = time.monotonic()
    killed, decisions = asyncio.run(_race(app_url, plan))
    return Outcome(judge(owner_url), killed, decisions, time.monotonic() - began)


async def _race(app_url: str, plan: Plan) -> tuple[list[str], int]:
    fleet = asyncio.to_thread(_sweepers, app_url, plan)
    killed, decisions = await asyncio.gather(fleet, _decide(app_url, plan))
    return killed, decisions


def _sweepers(app_url: str, plan: Plan) -> list[str]:
    """Four workers, one of which hangs inside a batch, is killed there and replaced, again and again."""
    steady = [_start(app_url, plan, in_step=True) for _ in range(plan.workers - 1)]
    killed = []
    try:
        for step in itertools.islice(itertools.cycle(STEPS), plan.kills):
            victim = _start(app_url, plan, hang_at=step)
            try:
                if "inside" in _lines(victim):  # it ends without, when nothing is left to be flagged
                    killed.append(step)
            finally:
                _end(victim)
            for each in steady:
                _go_on(each)
        for each in steady:
            _stdin(each).close()
        steady.append(_start(app_url, plan))
        for each in steady:
            each.wait(_HANGS)
    finally:
        for each in steady:
            _end(each)
    return killed


def _go_on(process: subprocess.Popen[str]) -> None:
    """Let a worker do one batch more."""
    print(file=_stdin(process), flush=True)


def _stdin(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None
    return process.stdin


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _start(app_url: str, plan: Plan, **more: str | bool) -> subprocess.Popen[str]:
    asked = {"url": app_url, "batch": plan.batch, "mutant": plan.mutant, **more}
    command = [sys.executable, "-m", "bench.sweep.worker", json.dumps(asked)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return (line.strip() for line in process.stdout)


async def _decide(app_url: str, plan: Plan) -> int:
    """Users in random order renew or withdraw while the workers sweep: from the first flag on."""
    chance = random.Random(plan.seed)
    numbers = chance.sample(range(plan.consents), plan.consents // plan.decide_one_in)
    database = Database(app_url)
    try:
        await _first_flag(database)
        for number in numbers:
            name = SubjectName(SUBJECT_TYPE, name_of(number))
            said: Said = Withdrawal(name, PROCESSING)
            if chance.random() >= 0.5:  # noqa: PLR2004 - one half
                said = Collected(name, PROCESSING, EventKind.GRANTED, EVIDENCE, collected_at=datetime.now(UTC))
            async with database.write() as session:
                opened = await open_ledgers(session, DEPLOYMENT, [name], [PROCESSING])
                await record(_CALLER, said, opened)
    finally:
        await database.close()
    return len(numbers)


async def _first_flag(database: Database) -> None:
    """Wait until a worker has flagged something: on a busy machine all users would else decide before one starts."""
    async with asyncio.timeout(_HANGS):
        while True:
            async with database.read() as session:
                if (await session.execute(select(renewal_flag.c.consent).limit(1))).first() is not None:
                    return
            await asyncio.sleep(0.02)
