"""Watch the promise from outside: withdraw as a person, and ask until every process denies."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx2

_SECONDS: Final = 15.0
_AT_ONCE: Final = 8
"""How many connections are open at once: one after the other, they would all reach the worker that is idle."""


class ProbeFailedError(Exception):
    """The promise could not be checked; the message is one line, without what the service said."""


@dataclass(frozen=True, slots=True)
class ProbedService:
    """A service, and the key to ask it with."""

    url: str
    key: str = field(repr=False)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx2.Response:
        """Send one request on a new connection, and return the answer.

        Raises:
            ProbeFailedError: there was no answer.

        """
        try:
            with httpx2.Client(timeout=_SECONDS) as client:
                headers = {"Authorization": f"Bearer {self.key}", "Connection": "close"}
                return client.request(method, self.url + path, json=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            raise ProbeFailedError(f"{method} {path}: no answer ({type(error).__name__})") from None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Send a request that must succeed, and return the JSON of the answer.

        Raises:
            ProbeFailedError: it does not succeed, or the answer is no JSON.

        """
        answer = self.send(method, path, body)
        if not answer.is_success:
            raise ProbeFailedError(f"{method} {path}: {answer.status_code} ({_slug(answer)})")
        try:
            return answer.json()
        except ValueError:
            raise ProbeFailedError(f"{method} {path}: the answer is no JSON: is this a Sceau service?") from None

    def ask(self, question: Mapping[str, Any]) -> bool | None:
        """Whether the answer to a question is a permit; None if there was no answer."""
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
    """The last part of a problem's type, if it is one of Sceau's. A problem's detail is never shown."""
    try:
        kind = str(answer.json()["type"])
    except (ValueError, KeyError, TypeError):
        return "no problem document"
    return kind.rpartition(":")[2] if kind.startswith("urn:sceau:problem:") else "another's problem document"


_UNTIL_PERMITTED_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The answers after the withdrawal, how many seconds the withdrawal took, and whether III was permitted."""

    denied: int
    permitted: int
    unanswered: int
    withdrawal_seconds: float
    exempt_permitted: bool | None

    @property
    def held(self) -> bool:
        """Whether the promise held: nothing was permitted after the withdrawal had been answered."""
        return self.permitted == 0

    @property
    def complete(self) -> bool:
        """Whether every question was answered, and the exempt one permitted."""
        return self.unanswered == 0 and self.exempt_permitted is not False


def check_promise(
    target: ProbedService, processing: str, subject: Mapping[str, str], times: int, exempt: str | None
) -> ProbeReport:
    """Grant, see a permit, withdraw, and ask again many times.

    Whatever happens in between, a consent that was granted here is withdrawn at the end.

    Args:
        target: the service.
        processing: a processing of IV.
        subject: whose consent it is.
        times: how often to ask after the withdrawal.
        exempt: a processing of III to ask about as well; None for none.

    Raises:
        ProbeFailedError: a step before the last fails, so that nothing can be said.

    """
    question = _question(processing, subject)
    is_exempt = None if exempt is None else target.ask(_question(exempt, subject)) is True
    withdrawal = {"subject": subject, "processing": processing}
    try:
        _grant(target, processing, subject)
        _await_permit(target, question)
    except BaseException:
        target.send("POST", "/v1/withdrawals", withdrawal)
        raise
    begun = time.monotonic()
    target.call("POST", "/v1/withdrawals", withdrawal)
    took = time.monotonic() - begun
    answers = target.ask_often(question, times)
    return ProbeReport(answers.count(False), answers.count(True), answers.count(None), round(took, 4), is_exempt)


def _grant(target: ProbedService, processing: str, subject: Mapping[str, str]) -> None:
    now = datetime.now(UTC)
    version = _version(target.call("GET", f"/v1/processings/{processing}/versions")["items"], now)
    language, text = next(iter(version["notice"].items()))
    evidence = {
        "method": "api",
        "positive_act": "button_clicked",
        "authentication": "signed_in",
        "default_state": "unselected",
        "separate_from_terms": True,
        "conditional": False,
        "language": language,
        "notice_version": version["number"],
        "presented_text_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    body = {"subject": subject, "processing": processing, "decision": "granted"}
    body |= {"evidence": evidence, "collected_at": now.isoformat()}
    state = target.call("POST", "/v1/consents", body)["state"]
    if state != "in_force":
        raise ProbeFailedError(
            f"the probe's consent is {state}: see `sceau doctor probe --help` for what its processing must be"
        )


def _version(versions: Sequence[Mapping[str, Any]], now: datetime) -> Mapping[str, Any]:
    """The version in force, which is the approved one that began last."""
    begun = [
        version
        for version in versions
        if version.get("state", "approved") == "approved" and datetime.fromisoformat(version["effective_from"]) <= now
    ]
    if not begun:
        raise ProbeFailedError("no version of the probe's processing is in force")
    return max(begun, key=lambda version: (datetime.fromisoformat(version["effective_from"]), version["number"]))


def _await_permit(target: ProbedService, question: Mapping[str, Any]) -> None:
    """Return once a worker permits: a grant reaches the others with their next beat."""
    until = time.monotonic() + _UNTIL_PERMITTED_SECONDS
    while target.ask(question) is not True:
        if time.monotonic() > until:
            raise ProbeFailedError("the probe's consent is in force, and no question is permitted")
        time.sleep(_PAUSE_SECONDS)


def _question(processing: str, subject: Mapping[str, str]) -> dict[str, Any]:
    resource = {"type": "correspondence", "id": "probe", "properties": {"participants": []}}
    return {"subject": dict(subject), "action": {"name": processing}, "resource": resource}
