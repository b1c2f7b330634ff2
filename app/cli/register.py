"""The register as a file: exported and applied."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from app.cli.connecting import DataOption, connected
from app.cli.output import JsonOption, echo_json, written_whole
from app.cli.remote import HERE, KeyFileOption, ServiceRefusedError, UrlOption, call, remote
from app.cli.words import group
from app.words import Language

if TYPE_CHECKING:
    import httpx2

    from app.cli.register_plan import PresentRegister, RegisterPlan
    from app.db.database import Database
    from app.operations.register.report import Activity

_WOULD_CHANGE: Final = 2


DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan; exit 2 if something would change.")]


register = group("The register of processings: plan and apply a file, export.")
File = Annotated[Path, typer.Argument(help="Controllers and processings, as YAML.")]


@register.command()
def plan(file: File, url: UrlOption = HERE, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Say what `apply` would do, and do nothing. Exit 2 if something would change, 1 if something cannot be done."""
    apply(file, dry_run=True, url=url, key_file=key_file, as_json=as_json)


@register.command()
def apply(
    file: File,
    dry_run: DryRun = False,  # noqa: FBT002
    url: UrlOption = HERE,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Register and change controllers and processings until they are as a file says. Run again, it changes nothing.

    What the file does not name is left alone. What a second person has to approve is proposed, and said to wait.
    It needs a key of scopes register:read and register:write. Exit 1: the plan is impossible, and
    nothing was done; or a step was refused, and those before it were done.
    """
    from app.cli.register_plan import RegisterFile, plan_of

    wanted = RegisterFile.read(file)
    with remote(url, key_file) as service:
        planned = plan_of(wanted, _present(service))
        waiting = list(planned.waiting)
        done = bool(planned.steps) and not planned.impossible and not dry_run
        if not as_json:
            _say(planned)
        if done:
            waiting += _carried_out(service, planned)
    if as_json:
        steps = [each.summary for each in planned.steps]
        echo_json({"steps": steps, "applied": done, "waiting": waiting, "impossible": planned.impossible})
    else:
        for line in waiting:
            typer.echo(f"… {line}")
        typer.echo(_ending(planned, done=done), err=True)
    if planned.impossible:
        raise typer.Exit(1)
    if dry_run and planned.steps:
        raise typer.Exit(_WOULD_CHANGE)


def _present(service: "httpx2.Client") -> "PresentRegister":
    from app.cli.register_plan import PresentRegister

    processings = {each["id"]: each for each in call(service, "GET", "/v1/processings")["items"]}
    versions = {each: call(service, "GET", f"/v1/processings/{each}/versions")["items"] for each in processings}
    return PresentRegister(
        {each["id"]: each for each in call(service, "GET", "/v1/controllers")["items"]}, processings, versions
    )


def _carried_out(service: "httpx2.Client", plan: "RegisterPlan") -> list[str]:
    """Send every request, and return a line for each change that now waits for a second person."""
    waiting = []
    proposed: set[str] = set()
    for step in plan.steps:
        if step.method == "PATCH" and step.path in proposed:
            continue  # a proposal takes no status until it is approved
        try:
            answer: dict[str, Any] = call(service, step.method, step.path, json=step.body)
        except ServiceRefusedError as error:
            raise ServiceRefusedError(f"{step.method} {step.path}: {error}") from None
        number = answer.get("proposed_version")
        if number is not None:
            proposed.add(f"/v1/processings/{answer['id']}")
            waiting.append(
                f"processing {answer['id']}: version {number} waits for a second person's approval "
                f'(POST /v1/rulings with "processing": "{answer["id"]}", "version": {number})'
            )
        elif answer.get("state") == "proposed" and "proposed_by" in answer:
            waiting.append(
                f"{answer['kind']} {answer['target']}: it waits for a second person's approval "
                f'(POST /v1/rulings with "proposal": "{answer["id"]}")'
            )
    return waiting


def _say(plan: "RegisterPlan") -> None:
    for step in plan.steps:
        typer.echo(step.summary)
    for line in plan.impossible:
        typer.echo(f"sceau: {line}", err=True)
    if plan.not_named:
        typer.echo(f"Not in the file, and left alone: {', '.join(plan.not_named)}", err=True)


def _ending(plan: "RegisterPlan", *, done: bool) -> str:
    number = "1 change" if len(plan.steps) == 1 else f"{len(plan.steps)} changes"
    if plan.impossible:
        return "Nothing was changed."
    if not plan.steps:
        return "The register is as the file says." if not plan.waiting else "Nothing to do but to approve."
    return f"{number} made." if done else f"{number} would be made."


class RecordFormat(StrEnum):
    """What the record is written as."""

    CSV = "csv"
    JSON_LD = "json-ld"


@register.command("export")
def register_export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; - for standard output.")],
    form: Annotated[
        RecordFormat, typer.Option("--format", help="For a spreadsheet, or for software.")
    ] = RecordFormat.CSV,
    language: Annotated[Language, typer.Option("--language", help="Of headings and texts.")] = Language.FR,
    data: DataOption = None,
) -> None:
    """Write the record of processing activities (GDPR art. 30), in the order of that article."""
    from app.operations.register.report import export_register, record_csv
    from app.register.records import CONTEXT

    async def export(database: "Database") -> "list[Activity]":
        async with database.read() as session:
            return await export_register(session)

    activities = connected(data, export)
    with written_whole(output) as sink:
        if form is RecordFormat.JSON_LD:
            processes = [each.json_ld(language.value) for each in activities]
            document = {"@context": CONTEXT, "@type": "dpv:ROPA", "dpv:hasProcess": processes}
            json.dump(document, sink, ensure_ascii=False, indent=2)
        else:
            sink.write(record_csv(activities, language.value))
    typer.echo(f"{len(activities)} processings exported.", err=True)
