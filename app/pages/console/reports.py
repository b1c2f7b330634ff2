"""Renewals, the report of a month, the record of GDPR art. 30, the state of the log, and bundles for auditors.

The pages show counts that are kept. A file is made when it is asked for, and that may take a while.
"""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, Annotated, Any, Final, Literal, cast

import structlog
from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from app.api.http.security import open_to_all
from app.api.http.wire import CivilDate, ProcessingId, WireModel
from app.audit.figures import DayOfRuns, latest_runs, load_figure
from app.audit.trail import ActKind, record_act
from app.auth.callers import Scope
from app.core.article import PARIS
from app.core.errors import NotFoundError
from app.core.renewal import FlagKind
from app.db.session import ReadSession, WriteSession
from app.operations.consents.projections import CONSENTS
from app.operations.consents.sweep_renewals import RenewalPage, list_renewals, name_subjects
from app.operations.proof.append_entries import every_key
from app.operations.proof.bundle import BundlePlan, NoLogError, open_bundle
from app.operations.register.report import as_csv, export_register, record_csv, report_json
from app.operations.service.show_home import ConsentCount, Read, list_job_runs
from app.pages.console.acts import ActRequest, DoneAct, act, form_of, writing
from app.pages.console.fields import FilledForm, FormField, Kind, UnfitError
from app.pages.console.frame import Desk, Room, at, router
from app.pages.console.home import lapses_chart, lapses_of, months_about, part
from app.pages.console.people import saved
from app.pages.console.tables import Cell, Table
from app.pages.dates import day, moment, month, until
from app.pages.rendering import saved_as
from app.pages.report import read_report, report_csv, report_document
from app.proof.anchors import Anchoring, anchored_log
from app.proof.notes import log_name
from app.proof.store import latest_checkpoint, waiting_since

RenewalsDesk = Annotated[Desk, at(Room.RENEWALS)]
ReportDesk = Annotated[Desk, at(Room.REPORT)]
_PAGE: Final = 500
_SWEEP: Final = "renewals.sweep"
_MONTHS_BACK: Final = 12
_DAYS_BACK: Final = 30
log = structlog.get_logger("sceau.console")
Month = Annotated[str, Query(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]


@router.get("/console/renewals")
@open_to_all
async def show_renewals(desk: RenewalsDesk) -> Response:
    """Show who lapses when, by month, and what the sweep did last."""
    async with desk.visit.database.read() as session:
        now, figure = await session.now(), await load_figure(session, CONSENTS)
        runs = [run for run in await latest_runs(session) if run.task == _SWEEP]
        days = await list_job_runs(session, task=_SWEEP, days=_DAYS_BACK)
    counts = [ConsentCount(**each) for each in figure.numbers] if figure is not None else []
    seen = [each for each in counts if desk.caller.may_ask_about(each.processing)]
    read: Read[Any] = Read(now, figure.counted_at if figure is not None else None, seen)
    context = {
        "title": desk.t["renewals"],
        "part": _lapses(read, seen, now, desk),
        "days": _flagged(days, desk) if any(each.flagged for each in days) else None,
        "sweep": [
            row
            for run in runs
            for row in (
                (desk.t["sweep_last"], moment(run.last_started_at, desk.language)),
                (desk.t["sweep_flagged"], desk.number(run.last_flagged)),
                (desk.t["sweep_backlog"], desk.number(run.backlog)),
            )
        ],
        "csv": desk.address("/console/renewals/due.csv")
        if desk.may(Scope.SUBJECTS_READ) and desk.may(Scope.CONSENTS_READ)
        else "",
    }
    return desk.page("console/renewals.html", Room.RENEWALS, context)


def _flagged(days: Sequence[DayOfRuns], desk: Desk) -> Table:
    """How many consents were flagged on each of the last days."""
    t = desk.t
    rows = [
        [Cell(day(run.last_started_at, desk.language)), Cell(desk.number(run.flagged))] for run in days if run.flagged
    ]
    return Table(t["flagged_caption"], [(t["day"], False), (t["flagged"], True)], rows)


def _lapses(read: Read[Any], seen: list[ConsentCount], now: datetime, desk: Desk) -> dict[str, Any]:
    """Consents in force by the month in which they lapse: a row a month, a column a processing."""
    t, months = desk.t, lapses_of(seen, now)
    if not any(number for _, number in months):
        return part("lapses", read, desk, empty=t["renewals_empty"])
    named = sorted({each.processing for each in seen})
    by_one = {each: dict(lapses_of([count for count in seen if count.processing == each], now)) for each in named}
    rows = [
        [
            Cell(month(each, desk.language)),
            *(Cell(desk.number(by_one[name].get(each, 0))) for name in named),
            Cell(desk.number(number)),
        ]
        for each, number in months
    ]
    columns = [(t["month"], False), *((name, True) for name in named), (t["total"], True)]
    table = Table(t["lapses_chart"], columns, rows)
    return part("lapses", read, desk, chart=lapses_chart(months, desk), table=table, note=t["renewals_note"])


@router.get("/console/renewals/due.csv")
@open_to_all
async def due(desk: RenewalsDesk) -> Response:
    """Whom to remind, for the sender of letters: what `GET /v1/renewals?kind=due&include=subject` lists."""
    desk.caller.require(Scope.CONSENTS_READ)
    desk.caller.require(Scope.SUBJECTS_READ)
    name = f"{desk.t['file_of_renewals']}.csv"
    return StreamingResponse(_due_rows(desk), media_type="text/csv; charset=utf-8", headers=saved_as(name))


async def _due_rows(desk: Desk) -> AsyncIterator[str]:
    t = desk.t
    yield as_csv([[t["person_id"], t["id_type"], t["processing"], t["consent"], t["state"], t["lapses_on"]]])
    page = RenewalPage([], None)
    while True:
        page = await _due_page(desk, page)
        rows = [
            [
                listed.subject.id if listed.subject is not None else "",
                listed.subject.type if listed.subject is not None else "",
                listed.flag.processing,
                str(listed.flag.consent),
                listed.state.value,
                until(listed.flag.expires_at, desk.language),
            ]
            for listed in page.items
        ]
        yield as_csv(rows).removeprefix("\ufeff")
        if page.next_after is None:
            return


async def _due_page(desk: Desk, before: RenewalPage) -> RenewalPage:
    services = desk.services
    async with desk.visit.database.read() as session:
        page = await list_renewals(
            session,
            services.deployment.policy,
            processings=desk.caller.processings,
            kinds=[FlagKind.DUE],
            after=before.next_after,
            limit=_PAGE,
        )
    async with writing(desk, looks=True) as session:  # the caller must still be signed in
        return await name_subjects(session, services.deployment, desk.caller, page)


@router.get("/console/report")
@open_to_all
async def show_report(desk: ReportDesk) -> Response:
    """Show what can be had of a month, and how far the proof is."""
    return await _report(desk, "", None)


async def _report(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    async with desk.visit.database.read() as session:
        now = await session.now()
        proof = await _proof(session, desk, now)
        keys = await every_key(session, log_name(desk.services.source))
    context = {
        "title": desk.t["report"],
        "bundle": await form_of(_bundle, desk, about, failed),
        "months": [
            (
                month(each, desk.language),
                [
                    (form, desk.address("/console/report/month", month=each, form=form))
                    for form in ("html", "csv", "json")
                ],
            )
            for each in months_about(now, range(0, -_MONTHS_BACK, -1))
        ],
        "record": desk.address("/console/report/record.csv"),
        "log": proof,
        "keys": [str(each) for each in keys],
        "checkpoint": f"{desk.services.source}/proof/v1/checkpoint",
    }
    return desk.page("console/report.html", Room.REPORT, context, failed)


async def _proof(session: ReadSession, desk: Desk, now: datetime) -> list[tuple[str, str]]:
    """The state of the log: its head, since when rows wait, and whether outside parties anchor it."""
    head, since = await latest_checkpoint(session), await waiting_since(session)
    anchored = await anchored_log(session)
    t, standing = desk.t, anchored.standing(now, is_on=desk.services.stamps_log)
    rows = [(t["log_waiting"], moment(since, desk.language) if since is not None else t["log_whole"])]
    if head is not None:
        rows = [
            (t["log_size"], desk.number(head.size)),
            (t["log_signed"], moment(head.signed_at, desk.language)),
            *rows,
        ]
    anchoring = t[f"anchors_{standing.value}"]
    if standing is Anchoring.ANCHORED:
        anchoring = f"{anchoring} {desk.number(anchored.size or 0)}"
    return [*rows, (t["log_anchors"], anchoring)]


@router.get("/console/report/month")
@open_to_all
async def month_file(desk: ReportDesk, month: Month, form: Literal["html", "csv", "json"] = "html") -> Response:
    """The report of a month, as `sceau report` writes it."""
    year, number = (int(each) for each in month.split("-"))
    async with desk.visit.database.read() as session:
        if date(year, number, 1) > (await session.now()).astimezone(PARIS).date():
            raise NotFoundError
        report, staff = await read_report(session, desk.services.deployment.policy, date(year, number, 1))
    name = f"{desk.t['file_of_report']}-{month}.{form}"
    if form == "html":
        return saved(report_document(report, staff, desk.language), "text/html", name)
    if form == "csv":
        return saved(report_csv(report, desk.language), "text/csv", name)
    return saved(report_json(report, staff), "application/json", name)


@router.get("/console/report/record.csv")
@open_to_all
async def record_file(desk: ReportDesk) -> Response:
    """The record of processing activities, as `sceau register export` writes it."""
    async with desk.visit.database.read() as session:
        activities = await export_register(session)
    return saved(record_csv(activities, desk.language.value), "text/csv", f"{desk.t['file_of_record']}.csv")


class NewBundle(WireModel):
    """A bundle to make: of a period, of which each end may be left out, and of one processing or all."""

    since: CivilDate | None = None
    until: CivilDate | None = None
    processing: ProcessingId | None = None


_BUNDLING: Final = "import os; os.nice(10); from app.cli import main; main()"
"""The code of a separate process, so that the making of a bundle does not keep a decision waiting."""
_PIECE: Final = 256 * 1024
_MOST_DOWNLOADS: Final = 3
_LOOK_SECONDS: Final = 0.1
_SIGNED_IN_SECONDS: Final = 5.0
_DOWNLOAD_SECONDS: Final = 3_600.0
_FAR: Final = date(9999, 1, 1)
_IS_SAID: Final = re.compile(r"(sceau: |The log does not state this bundle)")


@act(
    "bundle",
    needs=Scope.AUDIT_READ,
    back=_report,
    model=NewBundle,
    fields=(FormField("since", Kind.DATE), FormField("until", Kind.DATE), FormField("processing", most=100)),
    unrestricted=True,
)
async def _bundle(session: WriteSession, request: ActRequest) -> DoneAct:
    """Have `sceau proof bundle` make a bundle, and send what it writes: the browser shows the progress."""
    desk, wanted = request.desk, request.body
    if max(wanted.since or date.min, wanted.until or date.min) >= _FAR:
        raise UnfitError({"until": desk.t["bundle_reversed"]})
    until = wanted.until + timedelta(days=1) if wanted.until is not None else None  # the day that is named counts
    if wanted.since is not None and until is not None and wanted.since >= until:
        raise UnfitError({"until": desk.t["bundle_reversed"]})
    period = [datetime.combine(day, time(), UTC) if day is not None else None for day in (wanted.since, until)]
    try:
        await open_bundle(session, BundlePlan(period[0], period[1], bytes(32), is_anchored=desk.services.stamps_log))
    except NoLogError:
        raise UnfitError({"": desk.t["bundle_empty"]}) from None
    if DOWNLOADS.is_busy:
        raise UnfitError({"": desk.t["bundle_busy"]})
    chosen = {"since": wanted.since, "until": wanted.until, "processing": wanted.processing}
    detail = {name: str(value) for name, value in chosen.items() if value is not None}
    await record_act(session, ActKind.BUNDLE_MADE, desk.caller.id, detail=detail)
    options = {"--since": wanted.since, "--until": until, "--processing": wanted.processing}
    words = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
    headers = saved_as(f"{desk.t['file_of_bundle']}.zip")
    return DoneAct(
        show=lambda: StreamingResponse(
            bundle_of(words, lambda: _still_here(desk)), media_type="application/zip", headers=headers
        )
    )


async def _still_here(desk: Desk) -> None:
    """Check that the session that asked is still in force.

    Raises:
        CredentialEndedError: it is not.

    """
    async with writing(desk, looks=True):
        pass


@dataclass(slots=True)
class Downloads:
    """The bundles of this process: one is made at a time, and few are read at a time. `making`: the last one's task."""

    making: asyncio.Task[None] | None = None
    reading: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether another bundle has to wait."""
        is_made = self.making is None or self.making.done()
        return not is_made or self.reading >= _MOST_DOWNLOADS


DOWNLOADS: Final = Downloads()


async def bundle_of(words: Sequence[str], check: Callable[[], Awaitable[None]]) -> AsyncGenerator[bytes]:
    """Yield what `sceau proof bundle` writes with these options, from a file that the command fills at its own speed.

    So a slow reader holds a file, and nothing of the database. A failure midway ends the connection: a bundle that is
    cut off, that the log does not state, or whose reader was signed out in between, must not look whole.

    Args:
        words: the command's options.
        check: called every few seconds; an error that it raises ends the answer.

    """
    if DOWNLOADS.is_busy:  # two bundles were asked for at one moment
        raise BundleFailedError
    DOWNLOADS.reading += 1
    try:
        with TemporaryFile() as file:
            begun = checked = monotonic()
            async with aclosing(_read_while_written(file, words)) as pieces:
                async for piece in pieces:
                    yield piece
                    if monotonic() - begun > _DOWNLOAD_SECONDS:
                        raise BundleFailedError
                    if monotonic() - checked > _SIGNED_IN_SECONDS:
                        await check()
                        checked = monotonic()
    finally:
        DOWNLOADS.reading -= 1


async def _read_while_written(file: IO[bytes], words: Sequence[str]) -> AsyncGenerator[bytes]:
    """Start the command, have its output written to the file, and yield what is there until the command has ended."""
    line = (sys.executable, "-P", "-c", _BUNDLING, "proof", "bundle", "--stated", "--output", "-", *words)
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    making = DOWNLOADS.making = asyncio.create_task(_run(line, file, environment))
    place = 0
    try:
        while True:
            has_ended = making.done()
            while piece := os.pread(file.fileno(), _PIECE, place):
                place += len(piece)
                yield piece
            if has_ended:
                break
            await asyncio.wait([making], timeout=_LOOK_SECONDS)
        making.result()
    finally:
        making.cancel()  # if it still runs, the reader has gone
        await asyncio.wait([making])


async def _run(line: Sequence[str], file: IO[bytes], environment: Mapping[str, str]) -> None:
    """Run the command, and write its output to the file.

    The command writes to a pipe: in a file it would go back and correct sizes that were read already.

    Raises:
        BundleFailedError: the command failed.

    """
    running = None
    try:
        running = await asyncio.create_subprocess_exec(
            *line, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True
        )
        written, errors = cast("tuple[asyncio.StreamReader, asyncio.StreamReader]", (running.stdout, running.stderr))
        while piece := await written.read(_PIECE):
            file.write(piece)
            file.flush()
        if await running.wait() != 0:
            why = (await errors.read()).decode(errors="replace").strip().rpartition("\n")[2]
            # The command's own sentence names no person; the last line of any other output might.
            log.error("a bundle could not be made", status=running.returncode, why=why if _IS_SAID.match(why) else "")
            raise BundleFailedError
    finally:
        if running is not None and running.returncode is None:
            running.kill()
            await running.communicate()  # it also reads the rest, so that no pipe stays open


class BundleFailedError(Exception):
    """The command that makes a bundle has failed."""
