"""`sceau log limits` and `sceau consents retention`: what the database's owner sets, and how long proof is kept."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from app.cli.connecting import DataOption, deployment, settings_here
from app.cli.output import JsonOption, duration, echo_json, fail, maybe_utc
from app.cli.progress import progress
from app.cli.proofs import append_now
from app.cli.words import group

if TYPE_CHECKING:
    from app.db.owner_limits import OwnerLimits
    from app.db.retention import RetentionSchedule

limits = group("Show and set what the owner of the database alone sets.")


@limits.command("show")
def limits_show(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Show how long the decision log is kept at least, and how far clocks may differ."""
    current = _limits(data)
    if as_json:
        seconds = current.clock_tolerance.total_seconds()
        echo_json({"log_floor_days": current.log_floor.days, "clock_tolerance_seconds": seconds})
    else:
        _tell(current)


@limits.command("set")
def limits_set(
    log_floor: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="P365D", help="No day of the decision log younger than this is dropped."),
    ] = None,
    clock_tolerance: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="PT10S", help="How far ahead of the database's clock an entry may lie."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Set them, as the role of SCEAU_DATABASE_OWNER_URL. The trail of administrative acts keeps before and after."""
    if log_floor is None and clock_tolerance is None:
        raise typer.BadParameter("give --log-floor, --clock-tolerance or both")
    _tell(_limits(data, log_floor, clock_tolerance))


def _limits(
    data: DataOption, log_floor: timedelta | None = None, clock_tolerance: timedelta | None = None
) -> "OwnerLimits":
    from app.db.owner_limits import owner_limits
    from app.settings.required import required

    owner_url = settings_here().database_owner_url if data is None else None
    if owner_url is not None:
        return owner_limits(owner_url.get_secret_value(), log_floor=log_floor, clock_tolerance=clock_tolerance)
    with deployment(data):
        owner = required(settings_here().database_owner_url, "database_owner_url")
        return owner_limits(owner, log_floor=log_floor, clock_tolerance=clock_tolerance)


def _tell(current: "OwnerLimits") -> None:
    days = current.log_floor.days
    typer.echo(f"The decision log is kept for at least {days} {'day' if days == 1 else 'days'}.")
    seconds = f"{current.clock_tolerance.total_seconds():.3f}".rstrip("0").rstrip(".")
    typer.echo(f"Nothing is recorded more than {seconds} seconds ahead of the database's clock.")


# `sceau retention`: how long proof is kept, what is kept longer, and the run that destroys what is past it.

_LEAST_MONTHS = 13
retention = group("How long proof of what people said is kept.")


def _period(text: str) -> str:
    """A period as the schedule takes it.

    Raises:
        BadParameter: the text is no period, or one that is too short: a consent could outlast what it is compared with.

    """
    from app.core.errors import InvalidPeriodError
    from app.core.period import Retention

    try:
        period = Retention.parse(text)
    except InvalidPeriodError:
        period = None
    if period is None or period.seconds or period.months < _LEAST_MONTHS:
        raise typer.BadParameter("a period is in years and months, thirteen months at least, such as P6Y or P3Y6M")
    return text


@retention.command("show")
def retention_show(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Show the schedule, whether it was signed, and the holds that stand."""
    with _owner(data) as kept:
        if as_json:
            echo_json({"rules": list(kept.rules()), "holds": list(kept.holds())})
        else:
            _show(kept)


def _show(kept: "RetentionSchedule") -> None:
    for rule in kept.rules():
        signed = (
            f"signed by {rule.signed_by} on {rule.signed_at:%Y-%m-%d}"
            if rule.signed_at is not None
            else "proposed: nothing is destroyed until `sceau consents retention sign`"
        )
        typer.echo(f"{rule.kind}: {rule.period} after {rule.starts_when}; then {rule.afterwards}.")
        typer.echo(f"  Basis: {rule.basis.rstrip('.')}. {signed[0].upper()}{signed[1:]}.")
    for hold in kept.holds():
        what = "one person" if hold.is_of_a_person else hold.processing or "everything"
        until = f"until {hold.until:%Y-%m-%d}" if hold.until is not None else "until it is released"
        typer.echo(f"Hold {hold.id}: {what}, {until}, by {hold.made_by}: {hold.reason}")


@retention.command("sign")
def retention_sign(
    by: Annotated[str, typer.Option(help="Who answers for it: a role is enough.")],
    consents: Annotated[
        str | None, typer.Option(parser=_period, metavar="P6Y", help="How long after everything is over.")
    ] = None,
    refusals: Annotated[
        str | None, typer.Option(parser=_period, metavar="P6Y", help="Of people who only ever refused.")
    ] = None,
    basis: Annotated[
        str | None, typer.Option(help="Why these periods, where they are not the proposed ones; it is kept.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Put the schedule in force: years and months, P13M at least. From then on `consents retention run` destroys by it.

    With SCEAU_REGISTER_APPROVAL=two a shorter period than before is signed once another person has approved it.
    """
    from app.settings.required import register_approval

    wanted = {"consent": consents, "refusal": refusals}
    with _owner(data) as kept:
        periods = {kind: period for kind, period in wanted.items() if period is not None}
        kept.sign(periods, by, basis, register_approval(settings_here()))
        _show(kept)


@retention.command("hold")
def retention_hold(  # noqa: PLR0917 - options
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    by: Annotated[str, typer.Option(help="Who says so.")],
    processing: Annotated[str | None, typer.Option(help="Keep what was ever said about this one.")] = None,
    consent: Annotated[UUID | None, typer.Option(help="Keep what the person of this consent ever said.")] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Without it: until it is released.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Keep something for longer than the schedule says; without a processing or a consent, everything."""
    with _owner(data) as kept:
        made = kept.hold(reason=reason, by=by, processing=processing, consent=consent, until=maybe_utc(until))
    typer.echo(f"Hold {made} stands.")


@retention.command("release")
def retention_release(hold: UUID, data: DataOption = None) -> None:
    """End a hold."""
    with _owner(data) as kept:
        if not kept.release(hold):
            fail(f"no hold {hold} stands: `sceau consents retention show` lists those that do")
    typer.echo("It is released.")


@retention.command("run")
def retention_run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be destroyed.")] = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """Destroy the ledgers that are past the schedule, with the ids of their people. Proofs of the log stay good."""
    from app.db.retention import RetentionRun

    run: RetentionRun = RetentionRun()
    with _owner(data) as kept:
        with progress() as bar:
            for run in kept.run(dry=dry_run):
                bar.tell(run.share, f"{run.events:,} events")
        ledgers = f"{run.consents + run.refusals} ledgers {'would be destroyed' if dry_run else 'destroyed'}"
        typer.echo(f"{ledgers} ({run.refusals} of them of refusals only), {run.events} events.")
        if run.events and not dry_run:  # else a bundle made now would lack bodies without a reason
            typer.echo(f"The log states it: {append_now(data)} entries appended.", err=True)


@contextmanager
def _owner(data: DataOption) -> "Iterator[RetentionSchedule]":
    """Open the schedule of retention as the role of SCEAU_DATABASE_OWNER_URL, and close it after the block."""
    from app.db.retention import RetentionSchedule
    from app.settings.required import required

    with deployment(data):
        owner_url = required(settings_here().database_owner_url, "database_owner_url")
        with closing(RetentionSchedule(owner_url)) as kept:
            yield kept
