"""Commands that speak with a service over HTTP."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from app.cli.output import JsonOption, given_text
from app.core.errors import RefusalError

if TYPE_CHECKING:
    import httpx2

HERE: Final = "http://127.0.0.1:8080"
UrlOption = Annotated[str, typer.Option("--url", envvar="SCEAU_URL", help="Where the service is.")]
KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", envvar="SCEAU_KEY_FILE", help="A file with a key of the caller; or set SCEAU_KEY."),
]
_SECONDS: Final = 60.0


class ServiceRefusedError(RefusalError):
    """The service refused a command, or cannot be reached; the message is one line that says why."""


def key_of(file: Path | None) -> str:
    """The key of a command: from a file, or from SCEAU_KEY; never an argument, which others on the machine can read.

    Raises:
        GivenFileError: the file cannot be read, or is empty.
        ServiceRefusedError: there is no key, or it holds characters that no header can carry.

    """
    key = os.environ.get("SCEAU_KEY", "") if file is None else given_text(file)
    if not (key := key.strip()):
        raise ServiceRefusedError("no key: give --key-file, or set SCEAU_KEY")
    if not key.isascii() or not key.isprintable():
        raise ServiceRefusedError("the key holds characters that no key has")
    return key


def call(client: "httpx2.Client", method: str, path: str, **how: Any) -> Any:  # noqa: ANN401 - as httpx2, and JSON
    """Send a request with what `httpx2` takes beside it, and return the JSON of the answer.

    Raises:
        ServiceRefusedError: the service refused, or cannot be reached.

    """
    import httpx2

    try:
        answer = client.request(method, path, **how)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ServiceRefusedError(
            f"the service does not answer ({type(error).__name__}): check --url or SCEAU_URL, and that it runs"
        ) from None
    if not answer.is_success:
        raise ServiceRefusedError(problem_of(answer))
    try:
        return answer.json()
    except ValueError:
        raise ServiceRefusedError("what answers is not Sceau: check --url or SCEAU_URL") from None


@contextmanager
def remote(url: str, key_file: Path | None) -> "Iterator[httpx2.Client]":
    """A client of the service at an address, with the key, for as long as the block lasts.

    Raises:
        ServiceRefusedError: there is no key that a header can carry, or the address is invalid.

    """
    import httpx2

    headers = {"Authorization": f"Bearer {key_of(key_file)}"}
    refusal = ServiceRefusedError("--url or SCEAU_URL is no address")
    try:
        client = httpx2.Client(base_url=url, headers=headers, timeout=_SECONDS)
    except httpx2.InvalidURL:
        raise refusal from None
    if client.base_url.scheme not in {"http", "https"} or not client.base_url.host:
        raise refusal  # an import would try it again and again
    with client:
        yield client


def problem_of(answer: "httpx2.Response") -> str:
    """The content of a problem document, in one line."""
    try:
        problem = answer.json()
        detail = problem.get("detail") or problem["title"]
        named = [each for each in problem.get("errors") or () if each["message"] != detail]
        fields = "; ".join(f"{each['field']}: {each['message']}" for each in named)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"the service answered {answer.status_code}"
    return f"{answer.status_code}: {detail}" + (f" {fields}" if fields else "")


_WAIT_SECONDS: Final = 20
_PAGE: Final = 100


def watch(
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Begin after this place; else with the oldest event kept.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when there is nothing new.")] = False,  # noqa: FBT002
    url: UrlOption = HERE,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Print every event in order, with --json one CloudEvent a line, until Ctrl-C. It names consents, never people.

    It needs a key of scope consents:read. At its end it says, on standard error, where to go on.
    """
    place = after
    query: dict[str, str | int] = {"limit": _PAGE, "wait": 0 if once else _WAIT_SECONDS}
    with remote(url, key_file) as service:
        try:
            while True:
                if place is not None:
                    query["after"] = place
                page = call(service, "GET", "/v1/events", params=query)
                for event in page["events"]:
                    typer.echo(json.dumps(event, ensure_ascii=False) if as_json else _line(event))
                place = page["next"]
                if once and not page["events"]:
                    return
        finally:
            if place is not None:
                typer.echo(f"Go on with: --after {place}", err=True)


def _line(event: dict[str, Any]) -> str:
    """An event as a line for people: its time, its type, and what it is about."""
    kind = str(event["type"]).removeprefix("fr.sceau.")
    about = "  ".join(f"{name} {value}" for name, value in event["data"].items() if isinstance(value, str | int))
    return f"{event['time']}  {kind:28}  {about}"
