"""`sceau consents`: import decisions, compare the projection with the ledger, ask a question, and set retention."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.connecting import DataOption, connected, settings_here
from app.cli.imports import import_files
from app.cli.output import JsonOption, echo_json, fail, given_text
from app.cli.progress import progress
from app.cli.retention import retention
from app.cli.words import group

if TYPE_CHECKING:
    from app.api.decisions.reading import Refs
    from app.db.database import Database
    from app.db.session import ReadSession
    from app.operations.decisions.judging import Question
    from app.operations.service.deployment import Deployment

consents = group("Import consents, check them against the ledger, ask a question, keep proof for its time.")
consents.command("import")(import_files)
consents.add_typer(retention, name="retention")


@consents.command()
def rebuild(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 when something differs.")] = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """Compare the consent projection with the ledger, and write again what differs."""
    from app.operations.consents.projections import rebuild_projection

    async def run(database: "Database") -> tuple[int, int]:
        subjects = differing = 0
        with progress() as bar:
            async for batch in rebuild_projection(database, repair=not check):
                subjects, differing = batch.subjects, batch.differing
                bar.tell(batch.share, f"{subjects:,} subjects, {differing:,} rows differ")
        return subjects, differing

    subjects, differing = connected(data, run)
    verb = "differ" if check else "differed and were written again"
    if as_json:
        echo_json({"subjects": subjects, "differing": differing, "repaired": not check})
    else:
        typer.echo(f"{subjects} subjects compared; {differing} consents {verb}.")
    if check and differing:
        raise typer.Exit(1)


@consents.command()
def evaluate(
    file: Annotated[Path, typer.Argument(help="A file with one AuthZEN evaluation request, or - for standard input.")],
    data: DataOption = None,
) -> None:
    """Answer one question, as the API would, and print the decision as JSON. A deny exits with 0: it is an answer.

    No log keeps it, so that it has no id.
    """
    from app.db.database import RestoredBehindError
    from app.register.store import load_processings
    from app.wiring.parts import deployment_of, fence_of, journal_of

    body = sys.stdin.buffer.read() if str(file) == "-" else given_text(file).encode()
    _question(body, file, lambda *_: b"")  # an error in it is reported before a connection is opened

    async def decide(database: "Database") -> dict[str, Any]:
        settings = settings_here()
        deployment = deployment_of(settings)
        question = _question(body, file, deployment.pseudonyms.locator)
        look = fence_of(settings, database, journal_of(settings)).look
        try:
            async with database.read_and_prove(look=look) as session:
                return await _decided(session, deployment, question)
        except RestoredBehindError:
            async with database.read() as session:
                record = (await load_processings(session, [question.processing])).get(question.processing)
                if record is None or not record.facts.is_exempt:
                    raise
                return await _decided(session, deployment, question)

    typer.echo(json.dumps(connected(data, decide), indent=2, ensure_ascii=False))


async def _decided(session: "ReadSession", deployment: "Deployment", question: "Question") -> dict[str, Any]:
    from app.operations.decisions.from_database import evaluate_requests
    from app.operations.decisions.judging import answer

    evaluated = await evaluate_requests(session, deployment.policy, [question.as_request()])
    return answer(evaluated.decisions[0], None)


def _question(body: bytes, file: Path, refs: "Refs") -> "Question":
    from app.api.decisions.reading import read_question
    from app.api.http.problems import MalformedError

    try:
        return read_question(body, refs)
    except MalformedError as error:
        wrong = "; ".join(f"{each.field}: {each.message}" for each in error.fields)
        fail(f"{file}: {wrong or error.detail}", 2)
