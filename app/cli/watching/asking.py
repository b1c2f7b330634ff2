"""Requests of the probe: each on a connection of its own, so that they meet whichever worker takes it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import httpx2

_SECONDS: Final = 15.0
_AT_ONCE: Final = 8
"""Connections that are open together: one after the other, they would meet the worker that is idle anyway."""


class ProbeFailedError(Exception):
    """The promise could not be checked; the message is one line, without what the service said."""


@dataclass(frozen=True, slots=True)
class ProbedService:
    """A service, and the key to ask it with."""

    url: str
    key: str

    def __repr__(self) -> str:
        """The address alone."""
        return f"ProbedService({self.url!r})"

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx2.Response:
        """One request on a connection of its own.

        Raises:
            ProbeFailedError: nothing came back.

        """
        try:
            with httpx2.Client(timeout=_SECONDS) as client:
                headers = {"Authorization": f"Bearer {self.key}", "Connection": "close"}
                return client.request(method, self.url + path, json=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            raise ProbeFailedError(f"{method} {path}: no answer ({type(error).__name__})") from None

    def told(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """The JSON of a request that must succeed.

        Raises:
            ProbeFailedError: it does not.

        """
        answer = self.send(method, path, body)
        if not answer.is_success:
            raise ProbeFailedError(f"{method} {path}: {answer.status_code} ({_slug(answer)})")
        try:
            return answer.json()
        except ValueError:
            raise ProbeFailedError(f"{method} {path}: the answer is no JSON: is this a Sceau service?") from None

    def ask(self, question: Mapping[str, Any]) -> bool | None:
        """Whether a question is permitted; None where it was not answered."""
        try:
            answer = self.send("POST", "/access/v1/evaluation", question)
            return bool(answer.json()["decision"]) if answer.is_success else None
        except (ProbeFailedError, ValueError, KeyError, TypeError):
            return None

    def ask_often(self, question: Mapping[str, Any], times: int) -> list[bool | None]:
        """The answers to one question asked many times, eight at a time."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda _: self.ask(question), range(times)))


def _slug(answer: httpx2.Response) -> str:
    """The last word of a problem's type, which is one of the service's own; never its detail."""
    try:
        kind = str(answer.json()["type"])
    except (ValueError, KeyError, TypeError):
        return "no problem document"
    return kind.rpartition(":")[2] if kind.startswith("urn:sceau:problem:") else "another's problem document"
