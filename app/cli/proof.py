"""`sceau proof`: the log that an outsider can check: appending, keys, bundles, and verifying, which needs no Sceau."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from app.cli.connecting import DataOption, connected, deployment_here, settings_here
from app.cli.output import (
    JsonOption,
    MaybeSince,
    MaybeUntil,
    Since,
    Until,
    echo_json,
    maybe_utc,
    refuse_reversed,
    utc,
    written_whole,
)
from app.cli.progress import progress
from app.cli.proofs import appended, proof_stamp, proof_watch
from app.cli.words import group

if TYPE_CHECKING:
    from app.db.database import Database
    from app.operations.proof.bundle import Bundle, BundlePlan
    from app.operations.proof.close_hours import HoursReport
    from app.operations.proof.replay_decisions import ReplayReport
    from app.proof.entries import Bag

_SHOWN = 20
_PATIENCE = 60
"""Seconds for which a bundle waits for its entry in the log."""
_WRONG = 1
_INCOMPLETE = 3


def proof_replay(
    since: Since,
    until: Until,
    differences: Annotated[
        Path | None, typer.Option(help="A file for all that comes out otherwise, a line of JSON each.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Decide again what was logged, on what was known then. Exit 0 all the same, 1 one differs, 3 some cannot be."""
    from app.operations.proof.close_hours import compare_hours
    from app.operations.proof.replay_decisions import replay_decisions

    refuse_reversed(since, until)

    async def replay(database: "Database") -> "tuple[ReplayReport, HoursReport]":
        vault = deployment_here().vault
        async with database.read() as session:
            with progress() as bar:
                decided = await replay_decisions(session, vault, utc(since), utc(until), bar.tell)
            return decided, await compare_hours(session, utc(since), utc(until))

    report, hours = connected(data, replay, is_long=True)
    _say_of_hours(hours)
    _say(report)
    if differences is not None:
        with written_whole(differences) as sink:
            sink.writelines(f"{json.dumps(each.json())}\n" for each in report.different)
    wrong = bool(report.different or hours.altered)
    raise typer.Exit(_WRONG if wrong else _INCOMPLETE if report.left or hours.dropped else 0)


def _say(report: "ReplayReport") -> None:
    for row in report.different[:_SHOWN]:
        columns = ", ".join(f"{name} {logged} in the log, {now} now" for name, (logged, now) in row.columns.items())
        typer.echo(f"DIFFERENT: {row.id}: {columns}")
    if len(report.different) > _SHOWN:
        typer.echo(f"DIFFERENT: {len(report.different) - _SHOWN} more")
    for column, number in report.by_column().most_common():
        typer.echo(f"DIFFERENT IN {column}: {number}")
    for why, number in report.left.most_common():
        typer.echo(f"NOT REPRODUCIBLE: {number}: {why}")
    typer.echo(
        f"{report.decisions} decisions, {report.reproduced} reproduced, {len(report.different)} different, "
        f"{report.left.total()} not reproducible"
    )


def _say_of_hours(hours: "HoursReport") -> None:
    for altered in hours.altered[:_SHOWN]:
        typer.echo(f"ALTERED: {altered}")
    if hours.dropped:
        typer.echo(f"NOT LOGGED: {hours.dropped} decisions: the log was full, or refused them")
    if hours.late:
        typer.echo(f"LATE: {hours.late} decisions were logged after their hour had been stated")
    if hours.waiting:
        typer.echo(f"NOT STATED YET: {hours.waiting} decisions: that they are as they were written is not shown")
    if hours.since is None or hours.until is None:
        typer.echo("No statement of the log speaks of this time: that decisions are as they were written is not shown.")
        return
    typer.echo(
        f"Stated from {hours.since:%Y-%m-%d %H:%M} to {hours.until:%Y-%m-%d %H:%M}: {hours.same} segments agree, "
        f"{hours.retired} of days that were dropped or stayed behind, {len(hours.altered)} altered"
    )


proof = group("Prove what was recorded: keys, bundles, verification.")

proof.command("watch")(proof_watch)
proof.command("replay")(proof_replay)
proof.command("stamp")(proof_stamp)


@proof.command("key")
def proof_key(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Print the keys of the log's checkpoints and of receipts, the newest first. Publish them for others to find."""
    from app.operations.proof.append_entries import every_key
    from app.wiring.parts import origin_of

    async def keys(database: "Database") -> list[str]:
        async with database.read() as session:
            return [str(each) for each in await every_key(session, origin_of(settings_here()))]

    listed = connected(data, keys)
    if as_json:
        echo_json(listed)
    for key in listed if not as_json else ():
        typer.echo(key)


@proof.command("bundle")
def proof_bundle(  # noqa: PLR0917 - what can be asked for
    output: Annotated[Path, typer.Option("--output", "-o", help="The ZIP to write.")],
    since: MaybeSince = None,
    until: MaybeUntil = None,
    processing: Annotated[str | None, typer.Option(help="Leave out bodies of consents to any other one.")] = None,
    anchored: Annotated[
        bool | None,
        typer.Option(
            "--anchored/--newest",
            help="End with a checkpoint that others have stamped or cosigned: so it is where SCEAU_TSA_URL is set.",
        ),
    ] = None,
    person_of: Annotated[
        UUID | None, typer.Option(help="A consent: leave out bodies about other people than the one whose it is.")
    ] = None,
    replay: Annotated[  # noqa: FBT002
        bool, typer.Option("--replay", help="Put the replay of the period into it; needs --since and --until.")
    ] = False,
    stated: Annotated[  # noqa: FBT002
        bool, typer.Option("--stated", help="Fail where the log could not state it, and its verifier would say so.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Write what an auditor can check without this deployment: entries, bodies, checkpoint, keys.

    It consists of whole checkpoints: those that were signed in the period, and the first one after it. The log states
    that it was made. data/index.html and data/index.en.html tell it for people to read, and data/verify.py checks it.
    """
    refuse_reversed(since, until)
    if replay and (since is None or until is None):
        raise typer.BadParameter("--replay needs --since and --until")
    period = (maybe_utc(since), maybe_utc(until))

    async def write(database: "Database") -> "Bundle":
        from app.operations.proof.bundle import BundlePlan
        from app.proof.entries import Bag

        is_anchored = settings_here().tsa_url is not None if anchored is None else anchored
        plan = BundlePlan(*period, secrets.token_bytes(32), processing, is_anchored, person_of)
        with written_whole(output, binary=True) as sink, Bag(sink) as bag:
            bundle = await _put_payload(database, bag, plan, replay=replay)
            is_stated = await _put_statement(database, bag, bundle)
        if stated and not is_stated:
            raise typer.Exit(_WRONG)
        return bundle

    bundle = connected(data, write, is_long=True)
    signed = f"{bundle.checkpoint.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    counted = "1 entry" if bundle.entries == 1 else f"{bundle.entries} entries"
    typer.echo(f"{counted} bundled, up to the checkpoint that was signed at {signed}.", err=True)


async def _put_payload(database: "Database", bag: "Bag", plan: "BundlePlan", *, replay: bool) -> "Bundle":
    """Write a bundle's payload as of one moment: what is entered meanwhile would look unknown to the log."""
    from app.operations.proof.bundle import write_bundle
    from app.operations.proof.replay_decisions import replay_report
    from app.pages.bundle import write_pages

    async with database.read() as session:
        report = None
        if replay and plan.since is not None and plan.until is not None:
            report = await replay_report(session, deployment_here().vault, plan.since, plan.until)
        with progress() as bar:
            bundle = await write_bundle(session, plan, bag, report, bar.tell)
        await write_pages(session, bundle, bag)
    return bundle


async def _put_statement(database: "Database", bag: "Bag", bundle: "Bundle") -> bool:
    """State a bundle in the log, and add the statement to the bundle; report it if the log refuses the statement."""
    from app.journal.files import HeadsUnreadableError
    from app.operations.proof.append_entries import LogRefusedError
    from app.operations.proof.bundle import entered_behind, state_bundle
    from app.proof.verifier.files import LATER

    async with database.write() as session:
        statement = await state_bundle(session, bundle, bag.manifest_sha256())
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:  # another process may be entering other things meanwhile
                await appended(database)
                async with database.read() as session:
                    later = await entered_behind(session, bundle, statement)
                if later is not None:
                    bag.put_tag(LATER, later)
                    return True
                await asyncio.sleep(1)
    except (LogRefusedError, HeadsUnreadableError, TimeoutError) as error:
        why = str(error) or "it was not entered in time"
        typer.echo(f"The log does not state this bundle, and its verifier will say so: {why}", err=True)
        return False


@proof.command("verify")
def proof_verify(  # noqa: PLR0917 - what can be asked for
    files: Annotated[list[Path] | None, typer.Argument(help="Bundles, checkpoints and receipts.")] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="A key of log, receipts or witness, known from elsewhere; repeat it for each."),
    ] = None,
    against: Annotated[list[Path] | None, typer.Option("--against", help="A checkpoint kept from before.")] = None,
    tsa_ca: Annotated[Path | None, typer.Option(help="Roots of time-stamping authorities, in PEM.")] = None,
    lang: Annotated[str | None, typer.Option(help="en or fr; else as the environment says (LANG).")] = None,
    script: Annotated[  # noqa: FBT002
        bool, typer.Option("--script", help="Print the verifier as one file of Python instead, to check without Sceau.")
    ] = False,
) -> None:
    """Check files without database, network or settings. Exit 0 good, 1 wrong, 2 unreadable, 3 good but incomplete."""
    from app.proof.single_file import verifier_script
    from app.proof.verifier.main import main

    if script:
        typer.echo(verifier_script(), nl=False)
        return
    if not files:
        raise typer.BadParameter("give bundles, checkpoints or receipts; or --script")
    arguments = [part for each in key or [] for part in ("--key", each)]
    arguments += [part for old in against or [] for part in ("--against", str(old))]
    arguments += ["--tsa-ca", str(tsa_ca)] if tsa_ca is not None else []
    arguments += ["--lang", lang] if lang is not None else []
    raise typer.Exit(main([*arguments, "--", *map(str, files)]))
