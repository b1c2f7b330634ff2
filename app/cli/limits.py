"""`sceau limits`: what the owner of the database alone sets, which the service's own role cannot change."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connecting import DataOption, deployment
from app.cli.output import JsonOption, duration, echo_json

if TYPE_CHECKING:
    from app.db.owner_limits import OwnerLimits

limits = typer.Typer(no_args_is_help=True, help="Show and set what the owner of the database alone sets.")


@limits.command("show")
def limits_show(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Show how long the decision log is kept at least, and how far clocks may differ."""
    found = _limits(data)
    if as_json:
        seconds = found.clock_tolerance.total_seconds()
        echo_json({"log_floor_days": found.log_floor.days, "clock_tolerance_seconds": seconds})
    else:
        _tell(found)


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
    from app.settings import Settings
    from app.settings.required import required

    given = Settings.load().database_owner_url if data is None else None
    if given is not None:
        return owner_limits(given.get_secret_value(), log_floor=log_floor, clock_tolerance=clock_tolerance)
    with deployment(data):
        owner = required(Settings.load().database_owner_url, "database_owner_url")
        return owner_limits(owner, log_floor=log_floor, clock_tolerance=clock_tolerance)


def _tell(found: "OwnerLimits") -> None:
    days = found.log_floor.days
    typer.echo(f"The decision log is kept for at least {days} {'day' if days == 1 else 'days'}.")
    seconds = f"{found.clock_tolerance.total_seconds():.3f}".rstrip("0").rstrip(".")
    typer.echo(f"Nothing is recorded more than {seconds} seconds ahead of the database's clock.")
