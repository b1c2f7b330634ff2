"""The Procrastinate application and its tasks: what each runs, and how often."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

import procrastinate
import structlog
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Status

from app.audit.figures import latest_runs, load_figure
from app.db.connections import connection_settings
from app.events.deliveries import EVENTS_KEPT
from app.events.effects import load_counts
from app.jobs.work import HOURLY, MINUTELY, Run, RunOutcome, Work, periodic
from app.operations.consents import projections
from app.operations.consents.make_links import AT_ONCE, remove_ended_links
from app.operations.consents.sweep_renewals import sweep_renewals
from app.operations.proof.append_entries import append_entries, checkpoint_to_stamp, keep_stamp
from app.operations.proof.close_hours import close_next, compact
from app.operations.service.rewrite_locators import rewrite_locators, rewriting_is_due
from app.operations.service.show_home import forget_old_runs
from app.operations.webhooks.deliver_webhooks import Courier, run_events, trim_events
from app.operations.webhooks.effects import tell_invalidations
from app.proof.anchors import AuthorityError


async def _remove_ended_links(work: Work) -> RunOutcome:
    removed = 0
    while True:
        async with work.database.write() as session:
            gone = await remove_ended_links(session)
        removed += gone
        if gone < AT_ONCE:
            return RunOutcome(flagged=removed)


# Several processes may run the two renewal jobs at once: each skips people whom another holds.


async def _sweep(work: Work) -> RunOutcome:
    done = await sweep_renewals(work.database, work.deployment.renewal)
    return RunOutcome(flagged=done.flagged.total(), backlog=done.backlog)


async def _tell(work: Work) -> RunOutcome:
    return RunOutcome(flagged=await tell_invalidations(work.database, work.deployment.renewal))


LASTING: Final = timedelta(seconds=58)
"""The length of one run: the next run begins as it ends, in this worker or in another."""


async def _deliver(courier: Courier, work: Work) -> RunOutcome:
    dispatched = await run_events(courier, lasting=LASTING, stopping=work.stopping)
    async with work.database.read() as session:
        counts = await load_counts(session)
    waiting = sum(number for (_, status), number in counts.unfinished.items() if status == "pending")
    return RunOutcome(flagged=dispatched, backlog=counts.undispatched + waiting)


async def _trim(work: Work) -> RunOutcome:
    trimmed = await trim_events(work.database, EVENTS_KEPT)
    return RunOutcome(flagged=trimmed.events, lost=trimmed.lost.total())


# The console's numbers of consents are counted as often as their cost allows: at most about a sixtieth of one
# connection's time. After a failed count, perhaps because it takes longer than a statement may, counting pauses.

_REST: Final = 60
_SHORTEST: Final = timedelta(seconds=50)
_AFTER_A_FAILURE: Final = timedelta(minutes=10)

CONSENTS: Final = "figures.consents"


async def _count(work: Work) -> RunOutcome:
    if not await is_time(work):
        return RunOutcome()
    async with work.database.write(at_once=True) as session:
        counted = await projections.count_consents(session, work.deployment.policy)
    return RunOutcome(flagged=counted or 0)


async def is_time(work: Work) -> bool:
    """Return whether the task may count again: it rested sixty times as long as it worked, without a recent failure."""
    async with work.database.read() as session:
        now = await session.now()
        failed_at = next((run.last_failed_at for run in await latest_runs(session) if run.task == CONSENTS), None)
        if failed_at is not None and now - failed_at < _AFTER_A_FAILURE:
            return False
        last = await load_figure(session, projections.CONSENTS)
        return last is None or now - last.counted_at >= max(_SHORTEST, last.took * _REST)


async def close_all(work: Work) -> int:
    """Merge the log's finished hours and state them, each in a separate transaction; return how many were stated."""
    made = 0
    for step in (close_next, compact):
        while work.goes_on:
            async with work.database.write() as session:
                was_more = await step(session)
            if not was_more:
                break
            made += step is close_next
    return made


async def append_all(work: Work, *, waits: bool = False) -> int:
    """Append until nothing waits, or this process is to stop; return how many entries were added.

    `waits`: whether to wait for other appenders, so that all that was recorded before this call is in the log at its
    end.
    """
    added = 0
    while work.log is not None and work.goes_on:
        async with work.database.write() as session:
            done = await append_entries(session, work.deployment, work.log, waits=waits)
        if done.note is not None:
            # After the commit: a head that is kept outside must be one that was signed for good.
            work.log.heads.keep(done.note)
        added += done.entries
        if done.is_all:
            break
    return added


log = structlog.get_logger("sceau.proof")


async def _stamp(work: Work) -> RunOutcome:
    """Have the log stamped; without an authority, do nothing."""
    try:
        return RunOutcome(flagged=int(await stamp_newest(work)))
    except AuthorityError as error:
        # Not a failure of the task, which would be retried within seconds: the checkpoint is left for the next run.
        log.warning("the log was not time-stamped", cause=str(error))
        return RunOutcome(backlog=1)


async def stamp_newest(work: Work, *, at_once: bool = False) -> bool:
    """Have the newest checkpoint stamped if that is due, or in any case with `at_once`; return whether it was.

    Raises:
        AuthorityError: the authority gave no valid time-stamp.

    """
    if work.authority is None:
        return False
    async with work.database.read() as session:
        checkpoint = await checkpoint_to_stamp(session, at_once=at_once)
    if checkpoint is None:
        return False
    answer = await work.authority.stamp(checkpoint.note.encode())
    async with work.database.write() as session:
        return await keep_stamp(session, checkpoint, answer)


SILENT_SECONDS: Final = 30
"""A worker that has not reported for this long is taken for dead; a live one reports every ten seconds."""

_KEPT_HOURS: Final = 7 * 24


async def _take_back(app: procrastinate.App, _: Work) -> RunOutcome:
    return RunOutcome(flagged=await take_back_stalled(app))


async def _clean(app: procrastinate.App, work: Work) -> RunOutcome:
    await app.job_manager.delete_old_jobs(
        nb_hours=_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
    )
    async with work.database.write() as session:
        await forget_old_runs(session)
    return RunOutcome()


async def exchange_keys(work: Work) -> int:
    """Write all subjects' locators anew where the given keys require it; return how many batches that took."""
    async with work.database.write() as session:
        if not await rewriting_is_due(session, work.deployment):
            return 0
    batches, after = 0, b""
    while work.goes_on:
        async with work.database.write() as session:
            after = await rewrite_locators(session, work.deployment, after=after)
        if not after:
            break
        batches += 1
    return batches


async def take_back_stalled(app: procrastinate.App) -> int:
    """Put jobs that a dead worker held back into the queue, or end them if the same task waits there already.

    Returns:
        How many were found.

    """
    manager = app.job_manager
    await manager.prune_stalled_workers(SILENT_SECONDS)
    stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=SILENT_SECONDS))
    for job in stalled:
        try:
            await manager.retry_job(job)
        except UniqueViolation:  # the next run of the periodic task waits, and will do what this one did not
            await manager.finish_job(job, Status.ABORTED, delete_job=True)
    return len(stalled)


async def _flagged(count: Callable[[Work], Awaitable[int]], work: Work) -> RunOutcome:
    return RunOutcome(flagged=await count(work))


_CONNECTIONS: Final = 4
_STATEMENT_SECONDS: Final = 5.0


def make_jobs(url: str, work: Work) -> procrastinate.App:
    """Return the application, not opened yet.

    Args:
        url: DSN of the application role, not through a pooler: workers listen on one of its connections.
        work: what the tasks work with.

    """
    connector = procrastinate.PsycopgConnector(
        kwargs=connection_settings(url, statement_seconds=_STATEMENT_SECONDS),
        min_size=1,
        max_size=_CONNECTIONS,
        timeout=_STATEMENT_SECONDS,
    )
    app = procrastinate.App(connector=connector)
    tasks: dict[str, tuple[str, Run]] = {
        "subjects.rewrite_locators": (MINUTELY, partial(_flagged, exchange_keys)),
        "jobs.take_back": (MINUTELY, partial(_take_back, app)),
        "jobs.clean": (HOURLY, partial(_clean, app)),
        "links.remove_ended": (HOURLY, _remove_ended_links),
        "renewals.sweep": (MINUTELY, _sweep),
        "invalidations.tell": (MINUTELY, _tell),
        CONSENTS: (MINUTELY, _count),
        "proof.append": ("* * * * * */15", partial(_flagged, append_all)),
        "decisions.merge": (MINUTELY, partial(_flagged, close_all)),
        "proof.stamp": ("2-59/5 * * * *", _stamp),
    }
    if work.courier is not None:
        tasks |= {"events.deliver": (MINUTELY, partial(_deliver, work.courier)), "events.trim": (HOURLY, _trim)}
    for name, (cron, run) in tasks.items():
        periodic(app, work, name, cron, run)
    return app
