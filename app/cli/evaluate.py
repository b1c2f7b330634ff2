"""`sceau consents evaluate`: one question, answered as the API would."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from app.cli.connecting import DataOption, connected
from app.cli.output import given_text

if TYPE_CHECKING:
    from app.api.decisions.reading import Refs
    from app.db.database import Database
    from app.db.session import ReadSession
    from app.operations.decisions.judging import Question
    from app.operations.service.deployment import Deployment


def evaluate(
    file: Annotated[Path, typer.Argument(help="A file with one AuthZEN evaluation request, or - for standard input.")],
    data: DataOption = None,
) -> None:
    """Answer one question, as the API would, and print the decision as JSON. A deny exits with 0: it is an answer."""
    from app.db.database import RestoredBehindError
    from app.register.store import load_processings
    from app.settings import Settings
    from app.wiring.parts import deployment_of, fence_of, journal_of

    body = sys.stdin.buffer.read() if str(file) == "-" else given_text(file).encode()
    _question(body, file, lambda *_: b"")  # what is wrong with it is told before anything is connected

    async def decide(database: "Database") -> dict[str, Any]:
        settings = Settings.load()
        deployment = deployment_of(settings)
        question = _question(body, file, deployment.pseudonyms.locator)
        look = fence_of(settings, database, journal_of(settings, lambda: datetime.now(UTC))).look
        try:
            async with database.read_and_prove(look=look) as session:
                return await _decided(session, deployment, question)
        except RestoredBehindError:
            async with database.read() as session:
                known = (await load_processings(session, [question.processing])).get(question.processing)
                if known is None or not known.facts.is_exempt:
                    raise
                return await _decided(session, deployment, question)

    typer.echo(json.dumps(connected(data, decide), indent=2, ensure_ascii=False))


async def _decided(session: "ReadSession", deployment: "Deployment", question: "Question") -> dict[str, Any]:
    from app.db.identifiers import uuid7
    from app.operations.decisions.evaluate_requests import evaluate_requests
    from app.operations.decisions.judging import answer

    evaluated = await evaluate_requests(session, deployment.policy, [question.whole()])
    return answer(evaluated.decisions[0], uuid7(await session.now()))


def _question(body: bytes, file: Path, refs: "Refs") -> "Question":
    from app.api.decisions.reading import read_question
    from app.api.http.problems import MalformedError

    try:
        return read_question(body, refs)
    except MalformedError as error:
        wrong = "; ".join(f"{each.field}: {each.message}" for each in error.fields)
        _fail(f"{file}: {wrong or error.detail}", 2)


def _fail(message: str, status: int) -> NoReturn:
    typer.echo(f"sceau: {message}", err=True)
    raise typer.Exit(status)
